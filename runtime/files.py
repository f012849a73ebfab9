"""Outputs that are whole or absent, also after a power cut: written aside, synced, renamed, folder synced.

A rename is only as durable as its folder. With the folder synced before a function here returns, what is
written next can never reach the disk before what was written first.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError

#: Links that lead to links, as Linux follows them.
_MOST_LINKS = 40
#: What file systems take, in bytes.
_LONGEST_NAME = 255
#: A folder with this file is an engine package, whose files are accounted for.
MANIFEST_NAME = "manifest.json"
#: Names of files in one flat folder; anything else in a name could reach outside it.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
#: How names end that a process which was killed may leave behind.
ASIDE_SUFFIX = ".aside"


@contextmanager
def write_aside(target: Path | str, *, in_package: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `target`, and rename it over `target` when the block ends well.

    A link is kept: the file that it leads to is replaced. Where it leads to what this process has open, as
    `/dev/stdout` does, the content is written there when the block ends well.

    Args:
        target: the file to make; its folder must exist.
        in_package: whether that may be an engine package, to whose owner alone its files are.

    Yields:
        A path in the same folder with the same suffix, not yet existing. The block writes a file there.

    Raises:
        InputError: the folder does not exist, or the target is a folder.
    """
    target = Path(target)
    opened = _own_descriptor(target)
    if opened is not None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, target.name)
            sys.stdout.flush()
            write_all(opened, Path(folder, target.name).read_bytes())
        return
    _require_file_place(target, in_package=in_package)
    target = _behind_links(target)
    aside = _make_aside(target)
    try:
        partial = aside / target.name
        yield partial
        sync(partial)
        os.replace(partial, target)
        sync(target.parent)
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
    _require_folder_place(target, replace=replace)
    aside = _make_aside(target)
    fresh, old = aside / "new", aside / "old"
    try:
        fresh.mkdir()
        yield fresh
        sync_tree(fresh)
        if target.exists():
            os.rename(target, old)
        os.rename(fresh, target)
        sync(target.parent)
    finally:
        # Also when interrupted between the two renames: the old folder goes back before anything is removed.
        if old.exists() and not target.exists():
            os.rename(old, target)
        shutil.rmtree(aside, ignore_errors=True)


def write_file(target: Path | str, content: bytes, *, in_package: bool = False) -> None:
    """Write `content` to `target`, whole or not at all; raises as `write_aside` does."""
    with write_aside(target, in_package=in_package) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)


def write_json(target: Path | str, value: Any, *, in_package: bool = False) -> None:
    """Write `value` to `target` as indented JSON, whole or not at all; keys keep their order."""
    content = (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    write_file(target, content, in_package=in_package)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`: the system may take less at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        # A folder that may be written and not read, and any folder on Windows: it cannot be asked for.
        if path.is_dir():
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        # So say file systems, of networks above all, that do not sync folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder in `folder`, and its own name; a link is only a name in its folder."""
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            if not path.is_symlink():
                sync(path)
        sync(Path(place))
    sync(folder.parent)


def read_small(path: Path | str, most: int) -> bytes:
    """Read a file that others write, and that may be anything by now.

    Args:
        path: of it.
        most: bytes that it may have.

    Raises:
        InputError: it is no plain file, or larger.
        OSError: it cannot be read.
    """
    # Without blocking: a pipe that nobody writes to would be waited for.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    # Asked before Python opens it, which refuses a folder in words of its own.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"expected {path} as a plain file, found a folder, pipe or device")
    with open(descriptor, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"expected {path} of at most {most:,} bytes, found more")
    return content


def sha256_of(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as 64 lower-case hexadecimal digits (FIPS 180-4)."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_writable(target: Path | str) -> Path | None:
    """Check that a file can be put at `target`, before work is put into its content; its folder is tried.

    Returns:
        The file that is there, to be replaced; None where there is none.

    Raises:
        InputError: its folder does not exist, takes nothing or is an engine package, or it is no plain file
            itself.
    """
    target = Path(target)
    if _own_descriptor(target) is not None:
        return None
    _require_file_place(target)
    target = _behind_links(target)
    _try_folder(target.parent)
    return target if target.exists() else None


def require_folder(target: Path, *, replace: bool = False) -> None:
    """Check that a folder can be made at `target`, before work is put into its content; its parent is tried.

    Raises:
        InputError: the parent does not exist or takes nothing, or the target is there and may not be
            replaced.
    """
    _require_folder_place(target, replace=replace)
    _try_folder(target.parent)


def require_place(target: Path | str) -> None:
    """Check that something of this name can be put into its folder, whether it is there or not.

    Raises:
        InputError: the folder does not exist, is a file or takes nothing, or the name is too long.
    """
    _require_place(Path(target))
    _try_folder(Path(target).parent)


def _require_file_place(target: Path, *, in_package: bool = False) -> None:
    _require_place(target)
    if target.is_dir():
        raise InputError(f"expected a file name to write to, but {target} is a folder; name a file in it")
    if (target.exists() or target.is_symlink()) and not target.is_file():
        raise InputError(f"expected a file name to write to, but {target} is a device, pipe or broken link")
    target = _behind_links(target)
    if (target.parent / MANIFEST_NAME).is_file() and not in_package:
        raise InputError(
            f"{target.parent} is an engine package, which another file would spoil; write elsewhere"
        )


def _require_folder_place(target: Path, *, replace: bool) -> None:
    _require_place(target)
    if target.is_symlink():
        raise InputError(f"expected a folder to make, but {target} is a link; name what it leads to")
    if target.exists() and not (replace and target.is_dir()):
        raise InputError(f"{target} is already there; remove it, or name another output")


def _require_place(target: Path) -> None:
    if target.parent.exists() and not target.parent.is_dir():
        raise InputError(f"expected a folder to write to, found a file at {target.parent}; write elsewhere")
    if not target.parent.is_dir():
        raise InputError(f"the folder {target.parent} does not exist; make it first, or write elsewhere")
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise InputError(f"expected a name of at most {_LONGEST_NAME} bytes, got {target.name[:40]}...")


def _try_folder(folder: Path) -> None:
    """Make something in a folder and remove it: permissions alone do not tell of a disk that is read-only."""
    try:
        os.rmdir(tempfile.mkdtemp(ASIDE_SUFFIX, ".try.", folder))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"nothing can be written in the folder {folder} ({error.strerror}); write elsewhere"
        ) from None


def _behind_links(target: Path) -> Path:
    """Return the file that a link leads to, or the path itself where it is no link.

    Raises:
        InputError: the system does not let us write through the link: it may be somebody else's, in a folder
            such as /tmp, and lead to a file of their choice.
    """
    if not target.is_symlink():
        return target
    try:
        os.close(os.open(target, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)))
    except OSError as error:
        raise InputError(
            f"expected a file name to write to, but {target} is a link that cannot be written through "
            f"({error.strerror}); name what it leads to"
        ) from None
    return Path(os.path.realpath(target))


def _own_descriptor(target: Path) -> int | None:
    """Return the number of the open file of this process that a path stands for, as `/dev/stdout` does."""
    path = os.path.abspath(target)
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(path)
        if name.isdecimal() and os.path.realpath(folder) in (f"/proc/{os.getpid()}/fd", "/dev/fd"):
            return int(name)
        if not os.path.islink(path):
            return None
        path = os.path.normpath(os.path.join(folder, os.readlink(path)))
    return None


def _make_aside(target: Path) -> Path:
    return Path(tempfile.mkdtemp(ASIDE_SUFFIX, f".{target.name[:40]}.", target.parent))
