"""An update over the network: the host's signed repository, on the loopback, and the camera's agent."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from arm64.artefacts import osnet_edge
from arm64.camera import INSIDE, Camera, Processor
from arm64.findings import Finding, State
from osnet_edge.runtime.errors import CheckError

#: Seconds and megabytes for a proof: emulation takes many times a camera's.
_LIMITS = ("--prove-s", "1800", "--prove-mb", "8192")


def check_updates(camera: Camera, processor: Processor, first: Path, second: Path) -> Iterator[Finding]:
    """Install one package on the emulated camera and then another, as a fleet's camera would.

    Yields:
        A finding for each step; none after one that is wrong.
    """
    # Another for each processor: what a release is, is decided once for a repository.
    name = f"fleet-{processor.name}"
    repository, store = camera.folder / name, INSIDE / f"store-{processor.name}"
    shutil.rmtree(repository, ignore_errors=True)
    shutil.rmtree(camera.work / store.name, ignore_errors=True)
    root = INSIDE / f"{name}.root.json"

    def publish(release: str, package: Path) -> None:
        keys = (
            "--targets-key",
            str(repository / "targets.key"),
            "--online-key",
            str(repository / "online.key"),
        )
        osnet_edge("publish", str(package), "--repo", str(repository), "--release", release, *keys)

    def update() -> str:
        said = json.loads(camera.osnet_edge(processor, "device", "update", "--store", str(store), "--json"))
        return str(said["what"])

    _make_repository(repository)
    shutil.copy(repository / "metadata/1.root.json", camera.work / root.name)
    with _served(repository) as url:
        who = ("--device", "camera-1", "--url", url, "--root", str(root))
        camera.osnet_edge(processor, "device", "init", "--store", str(store), *who, *_LIMITS)
        for release, package in (("r1", first), ("r2", second)):
            publish(release, package)
            for what, expected in (
                (f"{release}, {package.name}", "installed"),
                (f"{release} again", "current"),
            ):
                try:
                    became = update()
                except CheckError as error:
                    yield Finding(processor.name, "device update", what, "wrong", str(error))
                    return
                state: State = "holds" if became == expected else "wrong"
                yield Finding(processor.name, "device update", what, state, became)
    served = camera.ask(processor, "prove", str(store / "current"))
    yield Finding(
        processor.name,
        "device update",
        "what the link leads to, proven",
        "holds",
        f"{served['distance']:.1e}",
    )


def _make_repository(repository: Path) -> None:
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
