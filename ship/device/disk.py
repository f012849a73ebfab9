"""What the agent does to a disk beside writing files: each step is whole or absent, as of `runtime.files`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from osnet_edge.runtime.files import ASIDE_SUFFIX, sync
from osnet_edge.ship.device.refused import RefusedError


def point_link(link: Path, target: str) -> None:
    """Make a symbolic link lead to `target`, or turn an existing one, in one step: readers see old or new."""
    aside = link.with_name(f".{link.name}{ASIDE_SUFFIX}")
    aside.unlink(missing_ok=True)
    os.symlink(target, aside)
    os.replace(aside, link)
    sync(link.parent)


def empty_folder(folder: Path) -> None:
    """Leave `folder` there and empty; links in it are removed, never followed."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir()
    sync(folder.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder; a link is removed, never followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a run that was killed left aside."""
    # Versions before wrote aside under `.aside-NAME`.
    for path in (*folder.glob(f".*{ASIDE_SUFFIX}"), *folder.glob(f"{ASIDE_SUFFIX}-*")):
        remove(path)


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
