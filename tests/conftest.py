"""What several tests share: the data beside the checkout, where there is any, and small real things."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fleet import Fleet, Web, make_camera, tiny_package, update
from hypothesis import settings
from training_runs import few_people
from web_server import nginx

from osnet_edge.engines.build import build_package
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.ship.device.store import Store
from osnet_edge.train.checkpoint import save_osnet
from osnet_edge.train.data import ReidSet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import sample_crops
from osnet_edge.train.variants import variant_named

# Tests run two at a time, and small networks on two threads each would wait for one another.
torch.set_num_threads(1)

# How long an example takes is the machine's to say. Each test's own settings are on top of these.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

SHARED = Path(__file__).parents[1].parent / "shared"


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing that a test remembers outlives it, or is taken from who runs the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden values, weights and pictures beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder {SHARED.name} beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An x0_25 with random weights, whose batch norms do something, and a classifier of 5."""
    torch.manual_seed(0)
    model = OSNet(variant_named("osnet_x0_25"), num_classes=5)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
    path = tmp_path_factory.mktemp("checkpoint") / "osnet.pth"
    save_osnet(model, path)
    return path


@pytest.fixture(scope="session")
def graph(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That checkpoint as ONNX: uint8 input of 256x128."""
    path = tmp_path_factory.mktemp("graph") / "osnet.onnx"
    export_onnx(checkpoint, path)
    return path


@pytest.fixture(scope="session")
def package(graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That graph as a package for the CPU; tests that change it copy it."""
    path = tmp_path_factory.mktemp("package") / "osnet-cpu"
    build_package(graph, path, target="cpu", golden_crops=sample_crops(2, 100, 40))
    return path


@pytest.fixture(scope="session")
def openvino_package(graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That graph as a float32 package for OpenVINO, which is optional."""
    pytest.importorskip("openvino")
    path = tmp_path_factory.mktemp("package") / "osnet-openvino"
    build_package(
        graph, path, target="openvino", golden_crops=sample_crops(2, 100, 40), batch=BatchRange(1, 3, 32)
    )
    return path


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    """64 pictures of 8 drawn people to train on; tests that change them copy them."""
    return few_people(tmp_path_factory.mktemp("few") / "few")


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A folder that nginx serves; one nginx for all tests of a process."""
    folder = tmp_path_factory.mktemp("web")
    with nginx(folder, tmp_path_factory.mktemp("nginx")) as url:
        yield Web(folder, url)


@pytest.fixture
def fleet(web: Web, request: pytest.FixtureRequest) -> Fleet:
    """A fleet with one release."""
    fleet = web.fleet(f"fleet-{abs(hash(request.node.nodeid))}")
    fleet.publish("r1", tiny_package(1))
    return fleet


@pytest.fixture
def camera(fleet: Fleet, tmp_path: Path) -> Store:
    """A camera of that fleet, with that release."""
    store = make_camera(tmp_path / "camera", fleet)
    assert update(store).what == "installed"
    return store


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
