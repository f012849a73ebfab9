"""Unpacks archives: plain files in one flat folder, and nothing else that tar can express.

A package is sent as a POSIX ustar archive, in which each entry is 512 bytes of header and the file's bytes.
Python's tarfile supports links, devices, sparse files, absolute names and headers that rename the next entry.
This reader supports none of them, so an archive cannot write outside of the folder.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from osnet_edge.runtime.files import PLAIN_NAME, write_all
from osnet_edge.ship.device.refused import RefusedError

_BLOCK = 512
_COPY = 1 << 20
#: A package has three files, a recipe four; more is none of ours.
_MOST_FILES = 64
#: name, (mode, owner, group), size, (time), checksum, kind, link, magic, rest
_HEADER = struct.Struct("100s24x12s12x8s1s100s6s249x")
_PLAIN = (b"0", b"\0")


class _Entry(NamedTuple):
    name: str
    size: int


def unpack(archive: Path, folder: Path, most_bytes: int) -> tuple[str, ...]:
    """Unpack an archive into an empty folder.

    Args:
        archive: the archive file.
        folder: an empty folder.
        most_bytes: limit of the total size of its files, in bytes.

    Returns:
        The names of the files.

    Raises:
        RefusedError: it contains anything but plain files with plain names, a name twice, or too many bytes.
    """
    names: list[str] = []
    total = 0
    with archive.open("rb") as source:
        for entry in _entries(source, archive):
            total += entry.size
            if total > most_bytes or len(names) == _MOST_FILES:
                raise RefusedError(
                    "archive",
                    f"{archive.name}: expected at most {_MOST_FILES} files of {most_bytes:,} "
                    f"bytes together, got "
                    f"{len(names) + 1} of {total:,} or more",
                )
            if entry.name in names:
                raise RefusedError("archive", f"{archive.name} has {entry.name} twice")
            names.append(entry.name)
            _copy(source, folder / entry.name, entry.size, archive)
    return tuple(names)


def _entries(source: IO[bytes], archive: Path) -> Iterator[_Entry]:
    while True:
        header = source.read(_BLOCK)
        if len(header) < _BLOCK:
            raise RefusedError("archive", f"{archive.name} ends without tar's end; it was cut short")
        if header == bytes(_BLOCK):
            return
        yield _parse(header, archive)


def _parse(header: bytes, archive: Path) -> _Entry:
    raw, size, checksum, kind, link, magic = _HEADER.unpack(header)
    name = raw.rstrip(b"\0").decode("ascii", errors="replace")
    blanked = header[:148] + b" " * 8 + header[156:]
    if magic != b"ustar\0" or _octal(checksum) != sum(blanked):
        raise RefusedError(
            "archive", f"{archive.name}: expected a POSIX ustar archive, as osnet-edge publish writes"
        )
    if kind not in _PLAIN or link.strip(b"\0"):
        raise RefusedError(
            "archive", f"{archive.name}: {name!r} is no plain file, but of tar's kind {kind!r}"
        )
    if header[345:500].strip(b"\0") or not PLAIN_NAME.fullmatch(name):
        raise RefusedError("archive", f"{archive.name}: expected plain file names, got {name!r}")
    length = _octal(size)
    if length is None:
        raise RefusedError("archive", f"{archive.name}: {name} has a size that is no octal number")
    return _Entry(name, length)


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _copy(source: IO[bytes], destination: Path, size: int, archive: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(destination, flags, 0o644)
    try:
        left = size
        while left:
            block = source.read(min(_COPY, left))
            if not block:
                raise RefusedError("archive", f"{archive.name} ends in the midst of {destination.name}")
            write_all(descriptor, block)
            left -= len(block)
    finally:
        os.close(descriptor)
    source.seek(-size % _BLOCK, os.SEEK_CUR)
