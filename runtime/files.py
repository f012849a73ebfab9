"""Outputs that are whole or absent: written aside, in the same folder, then renamed over the target."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError

#: What file systems take, in bytes.
_LONGEST_NAME = 255
#: A folder with this file is an engine package, whose files are accounted for.
MANIFEST_NAME = "manifest.json"
#: Names of files in one flat folder; anything else in a name could reach outside it.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


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
    aside = _make_aside(target)
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
    require_folder(target, replace=replace)
    aside = _make_aside(target)
    fresh, old = aside / "new", aside / "old"
    try:
        fresh.mkdir()
        yield fresh
        for file in fresh.rglob("*"):
            if file.is_file():
                _sync(file)
        if target.exists():
            os.rename(target, old)
        os.rename(fresh, target)
    finally:
        # Also when interrupted between the two renames: the old folder goes back before anything is removed.
        if old.exists() and not target.exists():
            os.rename(old, target)
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
        InputError: its folder does not exist or is an engine package, or it is no plain file itself.
    """
    target = Path(target)
    _require_place(target)
    if target.is_dir():
        raise InputError(f"expected a file name to write to, but {target} is a folder; name a file in it")
    if (target.exists() or target.is_symlink()) and not target.is_file():
        raise InputError(f"expected a file name to write to, but {target} is a device, pipe or broken link")
    if (target.parent / MANIFEST_NAME).is_file():
        raise InputError(
            f"{target.parent} is an engine package, which another file would spoil; write elsewhere"
        )


def require_folder(target: Path, *, replace: bool = False) -> None:
    """Hold that a folder can be made at `target`, before work is put into its content.

    Raises:
        InputError: the parent does not exist, or the target is there and may not be replaced.
    """
    _require_place(target)
    if (target.exists() or target.is_symlink()) and not (replace and target.is_dir()):
        raise InputError(f"{target} is already there; remove it, or name another output")


def _require_place(target: Path) -> None:
    if not target.parent.is_dir():
        raise InputError(f"the folder {target.parent} does not exist; make it first, or write elsewhere")
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise InputError(f"expected a name of at most {_LONGEST_NAME} bytes, got {target.name[:40]}...")


def _make_aside(target: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))


def _sync(path: Path) -> None:
    """Flush to the disk before the rename, or a power cut could leave the new name with no content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
