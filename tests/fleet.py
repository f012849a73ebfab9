"""A fleet for the tests of shipping: tiny engines, a repository with its keys, and cameras."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from securesystemslib.signer import CryptoSigner

from osnet_edge.engines.build import build_package
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import OsnetEdgeError
from osnet_edge.runtime.package.graph_info import METADATA_KEY, GraphInfo, dump_graph_info
from osnet_edge.runtime.package.manifest import ModelInfo
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.ship.channel import Rollout
from osnet_edge.ship.device.agent import Agent
from osnet_edge.ship.device.config import DeviceConfig, Health, Limits, write_config
from osnet_edge.ship.device.facts import DeviceFacts
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.state import Event
from osnet_edge.ship.device.store import Store
from osnet_edge.ship.device.verify import Proof, check_latency, measure
from osnet_edge.ship.publish.releases import Measured, draft_release, draft_rollout
from osnet_edge.ship.publish.repository import Repository
from osnet_edge.ship.publish.signed import sign
from osnet_edge.ship.publish.signers import Expiry, Signers

CHANNEL = "stable"
FACTS = DeviceFacts("test-camera", "x86_64", "", 4000, {"onnxruntime": "1.20.0"})


def tiny_onnx(path: Path, seed: int) -> Path:
    """Bytes (N, 32, 32, 3) through one convolution to 8 numbers; each seed is another network."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["map"], strides=[4, 4]),
        helper.make_node("Relu", ["map"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embeddings"]),
    ]
    for node in nodes:
        # As exporters do: the quantiser knows layers by their names.
        node.name = node.op_type.lower()
    kernel = numpy_helper.from_array(rng.normal(0, 0.1, (8, 3, 4, 4)).astype(np.float32), "kernel")
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 32, 32, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", 8])],
        [kernel],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    info = GraphInfo(
        ModelInfo("osnet_x0_25", 8, False, f"seed-{seed}", "0" * 64), Preprocessing(height=32, width=32), {}
    )
    helper.set_model_props(model, {METADATA_KEY: dump_graph_info(info)})
    onnx.save(model, path)
    return path


@functools.cache
def tiny_package(seed: int, name: str = "tiny") -> Path:
    """A package of a tiny network, made once in a process."""
    place = _folder() / f"{name}-{seed}"
    place.mkdir()
    crops = np.random.default_rng(seed).integers(0, 256, (4, 40, 40, 3), np.uint8)
    build_package(tiny_onnx(place / "t.onnx", seed), place / name, target="cpu", golden_crops=crops)
    return place / name


def two_slots(root: Path) -> Store:
    """Make a store of two slots with an engine each, and the link at the first."""
    store = Store(root)
    store.make()
    shutil.copytree(tiny_package(1), store.slot("a"))
    shutil.copytree(tiny_package(2), store.slot("b"))
    store.flip("a")
    return store


def read_heartbeat(file: Path) -> dict[str, Any]:
    """What a `FollowingEmbedder` told last."""
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def wait_for(condition: Callable[[], bool]) -> None:
    """Look until something holds, ten seconds at most."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


@dataclass
class Fleet:
    """A repository, the keys to it, and an address at which it is served."""

    folder: Path
    root: tuple[CryptoSigner, ...]
    targets: tuple[CryptoSigner, ...]
    online: CryptoSigner
    url: str = ""
    expiry: Expiry = field(default_factory=Expiry)

    @property
    def repository(self) -> Repository:
        return Repository(self.folder, self.expiry)

    def signers(self) -> Signers:
        return Signers(
            tuple(key.public_key for key in self.root),
            2,
            tuple(key.public_key for key in self.targets),
            len(self.targets),
            (self.online.public_key,),
        )

    def install(self, draft: Any) -> None:
        """Sign what changes targets, and put it in place."""
        sign(draft, self.targets)
        self.repository.install_targets(draft, [self.online])

    def publish(
        self,
        release: str,
        *packages: Path,
        rollout: Rollout | None = None,
        requirements: str = "",
        **measured: float,
    ) -> None:
        """Publish packages as a release."""
        given = {package: Measured(**measured) for package in packages}
        self.install(
            draft_release(
                self.repository, CHANNEL, release, given, requirements=requirements, rollout=rollout
            )
        )

    def decide(self, release: str, **change: Any) -> None:
        """Decide anew about a release."""
        self.install(draft_rollout(self.repository, CHANNEL, release, **change))


def make_fleet(folder: Path, *, root: int = 3, targets: int = 1, expiry: Expiry | None = None) -> Fleet:
    """A repository with a root, and nothing published."""
    fleet = Fleet(
        folder,
        tuple(CryptoSigner.generate_ed25519() for _ in range(root)),
        tuple(CryptoSigner.generate_ed25519() for _ in range(targets)),
        CryptoSigner.generate_ed25519(),
        expiry=expiry or Expiry(),
    )
    draft = fleet.repository.draft_root(fleet.signers())
    sign(draft, fleet.root[:2])
    fleet.repository.install_root(draft)
    return fleet


def make_camera(
    folder: Path,
    fleet: Fleet,
    *,
    device: str = "camera-1",
    ring: str = "default",
    health: Health | None = None,
    limits: Limits | None = None,
) -> Store:
    """A camera's store, told of a repository by hand."""
    store = Store(folder)
    store.make()
    shutil.copy(fleet.folder / "metadata" / "1.root.json", store.trusted_root)
    config = DeviceConfig(
        1,
        device,
        fleet.url,
        FACTS.model,
        CHANNEL,
        ring,
        health=health or Health(),
        limits=limits or Limits(reserve_mb=0),
    )
    write_config(store.config_file, config)
    return store


def verify_here(package: Path, limits: Limits) -> Proof:
    """Verify an engine as an agent does, but in this process, which has ONNX Runtime loaded anyway."""
    try:
        proof = measure(package)
    except OsnetEdgeError as error:
        raise RefusedError("proof", f"the engine failed its proof on this device: {error}") from None
    return check_latency(proof, limits)


def update(store: Store, **parts: Any) -> Event:
    """Run the agent once, verifying in this process."""
    return Agent(store, **{"verify": verify_here, "facts": FACTS, **parts}).update()


def serving(store: Store) -> str:
    """Return the network that the link leads to, loaded and proven."""
    embedder = Embedder.load(store.link)
    embedder.prove()
    return embedder.manifest.model.checkpoint


def archive_of(fleet: Fleet, release: str) -> Path:
    """Return the only archive of a release."""
    (archive,) = (fleet.folder / "targets" / "packages" / release).iterdir()
    return archive


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[Path]:
    """A disk of its own in memory, with such options as `size=1m` or `nr_inodes=100`."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs to mount a small disk, which root may")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


class Web(NamedTuple):
    """A folder and the address at which nginx serves it; repositories are folders in it."""

    folder: Path
    url: str

    def fleet(self, name: str, **how: Any) -> Fleet:
        """A repository that is served."""
        fleet = make_fleet(self.folder / name, **how)
        fleet.url = f"{self.url}/{name}"
        return fleet


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="osnet-edge-fleet-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
