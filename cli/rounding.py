"""The INT8 rounding that a build applies to a checkpoint, for quantisation-aware training."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from osnet_edge.train.data import Picture
    from osnet_edge.train.quantize import NetworkRounding


def rounding_of(
    checkpoint: str,
    calibration: str,
    *,
    size: tuple[int, int],
    weights_key: str | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> NetworkRounding:
    """Calibrate a checkpoint as a build for TensorRT does, and return the rounding of its layers.

    TensorRT rounds most coarsely: a network trained for it also works with OpenVINO and ONNX Runtime.

    Args:
        checkpoint: file of the checkpoint.
        calibration: a calibration set's file; the table is kept beside it.
        size: of the images, height and width in pixels.
        weights_key: which network of the checkpoint to take, if it holds several.
        progress: called with a line for each step.

    Raises:
        InputError: as of `export_onnx` and `find_table`.
    """
    from osnet_edge.engines.calibration import read_calibration_set
    from osnet_edge.engines.graph.reading import read_graph
    from osnet_edge.engines.quantization.quantizer import METHOD
    from osnet_edge.engines.quantization.rules import TENSORRT
    from osnet_edge.engines.quantization.table import find_table, levels_for, range_key
    from osnet_edge.export.to_onnx import export_onnx
    from osnet_edge.runtime.preprocessing import Preprocessing
    from osnet_edge.train.quantize import NetworkRounding, Rounding

    preprocessing = Preprocessing(height=size[0], width=size[1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "osnet.onnx"
        export_onnx(checkpoint, path, preprocessing=preprocessing, weights_key=weights_key, progress=progress)
        graph = read_graph(path)
        table = find_table(graph, read_calibration_set(calibration), Path(calibration), progress)
    layers, makers = list(filter(TENSORRT.allow, graph.layers)), graph.makers

    def rounding(tensor: str) -> Rounding:
        known = table.tensors[tensor]
        levels = levels_for(known.signed, TENSORRT.activations)
        key = range_key(METHOD, levels)
        factors = known.factors or (1.0,) * len(known.mean)
        if tensor == graph.layers[0].input:
            # The graph's first layer reads bytes less their mean, and torch's what is left of these by
            # the standard deviation.
            factors = tuple(preprocessing.scale / std for std in preprocessing.std)
        return Rounding(
            factors, known.ranges[key] / levels, -levels - 1, levels, known.mean, known.shifts[key]
        )

    sides = [name for each in layers if each.kind == "sum" for name in makers[each.output].input]
    return NetworkRounding(
        read={module_of(each.node): rounding(each.input) for each in layers if each.kind != "sum"},
        written={
            module_of(makers[name].name).removesuffix(".conv"): rounding(name)
            for name in sides
            if makers[name].op_type == "Conv"
        },
    )


def module_of(node: str) -> str:
    """Return the name of the OSNet module that a node of the exported graph comes from.

    Example:
        >>> module_of("/osnet/conv2/conv2.0/conv2b/conv2b.1/conv1/Conv")
        'conv2.0.conv2b.1.conv1'
    """
    parts: list[str] = []
    for scope in node.split("/")[2:-1]:
        # A list member is named by the list's name and its index.
        if parts and scope.startswith(f"{parts[-1]}."):
            parts[-1] = scope
        else:
            parts.append(scope)
    return ".".join(parts)


def without_held_out(pictures: Sequence[Picture], calibration: str) -> tuple[Picture, ...]:
    """Return training images without the people that a calibration set holds out for measuring."""
    from osnet_edge.engines.calibration import read_calibration_set

    files = {Path(each.path).resolve() for each in read_calibration_set(calibration).held_out}
    people = {each.identity for each in pictures if each.path.resolve() in files}
    return tuple(each for each in pictures if each.identity not in people)
