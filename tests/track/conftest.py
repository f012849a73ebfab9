"""A drawn site for the tests of this room."""

from __future__ import annotations

import pytest

from osnet_edge.track.sequence import Sequence
from osnet_edge.train.data.sequences import read_sequences
from osnet_edge.train.synthetic.video import write_video


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sequence, ...]:
    """Two cameras, 20 seconds: long enough for people to go from one to the other."""
    folder = tmp_path_factory.mktemp("drawn") / "site"
    write_video(folder, cameras=2, people=8, seconds=20, rate=2, size=(320, 180), seed=1)
    return read_sequences([folder])
