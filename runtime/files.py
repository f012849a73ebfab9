"""Outputs that are whole or absent: written aside, in the same folder, then renamed over the target."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError


@contextmanager
def write_aside(target: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `target`, and rename it over `target` when the block ends well.

    Args:
        target: the file to make; its folder must exist.

    Yields:
        A path in the same folder with the same suffix, not yet existing. The block writes a file there.

    Raises:
        InputError: the folder does not exist, or the target is a folder.
    """
    target = Path(target)
    require_writable(target)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        partial = aside / target.name
        yield partial
        _sync(partial)
        os.replace(partial, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def write_folder_aside(target: Path | str, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `target`, and rename it to `target` when the block ends well.

    Args:
        target: the folder to make; its parent must exist.
        replace: whether a folder that is already there may be replaced. The old one is moved away first and
            put back if the rename fails, so some whole folder is there at any moment but the instant between.

    Yields:
        An empty folder in the same parent.

    Raises:
        InputError: the parent does not exist, or the target is there and may not be replaced.
    """
    target = Path(target)
    _require_parent(target)
    if target.exists() and not (replace and target.is_dir()):
        raise InputError(f"{target} is already there; remove it, name another output, or pass --force")
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        fresh = aside / "new"
        fresh.mkdir()
        yield fresh
        for file in fresh.rglob("*"):
            if file.is_file():
                _sync(file)
        if target.exists():
            os.rename(target, aside / "old")
        try:
            os.rename(fresh, target)
        except OSError:
            if (aside / "old").exists():
                os.rename(aside / "old", target)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_json(target: Path | str, value: Any) -> None:
    """Write `value` to `target` as indented JSON, whole or not at all; keys keep their order."""
    with write_aside(target) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256_of(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as 64 lower-case hexadecimal digits (FIPS 180-4)."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_writable(target: Path | str) -> None:
    """Hold that a file can be put at `target`, before work is put into its content.

    Raises:
        InputError: its folder does not exist, or it is a folder itself.
    """
    target = Path(target)
    _require_parent(target)
    if target.is_dir():
        raise InputError(f"expected a file name to write to, but {target} is a folder; name a file in it")


def _require_parent(target: Path) -> None:
    if not target.parent.is_dir():
        raise InputError(f"the folder {target.parent} does not exist; make it first, or write elsewhere")


def _sync(path: Path) -> None:
    """Flush to the disk before the rename, or a power cut could leave the new name with no content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
