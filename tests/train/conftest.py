"""What to train on."""

from __future__ import annotations

import pytest
from training_runs import few_people

from osnet_edge.train.data import ReidSet


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    """64 images of 8 drawn people to train on; tests that change them copy them."""
    return few_people(tmp_path_factory.mktemp("few") / "few")
