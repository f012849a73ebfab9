"""What is measured on a GPU: one network in PyTorch, ONNX Runtime and TensorRT, published and rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osnet_edge.export.folding import fold_batch_norms
from osnet_edge.export.rewrite import parse_rewrite, rewrite
from osnet_edge.runtime.errors import OsnetEdgeError, UnavailableError
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.osnet import OSNet

HOW = Preprocessing()
NETWORKS = ("published", "rewritten")
#: A run, and the embeddings that it gave.
Made = tuple[Callable[[], Any], Callable[[], Tensor]]


@dataclass(frozen=True)
class EngineVariant:
    """One way to run the network.

    Attributes:
        library: what runs it.
        network: `published` or `rewritten`.
        precision: of the arithmetic.
        cuda_graph: whether its kernels are launched as one graph.
    """

    library: str
    network: str
    precision: Precision
    cuda_graph: bool

    @property
    def name(self) -> str:
        """All of it in a line."""
        graph = ", CUDA graph" if self.cuda_graph else ""
        return f"{self.library} {self.network} {self.precision}{graph}"


@dataclass(frozen=True)
class Runner(EngineVariant):
    """Such a way, to be measured.

    Attributes:
        make: gives, for images uint8 (N, H, W, 3) on the device, what is timed; raises whatever is missing.
        batches: the sizes that it is for; None for all.
    """

    make: Callable[[Tensor], Made]
    batches: frozenset[int] | None = None


class BytesNetwork(nn.Module):
    """A network that takes bytes and gives float32, computing in a type of its own, as engines do."""

    mean: Tensor
    std: Tensor

    def __init__(self, osnet: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.osnet = osnet.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dtype = dtype
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) / HOW.scale for each in (HOW.mean, HOW.std))
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, H, W, 3) to (N, 512)."""
        normal = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        rows: Tensor = self.osnet(normal.to(self.dtype))
        return rows.float()


def torch_runners(osnet: OSNet, device: str, compiled: frozenset[int]) -> Iterator[Runner]:
    """Yield PyTorch eager, compiled and with CUDA graphs.

    Args:
        osnet: as `load_osnet` gives it.
        device: `cuda` or `cpu`.
        compiled: batch sizes for `torch.compile`, which takes a minute for each.
    """
    with torch.no_grad():
        folded = fold_batch_norms(osnet)
        networks = dict(zip(NETWORKS, (folded, rewrite(folded, parse_rewrite("auto"))), strict=True))
    types: dict[Precision, torch.dtype] = {"fp32": torch.float32}
    if device != "cpu":
        types["fp16"] = torch.float16
    for precision, dtype in types.items():
        for name, network in networks.items():
            module = BytesNetwork(deepcopy(network), dtype).to(device).eval()
            yield Runner("PyTorch eager", name, precision, False, partial(_eager, module))
            yield Runner("PyTorch", name, precision, True, partial(_captured, module))
            for mode, graph in (("default", False), ("reduce-overhead", True)):
                make = partial(_compiled, module, mode)
                yield Runner("torch.compile", name, precision, graph, make, compiled)


def _eager(module: nn.Module, images: Tensor) -> Made:
    def run() -> Tensor:
        with torch.inference_mode():
            rows: Tensor = module(images)
            return rows

    return run, run


def _compiled(module: nn.Module, mode: str, images: Tensor) -> Made:
    if mode == "reduce-overhead" and images.device.type != "cuda":
        raise UnavailableError("CUDA graphs need a GPU")
    compiled: Any = torch.compile(module, dynamic=False, mode=mode)
    run, _ = _eager(compiled, images)
    # The next call may write over what a graph gave.
    return run, lambda: run().clone()


def _captured(module: nn.Module, images: Tensor) -> Made:
    if images.device.type != "cuda":
        raise UnavailableError("CUDA graphs need a GPU")
    _, rows_of = _eager(module, images)
    # Off the default stream, and warmed up there, as torch.cuda.graphs asks.
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        for _ in range(3):
            rows_of()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        rows = rows_of()

    def replayed() -> Tensor:
        graph.replay()
        return rows.clone()

    return graph.replay, replayed


