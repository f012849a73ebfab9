"""Advice for a folder of images in no known layout: the specification that fits its content."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import printable
from osnet_edge.runtime.pictures import SUFFIXES
from osnet_edge.train.data.pattern_set import compile_pattern

#: Images that are looked at; a set of a million is no clearer than its first thousands.
_MOST = 5000
#: Patterns that people's folders fit, and what they mean. The first that fits all images is advised.
_PATTERNS = (
    ("{split}/{identity}_c{camera}_*", "splits, with the identity and camera in each name"),
    ("{split}/{identity}/c{camera}_*", "splits with a folder for each person, and the camera in each name"),
    ("{split}/{identity}/*", "splits with a folder for each person"),
    ("{identity}_c{camera}_*", "the identity and camera in each name"),
    ("*/{identity}_c{camera}_*", "folders, with the identity and camera in each name"),
    ("{identity}/c{camera}_*", "a folder for each person, and the camera in each name"),
    ("{identity}/*", "a folder for each person"),
    ("*/{identity}/*", "folders with a folder for each person"),
)
_SPLITS = {"train", "query", "gallery"}


def advice(root: Path) -> str:
    """Return what images a folder has, and what to type instead.

    Args:
        root: a folder.
    """
    images = [path.relative_to(root).as_posix() for path in _images(root)]
    if not images:
        return f"it holds no image that ends in {', '.join(SUFFIXES)}"
    held = f"it holds {counted(len(images), 'image')}{' or more' if len(images) == _MOST else ''}"
    for pattern, meaning in _PATTERNS:
        expression = compile_pattern(pattern)
        fits = [found for name in images if (found := expression.fullmatch(name))]
        splits = {found["split"] for found in fits} if "{split}" in pattern else set[str]()
        # Accuracy needs queries and a gallery, or neither.
        whole = splits <= _SPLITS and len(splits & {"query", "gallery"}) != 1
        if len(fits) == len(images) and whole:
            return f"{held}, as {meaning}; give {shlex.quote(f'{root}::{pattern}')}"
    return (
        f"{held}, such as {printable(images[0])}; give '{root}::PATTERN' with {{identity}} and perhaps "
        "{camera} and {split} where they stand in such a name, or a CSV of path,identity,camera,split. "
        f"Nobody knows who is who? osnet-edge calibrate --crops {root} does without"
    )


def _images(root: Path) -> Iterator[Path]:
    """Yield images below a folder in a fixed order, down to three folders deep."""
    left = _MOST
    for folder, inner, names in os.walk(root):
        inner.sort()
        if len(Path(folder).relative_to(root).parts) >= 3:
            inner.clear()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)
                left -= 1
                if not left:
                    return
