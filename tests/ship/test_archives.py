"""Archives that reach out of their folder: first shown to do so with tarfile, and then refused."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import naive_unpack

from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.unpack import unpack


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"evil") -> Any:
    """An entry of an archive, and its content."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    made.size = len(content) if kind == tarfile.REGTYPE else 0
    return made, content


def write(archive: Path, *entries: Any, how: int = tarfile.USTAR_FORMAT) -> None:
    with tarfile.open(archive, "w", format=how) as opened:
        for made, content in entries:
            opened.addfile(made, io.BytesIO(content))


ESCAPES: list[tuple[str, Callable[[Path], list[Any]]]] = [
    ("a name with dots, zip-slip", lambda outside: [entry("../outside/file")]),
    ("an absolute name", lambda outside: [entry(str(outside / "file"))]),
    (
        "a link to a folder, and a file behind it",
        lambda outside: [entry("way", tarfile.SYMTYPE, "../outside"), entry("way/file")],
    ),
    (
        "a link, and a file of the same name",
        lambda outside: [entry("x", tarfile.SYMTYPE, "../outside/file"), entry("x")],
    ),
]


@pytest.mark.parametrize(("sentence", "entries"), ESCAPES, ids=[row[0] for row in ESCAPES])
def test_an_archive_that_reaches_outside_its_folder_does_so_with_tarfile_and_is_refused_by_ours(
    sentence: str, entries: Callable[[Path], list[Any]], tmp_path: Path
) -> None:
    outside, archive = tmp_path / "outside", tmp_path / "evil.tar"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    write(archive, *entries(outside))
    for name in ("naive", "ours"):
        (tmp_path / name).mkdir()
    naive_unpack(archive, tmp_path / "naive")
    assert (outside / "file").read_bytes() == b"evil"
    (outside / "file").write_bytes(b"mine")
    with pytest.raises(RefusedError) as refused:
        unpack(archive, tmp_path / "ours", 1_000_000)
    assert refused.value.reason == "archive"
    assert (outside / "file").read_bytes() == b"mine"


def sparse(archive: Path) -> None:
    """A file of 1 TB in 2 kB of archive, as GNU tar writes files with holes."""
    made = tarfile.TarInfo("model.onnx")
    made.size, made.type = 0, tarfile.GNUTYPE_SPARSE
    header = bytearray(made.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"%011o\0" % 0, b"%011o\0" % 0
    header[483:495] = tarfile.itn(1 << 40, 12, tarfile.GNU_FORMAT)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    archive.write_bytes(bytes(header) + bytes(1024))


def test_an_archive_that_unpacks_to_a_huge_file_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    sparse(archive)
    for name in ("naive", "ours"):
        (tmp_path / name).mkdir()
    naive_unpack(archive, tmp_path / "naive")
    assert (tmp_path / "naive" / "model.onnx").stat().st_size == 1 << 40
    with pytest.raises(RefusedError, match="ustar"):
        unpack(archive, tmp_path / "ours", 1_000_000)
    assert not list((tmp_path / "ours").iterdir())


ODD: list[tuple[str, list[Any], int, str]] = [
    ("a device", [entry("sda", tarfile.BLKTYPE)], tarfile.USTAR_FORMAT, "no plain file"),
    ("a pipe", [entry("pipe", tarfile.FIFOTYPE)], tarfile.USTAR_FORMAT, "no plain file"),
    ("a folder", [entry("folder", tarfile.DIRTYPE)], tarfile.USTAR_FORMAT, "no plain file"),
    ("a hard link", [entry("hard", tarfile.LNKTYPE, "/etc/passwd")], tarfile.USTAR_FORMAT, "no plain file"),
    ("one name twice", [entry("x"), entry("x")], tarfile.USTAR_FORMAT, "twice"),
    ("a hidden file", [entry(".ssh")], tarfile.USTAR_FORMAT, "plain file names"),
    ("a header that renames the next entry", [entry("é" * 90)], tarfile.PAX_FORMAT, "no plain file"),
    ("a long name of GNU's", [entry("x" * 200)], tarfile.GNU_FORMAT, "expected a POSIX ustar archive"),
    ("more than may be", [entry("x", content=bytes(2_000_000))], tarfile.USTAR_FORMAT, "at most"),
    ("too many files", [entry(f"f{n}", content=b"") for n in range(65)], tarfile.USTAR_FORMAT, "at most 64"),
]


@pytest.mark.parametrize(("sentence", "entries", "how", "message"), ODD, ids=[row[0] for row in ODD])
def test_an_archive_of_anything_but_plain_files_is_refused(
    sentence: str, entries: list[Any], how: int, message: str, tmp_path: Path
) -> None:
    write(tmp_path / "odd.tar", *entries, how=how)
    (tmp_path / "slot").mkdir()
    with pytest.raises(RefusedError, match=message):
        unpack(tmp_path / "odd.tar", tmp_path / "slot", 1_000_000)


@given(at=st.integers(0, 2047), byte=st.integers(0, 255), cut=st.integers(0, 2048))
@settings(max_examples=60)
def test_a_damaged_archive_is_refused_or_unpacks_inside_its_folder(at: int, byte: int, cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "a.tar", entry("manifest.json"), entry("golden.npz"))
        content = bytearray((folder / "a.tar").read_bytes())[: 4096 - cut]
        if at < len(content):
            content[at] = byte
        (folder / "a.tar").write_bytes(content)
        (folder / "slot").mkdir()
        with contextlib.suppress(RefusedError):
            unpack(folder / "a.tar", folder / "slot", 1_000_000)
        assert {path.name for path in folder.iterdir()} == {"a.tar", "slot"}
        assert all(path.is_file() and not path.is_symlink() for path in (folder / "slot").iterdir())