@dataclass
class Engines:
    """Packages of both networks, built when first asked for, and once.

    Args:
        checkpoint: the weights.
        folder: where graphs and packages go.
        largest: the largest batch.
        calibration: file of `osnet-edge calibrate`, for INT8.
    """

    checkpoint: Path
    folder: Path
    largest: int
    calibration: Path | None = None
    failed: dict[str, str] = field(default_factory=dict)

    def runners(self, device: str) -> Iterator[Runner]:
        """Yield ONNX Runtime, TensorRT-RTX and TensorRT; on the CPU, ONNX Runtime there."""
        targets: dict[str, tuple[str, tuple[Precision, ...], tuple[bool, ...]]] = {
            "onnxruntime-CUDA": ("cuda", ("fp32", "fp16"), (False,)),
            "TensorRT-RTX": ("rtx:current", ("fp32", "fp16", "int8"), (False, True)),
            "TensorRT": ("tensorrt", ("fp32", "fp16", "int8"), (False, True)),
        }
        if device == "cpu":
            targets = {"onnxruntime": ("cpu", ("fp32",), (False,))}
        for library, (target, precisions, graphs) in targets.items():
            for precision in precisions:
                for network in NETWORKS:
                    for graph in graphs:
                        make = self._maker(target, network, precision, graph)
                        yield Runner(library, network, precision, graph, make)

    def _maker(
        self, target: str, network: str, precision: Precision, graph: bool
    ) -> Callable[[Tensor], Made]:
        def make(images: Tensor) -> Made:
            package = self._package(target, network, precision)
            engine = _open(package, graph)
            # ONNX Runtime on the CPU knows no tensors of torch.
            batch = images if images.device.type == "cuda" else images.numpy()
            return lambda: engine(batch), lambda: torch.from_numpy(np.array(engine(batch)))

        return make

    def _package(self, target: str, network: str, precision: Precision) -> Path:
        """Build a package; what failed once is not tried again."""
        name = f"{target.replace(':', '-')}-{network}-{precision}"
        if name in self.failed:
            raise UnavailableError(self.failed[name])
        package = self.folder / name
        if not package.exists():
            try:
                self._build(package, target, network, precision)
            except (OsnetEdgeError, ImportError) as error:
                self.failed[name] = str(error)
                raise
        return package

    def _build(self, package: Path, target: str, network: str, precision: Precision) -> None:
        # Each needs libraries that a machine may lack, which is a row of its own.
        from osnet_edge.engines.build import build_package
        from osnet_edge.engines.calibration import read_calibration_set
        from osnet_edge.engines.int8 import Calibration
        from osnet_edge.export.to_onnx import export_onnx
        from osnet_edge.train.synthetic import sample_crops

        graph, calibration = self.folder / f"{network}.onnx", None
        if not graph.exists():
            passes = parse_rewrite("auto" if network == "rewritten" else "none")
            export_onnx(self.checkpoint, graph, passes=passes)
        if precision == "int8":
            if self.calibration is None:
                raise UnavailableError("INT8 needs --calibration FILE of osnet-edge calibrate")
            calibration = Calibration(read_calibration_set(self.calibration), self.calibration)
        build_package(
            graph,
            package,
            target=target,
            golden_crops=sample_crops(2, 200, 80),
            precision=precision,
            batch=BatchRange(1, min(8, self.largest), self.largest),
            calibration=calibration,
        )


def _open(package: Path, cuda_graphs: bool) -> Callable[[Any], object]:
    from osnet_edge.runtime.backends.base import open_engine
    from osnet_edge.runtime.backends.registry import BACKENDS
    from osnet_edge.runtime.backends.tensorrt.engine import TensorRTEngine
    from osnet_edge.runtime.package.folder import open_package

    manifest = open_package(package)
    if BACKENDS[manifest.target.backend].machine_bound:
        return TensorRTEngine(package / manifest.model_file, manifest, cuda_graphs=cuda_graphs).infer
    return open_engine(package / manifest.model_file, manifest, None).infer
