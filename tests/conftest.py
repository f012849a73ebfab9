"""What tests of several rooms share: the data beside the checkout, where there is any, and one small network.

It imports no torch: the network is made in a process of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from networks import FOLDER_VARIABLE, network

from osnet_edge.engines.build import build_package
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.train.synthetic import sample_crops

# Tests run two at a time, and small networks on two threads each would wait for one another. torch reads it.
os.environ["OMP_NUM_THREADS"] = "1"

# How long an example takes is the machine's to say. Each test's own settings are on top of these.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

SHARED = Path(__file__).parents[1].parent / "shared"


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> None:
    """Nothing that a test remembers outlives it, or is taken from who runs the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    root = tmp_path_factory.getbasetemp()
    os.environ[FOLDER_VARIABLE] = str(root.parent if hasattr(pytestconfig, "workerinput") else root)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden values, weights and images beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder {SHARED.name} beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """An x0_25 with random weights, whose batch norms do something, and a classifier of 5."""
    return network("checkpoint") / "osnet.pth"


@pytest.fixture(scope="session")
def graph() -> Path:
    """That checkpoint as ONNX: uint8 input of 256x128."""
    return network("checkpoint") / "osnet.onnx"


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
def litert_package(graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That graph as a float32 package for LiteRT, which is optional."""
    pytest.importorskip("ai_edge_litert", reason="needs LiteRT: pip install 'osnet-edge[litert]'")
    path = tmp_path_factory.mktemp("package") / "osnet-litert"
    build_package(graph, path, target="litert", golden_crops=sample_crops(2, 100, 40))
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
