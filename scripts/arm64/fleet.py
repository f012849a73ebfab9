"""An update over the network: the host's signed repository, on the loopback, and the camera's agent."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from arm64.artefacts import osnet_edge
from arm64.camera import INSIDE, Camera, Processor
from arm64.findings import Finding
from osnet_edge.runtime.errors import CheckError

_CHECK = "device update"
#: Seconds and megabytes for a proof: emulation takes many times a camera's.
_LIMITS = ("--prove-s", "1800", "--prove-mb", "8192")


def check_updates(camera: Camera, processor: Processor, first: Path, second: Path) -> Iterator[Finding]:
    """Install one package on the emulated camera and then another, as a fleet's camera would.

    Yields:
        A finding for each step; none after one that is wrong.
    """
    # Another for each processor: what a release is, is decided once for a repository.
    repository = camera.folder / f"fleet-{processor.name}"
    name, root = f"store-{processor.name}", f"{processor.name}.root.json"
    store = str(INSIDE / name)
    shutil.rmtree(repository, ignore_errors=True)
    shutil.rmtree(camera.work / name, ignore_errors=True)
    make_repository(repository)
    shutil.copy(repository / "metadata/1.root.json", camera.work / root)
    with _served(repository) as url:
        who = ("--device", "camera-1", "--url", url, "--root", str(INSIDE / root))
        camera.osnet_edge(processor, "device", "init", "--store", store, *who, *_LIMITS)
        for release, package in (("r1", first), ("r2", second)):
            publish(repository, release, package)
            yield _update(camera, processor, store, f"{release}, {package.name}", "installed")
            yield _update(camera, processor, store, f"{release} once more", "current")
    distance = camera.ask(processor, "prove", f"{store}/current")["distance"]
    yield Finding(processor.name, _CHECK, "what the link leads to, proven", "holds", f"{distance:.1e}")


def _update(camera: Camera, processor: Processor, store: str, what: str, expected: str) -> Finding:
    """Run the agent once.

    Raises:
        CheckError: it says something else than expected, or fails.
    """
    said = camera.osnet_edge(processor, "device", "update", "--store", store).splitlines()[0]
    if said.split()[0] != expected:
        raise CheckError(f"expected {what} to be {expected}, got: {said}")
    return Finding(processor.name, _CHECK, what, "holds", expected)


def publish(repository: Path, release: str, package: Path) -> None:
    """Publish a package as a release."""
    osnet_edge("publish", str(package), "--repo", str(repository), "--release", release, *keys_of(repository))


def keys_of(repository: Path) -> list[str]:
    """Return the options of a repository's own keys, to publish or decide with."""
    roles = ("targets", "online")
    return [word for role in roles for word in (f"--{role}-key", str(repository / f"{role}.key"))]


def make_repository(repository: Path) -> None:
    """Make a repository with one key for each role, kept beside its metadata."""
    repository.mkdir()
    keys = {role: repository / f"{role}.key" for role in ("root", "targets", "online")}
    for key in keys.values():
        osnet_edge("keys", "new", str(key))
    draft = str(repository / "root.draft")
    public = [word for role, key in keys.items() for word in (f"--{role}", f"{key}.pub")]
    osnet_edge("keys", "root", "--repo", str(repository), *public, "--threshold", "1", "-o", draft)
    osnet_edge("keys", "sign", draft, "--key", str(keys["root"]))
    osnet_edge("keys", "install", draft, "--repo", str(repository))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback, which the root shares; the block gets the address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
