"""Pictures to draw from: that look like no other, of drawn people, and frames with boxes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from drawn_people import draw_people

from calibration.sets import blotches
from osnet_edge.train.synthetic import write_frames


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of which no two look alike."""
    folder = tmp_path_factory.mktemp("pool")
    paths = [folder / f"{k:02d}.png" for k in range(60)]
    for seed, path in enumerate(paths):
        blotches(seed).save(path)
    return paths


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_people(tmp_path_factory.mktemp("sets") / "people")


@pytest.fixture
def people(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "people"))


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(
        tmp_path_factory.mktemp("frames") / "street", frames=2, people=3, size=(320, 240), seed=1
    )
