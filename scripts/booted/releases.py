"""What a booted camera is offered: packages of one small network, good and bad, from a signed repository."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
from arm64.artefacts import Artefacts, osnet_edge
from arm64.fleet import keys_of, make_repository, publish
from onnx import helper, numpy_helper

from booted.machine import free_port
from osnet_edge.runtime.errors import CheckError

_VARIANT = "osnet_x0_25"
#: Small, since an emulated processor takes hundreds of times as long.
_SIZE = "64x32"
#: Another manifest is another archive.
_BATCHES = {"good-a": "1,8,32", "good-b": "1,4,16"}
#: Slow enough that a package takes seconds, and a cut can fall into them.
_RATE = "400k"
#: One more than the darkest pixel that the bad engine can look up.
_TABLE = 255


class Releases:
    """Packages, the repository, and its web server on the loopback.

    Args:
        folder: of all that; packages in `packages` are used again.
    """

    def __init__(self, folder: Path, packages: Path) -> None:
        self.repository, self._packages, self._scratch = folder / "fleet", packages, folder / "nginx"
        self.port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._scratch.mkdir(parents=True)
        make_repository(self.repository)
        self.build()

    @property
    def root(self) -> Path:
        """The trust anchor that a camera is given."""
        return self.repository / "metadata/1.root.json"

    def build(self) -> None:
        """Build the packages that are not there."""
        graph = self._packages / "small.onnx"
        glare = graph.with_name("glare.onnx")
        if not graph.exists():
            checkpoint = Artefacts(self._packages).golden_graph(_VARIANT).with_suffix(".pth")
            osnet_edge("export", str(checkpoint), "--size", _SIZE, "-o", str(graph))
        if not glare.exists():
            onnx.save(_failing_in_glare(onnx.load(graph)), glare)
        for name, batch in _BATCHES.items():
            self._build(graph, name, batch)
        for name, batch in (("fails-in-service", "1,8,32"), ("ends-the-program", "1,4,16")):
            self._build(glare, name, batch)

    def _build(self, graph: Path, name: str, batch: str) -> None:
        place = self._packages / name
        if not place.exists():
            osnet_edge("build", str(graph), "--target", "cpu", "--batch", batch, "-o", str(place))

    def publish(self, release: str, package: str) -> None:
        """Publish one of the packages."""
        publish(self.repository, release, self._packages / package)

    def decide(self, release: str, *how: str) -> None:
        """Decide anew about a release, as by `osnet-edge rollout`."""
        osnet_edge("rollout", release, "--repo", str(self.repository), *how, *keys_of(self.repository))

    def drop(self, release: str) -> None:
        """Forget a release that no camera has to have any more."""
        self.decide(release, "--drop")

    def serve(self) -> None:
        """Start the web server.

        Raises:
            CheckError: it does not start.
        """
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {self._scratch}/{kind};" for kind in kinds)
        config = self._scratch / "nginx.conf"
        config.write_text(
            f"daemon off; user root; pid {self._scratch}/pid; events {{ }}\n"
            f"http {{ {temporary} access_log {self.log}; keepalive_timeout 5;\n"
            f"server {{ listen 127.0.0.1:{self.port}; root {self.repository};\n"
            f"location /targets/ {{ limit_rate {_RATE}; }} }} }}\n"
        )
        self._server = subprocess.Popen(["nginx", "-c", str(config), "-e", str(self._scratch / "errors")])  # noqa: S603, S607
        time.sleep(0.5)
        if self._server.poll() is not None:
            raise CheckError(f"nginx did not start: {(self._scratch / 'errors').read_text()[-300:]}")

    def stop(self) -> None:
        """Stop the web server."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
            self._server = None

    @property
    def log(self) -> Path:
        """Where the web server writes what was asked."""
        return self._scratch / "access.log"

    def asked(self) -> list[str]:
        """Return what was asked for, oldest first, once it was answered or given up."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line.split('"')[1].split()[1] for line in lines if line.count('"') > 1]


def _failing_in_glare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make a network that is the same in all but one thing: a crop that is white all over is an error.

    Its proof holds, since no golden crop is; only a program that embeds what a camera sees can tell.
    """
    graph = model.graph
    images, embeddings = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.output[:] = ["embeddings_of_it" if name == embeddings else name for name in node.output]
    table = numpy_helper.from_array(np.zeros(_TABLE, np.float32), "glare_table")
    axis = numpy_helper.from_array(np.array([1], np.int64), "glare_axis")
    graph.initializer.extend([table, axis])
    graph.node.extend(
        [
            helper.make_node(
                "Cast", [images], ["glare_pixels"], name="glare_cast", to=onnx.TensorProto.INT64
            ),
            helper.make_node(
                "ReduceMin", ["glare_pixels"], ["glare_darkest"], name="glare_min", axes=[1, 2, 3], keepdims=0
            ),
            helper.make_node("Gather", ["glare_table", "glare_darkest"], ["glare_zero"], name="glare_gather"),
            helper.make_node(
                "Unsqueeze", ["glare_zero", "glare_axis"], ["glare_column"], name="glare_column"
            ),
            helper.make_node("Add", ["embeddings_of_it", "glare_column"], [embeddings], name="glare_add"),
        ]
    )
    return model
