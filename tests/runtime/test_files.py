"""Outputs: whole or absent, and a link or a device is never replaced by a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_file, write_folder_aside

WRITE = "import sys; from osnet_edge.runtime.files import write_file; write_file(sys.argv[1], b'written')"


def write(target: str, **how: object) -> subprocess.CompletedProcess[bytes]:
    """Write to a path in a process of its own."""
    return subprocess.run([sys.executable, "-c", WRITE, target], check=False, **how)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def stdout(tmp_path: Path) -> Path:
    """A link to standard output as /dev has it, which a test may break."""
    link = tmp_path / "stdout"
    link.symlink_to("/proc/self/fd/1")
    return link


@pytest.mark.parametrize("target", ["/dev/fd/1", "/proc/self/fd/1", "link", "link to a link"])
def test_what_a_process_has_open_is_written_to_and_its_links_stay(
    target: str, stdout: Path, tmp_path: Path
) -> None:
    further = tmp_path / "further"
    further.symlink_to(stdout)
    path = {"link": str(stdout), "link to a link": str(further)}.get(target, target)
    with (tmp_path / "f").open("wb") as file:
        assert write(path, stdout=file).returncode == 0
    assert (tmp_path / "f").read_bytes() == b"written"
    assert write(path, stdout=subprocess.PIPE).stdout == b"written"
    assert os.readlink(stdout) == "/proc/self/fd/1"
    assert further.is_symlink()


def test_a_status_to_standard_output_is_written_there(tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-m", "osnet_edge.cli.main", "device"]
    subprocess.run([*command, "init", "--store", store, "--device", "c"], check=True, capture_output=True)
    before = os.readlink("/dev/stdout")
    with (tmp_path / "f").open("wb") as file:
        subprocess.run([*command, "status", "--store", store, "-o", "/dev/stdout"], check=True, stdout=file)
    assert json.loads((tmp_path / "f").read_text())["device"] == "c"
    assert os.readlink("/dev/stdout") == before


def test_a_link_to_a_file_is_written_through(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/file")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (folder / "file").read_bytes() == b"new"
    assert [path.name for path in folder.iterdir()] == ["file"]


def refuse(target: Path, match: str) -> None:
    with pytest.raises(InputError, match=match):
        write_file(target, b"new")


def test_a_link_or_a_device_that_cannot_be_written_through_is_refused_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refuse(tmp_path / "pipe", "device, pipe or broken link")
    for name, leads_to in (("broken", "nowhere"), ("round", "round"), ("null", "/dev/null"), ("to", "pipe")):
        (tmp_path / name).symlink_to(leads_to)
        refuse(tmp_path / name, "device, pipe or broken link")
        assert os.readlink(tmp_path / name) == leads_to
    refuse(Path("/dev/null"), "device, pipe or broken link")
    package = tmp_path / "package"
    package.mkdir()
    (package / "manifest.json").write_text("{}")
    (package / "model.onnx").write_text("model")
    (tmp_path / "into").symlink_to(package / "model.onnx")
    refuse(tmp_path / "into", "is an engine package")


def test_a_link_of_somebody_else_in_a_folder_of_all_is_refused_as_the_system_does(tmp_path: Path) -> None:
    protected = Path("/proc/sys/fs/protected_symlinks")
    if os.geteuid() != 0 or not protected.exists() or protected.read_text().strip() != "1":
        pytest.skip("needs root, and a system that protects links")
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "passwd").write_bytes(b"root")
    link = shared / "out.json"
    link.symlink_to(tmp_path / "passwd")
    os.chown(link, 65534, 65534, follow_symlinks=False)
    refuse(link, "cannot be written through")
    assert (tmp_path / "passwd").read_bytes() == b"root"


def test_a_link_is_no_folder_to_make(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for replace in (False, True):
        with (
            pytest.raises(InputError, match="is a link"),
            write_folder_aside(tmp_path / "link", replace=replace),
        ):
            pass
    assert (tmp_path / "link").is_symlink()
