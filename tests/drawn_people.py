"""Drawn people that tests share: small sets, in a blink."""

from __future__ import annotations

from pathlib import Path

from osnet_edge.train.synthetic import write_set


def draw_people(folder: Path, *, train: int = 4, cameras: int = 2) -> Path:
    """Draw people to train on and two to test on, two images of each by each camera; return the folder."""
    write_set(
        folder,
        train_identities=train,
        test_identities=2,
        cameras=cameras,
        pictures_per_camera=2,
        seed=0,
        height=96,
        width=48,
    )
    return folder
