"""What the agent does to a disk: each step is whole or absent, also after a power cut.

A rename is only as durable as its folder, so every function here syncs the folder too, before it returns: a
later step can then never reach the disk before an earlier one.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from osnet_edge.ship.device.refused import RefusedError

#: Names that the next run may sweep away.
ASIDE_PREFIX = ".aside-"


def write_file(path: Path, content: bytes) -> None:
    """Write a file aside, sync it, rename it into place, and sync the folder."""
    aside = path.with_name(ASIDE_PREFIX + path.name)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(aside, path)
    sync_folder(path.parent)


def write_document(path: Path, value: Any) -> None:
    """Write a value as JSON, as `write_file` does."""
    write_file(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`: the system may take less at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def point_link(link: Path, target: str) -> None:
    """Make a symbolic link lead to `target`, or turn an existing one, in one step: readers see old or new."""
    aside = link.with_name(ASIDE_PREFIX + link.name)
    aside.unlink(missing_ok=True)
    os.symlink(target, aside)
    os.replace(aside, link)
    sync_folder(link.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder in `folder`, and its own name."""
    for place, _, files in os.walk(folder):
        for name in files:
            if Path(place, name).is_symlink():
                # A link is a name in its folder, and nothing else.
                continue
            descriptor = os.open(Path(place, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(place))
    sync_folder(folder.parent)


def empty_folder(folder: Path) -> None:
    """Leave `folder` there and empty; links in it are removed, never followed."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir()
    sync_folder(folder.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder; a link is removed, never followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a run that was killed left aside."""
    for path in folder.glob(f"{ASIDE_PREFIX}*"):
        path.unlink(missing_ok=True)


def require_space(folder: Path, needed: int, reserve: int) -> None:
    """Hold that the disk of `folder` has room for `needed` bytes, and `reserve` more for everybody else.

    Raises:
        RefusedError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + reserve:
        raise RefusedError(
            "disk",
            f"{folder}: expected {(needed + reserve) / 1e6:.0f} MB free ({needed / 1e6:.1f} for "
            f"this update, the "
            f"rest kept for others), found {free / 1e6:.0f}; make room, or init with a smaller --reserve",
        )
