"""The wheel holds the whole package, typed, and works where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: What of the checkout is the package's own folder.
API = "api"
ROOMS = ("bench", "cli", "engines", "export", "integrate", "runtime", "ship", "track", "train")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of this checkout and unpacked into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, since setuptools would put back into the wheel what an earlier build left behind.
    source = folder / "source"
    source.mkdir()
    # With what must not be in it, which stands beside the rooms.
    for room in (*ROOMS, API, "scripts"):
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(folder), str(source)], check=True, stderr=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_source_file_is_in_the_wheel_and_nothing_else(installed: Path) -> None:
    sources = {str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    typed = {f"{room}/py.typed" for room in ROOMS}
    data = {
        str(path.relative_to(ROOT))
        for room, kind in (
            ("train", "*.json"),
            ("train", "*.toml"),
            ("runtime", "*.cu"),
            ("integrate/consumers", "*.md"),
            ("integrate/consumers", "*.txt"),
        )
        for path in (ROOT / room).rglob(kind)
    }
    for folder in (ROOT / "ship" / "device" / "units", ROOT / "bench" / "report" / "templates"):
        data |= {str(path.relative_to(ROOT)) for path in folder.iterdir()}
    package = installed / "osnet_edge"
    own = {path.name for path in (ROOT / API).iterdir() if path.suffix in (".py", ".typed")}
    files = {str(p.relative_to(package)) for p in package.rglob("*") if p.is_file()}
    assert files == sources | typed | data | own


def test_the_wheel_embeds_without_the_checkout(installed: Path, package: Path, tmp_path: Path) -> None:
    code = (
        "import sys, numpy, osnet_edge as r; assert sys.argv[2] in r.__file__, r.__file__; "
        "print(r.Embedder.load(sys.argv[1])([numpy.zeros((9, 9, 3), numpy.uint8)]).shape)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(package), str(installed)],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "(1, 512)\n"
