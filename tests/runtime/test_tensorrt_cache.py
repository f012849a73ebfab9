"""TensorRT-RTX's compiled kernels between processes: found again, never trusted blindly, never in the way."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from osnet_edge.runtime.backends.tensorrt.cache import RuntimeCache, cache_path
from osnet_edge.runtime.backends.tensorrt.library import ErrorCollector, Library
from osnet_edge.runtime.cuda.probe import CudaDevice

GPU = CudaDevice("NVIDIA GeForce RTX 3060", "8.6")
RTX = SimpleNamespace(CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole"))


def library(version: str = "1.7.1.116") -> Library:
    return Library("tensorrt_rtx", version, RTX, None, ErrorCollector())


class Engine:
    """TensorRT-RTX's engine, configuration and cache in one: it takes any blob that begins as its own do."""

    def __init__(self, compiled: bytes = b"kernels: a") -> None:
        self.compiled, self.read, self.cuda_graph_strategy = compiled, b"", "disabled"

    def create_runtime_config(self) -> Engine:
        return self

    def create_runtime_cache(self) -> Engine:
        return self

    def set_runtime_cache(self, cache: object) -> bool:
        return True

    def create_execution_context(self, config: object) -> str:
        assert config is self
        return "context"

    def deserialize(self, blob: bytes) -> bool:
        self.read = blob if blob.startswith(b"kernels: ") else b""
        return bool(self.read)

    def serialize(self) -> bytes:
        return self.compiled


def test_kernels_are_written_once_and_read_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "osnet.kernels"
    first = Engine()
    cache = RuntimeCache(first, library(), path)
    assert (cache.create_context(), first.read) == ("context", b"")
    cache.save()
    written = path.stat().st_mtime_ns
    cache.save()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (b"kernels: a", written)
    second = Engine()
    again = RuntimeCache(second, library(), path)
    assert second.read == b"kernels: a"
    again.save()
    assert path.stat().st_mtime_ns == written
    # What it compiles later is written too.
    second.compiled = b"kernels: a b"
    again.save()
    assert path.read_bytes() == b"kernels: a b"
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("found", [b"", b"of another version", b"\0" * 1000])
def test_what_does_not_fit_is_compiled_again_and_replaced(found: bytes, tmp_path: Path) -> None:
    path = tmp_path / "osnet.kernels"
    path.write_bytes(found)
    engine = Engine()
    cache = RuntimeCache(engine, library(), path)
    assert engine.read == b""
    cache.save()
    assert path.read_bytes() == b"kernels: a"


def test_a_place_that_cannot_be_written_costs_nothing_but_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    RuntimeCache(Engine(), library(), tmp_path / "file" / "osnet.kernels").save()


def test_tensorrt_rtxs_own_graphs_are_asked_for_where_it_has_them(tmp_path: Path) -> None:
    engine = Engine()
    cache = RuntimeCache(engine, library(), tmp_path / "x")
    assert (cache.graphs, cache.has_graphs) == ("TensorRT-RTX's own CUDA graphs", True)
    assert engine.cuda_graph_strategy == "whole"
    engine = Engine()
    assert RuntimeCache(engine, library(), tmp_path / "x", False).graphs.startswith("no CUDA graphs")
    assert engine.cuda_graph_strategy == "disabled"
    del engine.cuda_graph_strategy
    assert RuntimeCache(engine, library(), tmp_path / "x").graphs.startswith("no CUDA graphs")


def test_each_plan_version_and_gpu_has_a_file_of_its_own_beside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "osnet-rtx"
    package.mkdir()
    one = cache_path(package, "a" * 64, library(), GPU)
    assert one == tmp_path / "osnet-rtx.aaaaaaaaaaaa.1.7.1.116.NVIDIA-GeForce-RTX-3060.kernels"
    others = {
        cache_path(package, "b" * 64, library(), GPU),
        cache_path(package, "a" * 64, library("1.8.0.1"), GPU),
        cache_path(package, "a" * 64, library(), CudaDevice("NVIDIA L4 / 24 GB", "8.9")),
    }
    assert len(others | {one}) == 4
    assert {path.parent for path in others} == {tmp_path}


def test_a_read_only_place_sends_it_to_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = cache_path(tmp_path / "osnet-rtx", "a" * 64, library(), GPU)
    assert path.parent == tmp_path / "cache" / "osnet-edge"
    RuntimeCache(Engine(), library(), path).save()
    assert path.read_bytes() == b"kernels: a"
