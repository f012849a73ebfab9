"""Nothing leaves a machine unasked, and no file is written but the output and the documented cache.

Each command runs under strace, in a home of its own, with no variable set that would keep a library quiet.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleet import Web, make_camera, tiny_package
from needs import needs_openvino
from PIL import Image
from web_server import nginx

from osnet_edge.train.synthetic import sample_crops

CALLS = "connect,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat"
STRACE = ("strace", "-f", "-qq", "-y", "-s", "4096", "--seccomp-bpf", "-e", f"trace={CALLS}")
#: Set by who runs the tests, and quieten libraries that would not be quiet for a user.
QUIET = ("ORT_DISABLE_TELEMETRY", "CI", "TF_BUILD", "JENKINS_URL", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
FILE = re.compile(r'(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, "(?P<name>[^"]*)"|\w+\("(?P<path>[^"]*)"')


@functools.cache
def why_no_strace() -> str:
    program = shutil.which("strace")
    if program is None:
        return "needs strace, which is not installed: apt-get install strace"
    tried = subprocess.run([*STRACE, "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(frozen=True)
class Traced:
    """What a command did.

    Attributes:
        addresses: host and port of each internet address that it called or sent to.
        written: absolute paths of the files and folders that it opened to write, or made.
    """

    addresses: list[tuple[str, int]]
    written: list[Path]


@dataclass(frozen=True)
class Place:
    """A scratch folder with a home, and a folder to work in."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def run(self, *arguments: str, python: tuple[str, ...] = ("-m", "osnet_edge")) -> Traced:
        """Run Python under strace, and read what it did."""
        log = self.folder / "strace.log"
        given = {name: value for name, value in os.environ.items() if name not in QUIET}
        own = {"HOME": str(self.home), "TMPDIR": str(self.folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = (sys.executable, *python, *arguments)
        ran = subprocess.run(
            [*STRACE, "-o", log, *command],
            env={**given, **own},
            cwd=self.work,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        lines = log.read_text(errors="replace").splitlines()
        addresses = [(host, int(port)) for line in lines for port, host in ADDRESS.findall(line)]
        return Traced(addresses, [path for line in lines if (path := self.written(line))])

    def written(self, line: str) -> Path | None:
        """The path that a line of strace writes to; None where it only reads."""
        # A call that another process interrupted ends in a second line, which names nothing.
        makes = re.search(r"\b(creat|mkdir|mkdirat)\(", line)
        writes = re.search(r"\bopen(at)?\(.*\b(O_WRONLY|O_RDWR|O_CREAT)\b", line)
        found = FILE.search(line)
        if not found or not (makes or writes):
            return None
        return Path(os.path.normpath(Path(found["folder"] or self.work, found["name"] or found["path"])))

    def hold(self, traced: Traced, *, servers: tuple[int, ...] = ()) -> None:
        """Hold a command to its output, its cache, and the servers on this machine that it was told of."""
        for host, port in traced.addresses:
            assert host in ("127.0.0.1", "::1"), (host, port)
            assert port in servers, (host, port)
        cache = self.home / ".cache" / "osnet-edge"
        places = (self.work, self.folder / "tmp", cache, Path("/dev/null"), Path("/dev/shm"), Path("/proc"))
        for path in traced.written:
            assert any(path.is_relative_to(place) for place in places) or cache.is_relative_to(path), path
        left = {path for path in self.home.rglob("*") if path.is_file()}
        assert all(path.is_relative_to(cache) for path in left), left


@pytest.fixture
def place(tmp_path: Path) -> Place:
    if why := why_no_strace():
        pytest.skip(why)
    for name in ("home", "work", "tmp", "work/crops"):
        (tmp_path / name).mkdir()
    for index, crop in enumerate(sample_crops(2)):
        Image.fromarray(crop).save(tmp_path / "work" / "crops" / f"{index}.png")
    return Place(tmp_path)


def test_the_tracer_sees_calls_and_files(place: Place) -> None:
    # Connecting a datagram socket sends nothing; the address is one of those kept for documentation.
    code = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 53)); open('x', 'w')"
    traced = place.run(code, python=("-c",))
    assert traced.addresses == [("192.0.2.1", 53)]
    assert place.work / "x" in traced.written


LOADED_FIRST = {
    "the runtime": "from osnet_edge.runtime import Embedder",
    "the package": "from osnet_edge import Embedder",
    "what runs graphs to quantise them": "import osnet_edge.engines.graph.running",
    "the parity check of exports": "import osnet_edge.export.parity",
}


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in LOADED_FIRST.items()])
def test_onnxruntime_is_quiet_whichever_part_is_loaded_first(code: str, place: Place, package: Path) -> None:
    model = str(package / "model.onnx")
    run = f"{code}; import onnxruntime; onnxruntime.InferenceSession({model!r})"
    place.hold(place.run(run, python=("-c",)))


@needs_openvino
def test_openvino_is_quiet_and_what_tells_stays_importable(place: Place) -> None:
    code = (
        "from osnet_edge.runtime.backends.openvino import open_core; import sys, importlib.util as u; "
        "open_core(); assert 'openvino_telemetry' not in sys.modules; u.find_spec('openvino_telemetry')"
    )
    place.hold(place.run(code, python=("-c",)))


def engines(package: Path, request: pytest.FixtureRequest) -> list[str]:
    """A package for each library on CPUs that is here."""
    found = [str(package)]
    if not needs_openvino.args[0]:
        found.append(str(request.getfixturevalue("openvino_package")))
    return found


def test_embedding(place: Place, package: Path, request: pytest.FixtureRequest) -> None:
    for engine in engines(package, request):
        place.hold(place.run("embed", engine, "crops", "-o", "embeddings.npz"))


def test_measuring(place: Place, package: Path, request: pytest.FixtureRequest) -> None:
    options = ("--duration", "0.2", "--batch", "1", "--json", "result.json", "--report", "report.html")
    place.hold(place.run("bench", *engines(package, request), *options))


@pytest.mark.parametrize("target", ["cpu", pytest.param("openvino", marks=needs_openvino)])
def test_building(target: str, place: Place, graph: Path) -> None:
    place.hold(place.run("build", str(graph), "--target", target, "-o", "built"))


def test_the_agent_on_a_device(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("web")
    with nginx(folder, tmp_path_factory.mktemp("nginx")) as url:
        fleet = Web(folder, url).fleet("fleet")
        fleet.publish("r1", tiny_package(1))
        make_camera(place.work / "camera", fleet)
        traced = place.run("device", "update", "--store", "camera")
        place.hold(traced, servers=(int(url.rpartition(":")[2]),))
        # It fetched its engine, so that the agent was at work.
        assert traced.addresses
        place.hold(place.run("device", "status", "--store", "camera"))
