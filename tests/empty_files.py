"""Empty files in place of images: readers of sets go by names alone."""

from __future__ import annotations

from pathlib import Path

from osnet_edge.train.data import DISTRACTOR, Picture


def touch(root: Path, *names: str) -> Path:
    """Make empty files; return the folder."""
    for folder in {(root / name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / name).touch()
    return root


def people(pictures: tuple[Picture, ...]) -> set[int]:
    """Return who is on some images, but for distractors."""
    return {picture.identity for picture in pictures} - {DISTRACTOR}
