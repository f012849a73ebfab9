"""The backends: one row for each, with its names, precisions and requirements, and the module that loads it.

To add a backend, add a row here and a module in this folder with a function
`load(model: Path, manifest: Manifest, threads: int | None) -> Engine`. To build for it, add a row in
`osnet_edge.engines.backends.registry` and a module in that folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.installed import installed_version
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.processor import AARCH64, DOTPROD

BackendName = Literal["onnxruntime", "onnxruntime_cuda", "openvino", "tensorrt_rtx", "tensorrt", "litert"]


@dataclass(frozen=True)
class Backend:
    """A library that runs engines on a kind of device.

    Attributes:
        name: its name in manifests.
        title: its name in messages.
        target: its name for `--target`.
        spellings: values of `--target` that select it.
        device: where its engines run.
        module: the module in this folder that loads its engines.
        precisions: the precisions that it computes in.
        distributions: Python distributions that contain its library, the most likely first.
        abbreviation: its name in `publish --for`, before a version; the backends of one library share it.
        machine_bound: whether a model file runs only on the kind of machine that it was built on.
        loads_graph: whether its model files are ONNX graphs.
        races: whether `cpu:fastest` tries it.
        cuts_sums: whether sums in INT8 saturate at 16 bits on an x86 without VNNI; some libraries have other
            kernels for such a processor.
        int8_from: kinds of processor without INT8 in this library, each with the lowest kind that has it.
    """

    name: BackendName
    title: str
    target: str
    spellings: tuple[str, ...]
    device: Literal["cpu", "cuda"]
    module: str
    precisions: tuple[Precision, ...]
    distributions: tuple[str, ...]
    abbreviation: str
    machine_bound: bool = False
    loads_graph: bool = True
    races: bool = True
    cuts_sums: bool = False
    int8_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def version_here(self) -> str | None:
        """The installed version of its library; None if it is not installed, or has no version."""
        return installed_version(*self.distributions)

    @property
    def on_cpu(self) -> bool:
        """Whether its engines run on a CPU."""
        return self.device == "cpu"


_ROWS = (
    Backend(
        "onnxruntime",
        title="ONNX Runtime",
        target="cpu",
        # `cpu:fastest` is decided by timing on the machine that builds.
        spellings=("cpu", "cpu:fastest"),
        device="cpu",
        module="onnxruntime",
        # It has no float16 kernels for CPUs: it would cast to float32 and back.
        precisions=("fp32", "int8"),
        distributions=("onnxruntime", "onnxruntime-gpu"),
        abbreviation="ort",
    ),
    Backend(
        "openvino",
        title="OpenVINO",
        target="openvino",
        spellings=("openvino",),
        device="cpu",
        module="openvino",
        precisions=("fp32", "bf16", "int8"),
        distributions=("openvino",),
        abbreviation="openvino",
        cuts_sums=True,
        int8_from={AARCH64: DOTPROD},
    ),
    Backend(
        "onnxruntime_cuda",
        title="ONNX Runtime on a GPU",
        target="cuda",
        spellings=("cuda",),
        device="cuda",
        module="onnxruntime_cuda",
        precisions=("fp32", "fp16"),
        distributions=("onnxruntime-gpu",),
        abbreviation="ort",
    ),
    Backend(
        "tensorrt_rtx",
        title="TensorRT-RTX",
        target="rtx",
        # GPU generations, or that of the GPU here.
        spellings=("rtx", "rtx:sm86,sm89", "rtx:current"),
        device="cuda",
        module="tensorrt.engine",
        precisions=("fp32", "fp16", "int8"),
        distributions=("tensorrt_rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12"),
        abbreviation="rtx",
        machine_bound=True,
        loads_graph=False,
    ),
    Backend(
        "tensorrt",
        title="TensorRT",
        target="tensorrt",
        spellings=("tensorrt",),
        device="cuda",
        module="tensorrt.engine",
        precisions=("fp32", "fp16", "int8"),
        # On a Jetson it comes with JetPack, as `tensorrt`.
        distributions=("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
        abbreviation="trt",
        machine_bound=True,
        loads_graph=False,
    ),
    Backend(
        "litert",
        title="LiteRT",
        target="litert",
        spellings=("litert",),
        device="cpu",
        module="litert",
        precisions=("fp32", "fp16", "int8"),
        distributions=("ai-edge-litert",),
        abbreviation="litert",
        loads_graph=False,
        # Its files are for other devices than the machine that builds them.
        races=False,
    ),
)
#: All of them, by name.
BACKENDS: dict[BackendName, Backend] = {each.name: each for each in _ROWS}
#: All that `--target` may say, for help and messages.
SPELLINGS = ", ".join(spelling for each in _ROWS for spelling in each.spellings)
#: What `cpu:fastest` tries, in this order.
CPU_BACKENDS: tuple[BackendName, ...] = tuple(
    name for name, each in BACKENDS.items() if each.on_cpu and each.races
)


def backend_named(name: str) -> Backend:
    """Return the row of a backend.

    Raises:
        InputError: there is no such backend.
    """
    for each in BACKENDS.values():
        if each.name == name:
            return each
    raise InputError(f"expected a backend of {', '.join(BACKENDS)}, got {name!r}; update osnet-edge")
