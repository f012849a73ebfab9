"""Where an INT8 engine first computes something else than its graph says: for whoever must mend it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto

from osnet_edge.engines.graph.running import expose, tensor_runner
from osnet_edge.engines.targets import CpuBackend
from osnet_edge.runtime.backends.onnxruntime import session_options
from osnet_edge.runtime.backends.openvino import compile_options, open_core, read_arranged
from osnet_edge.runtime.package.graph_info import INPUT_NAME

#: What rounding makes of a tensor grows little from layer to layer. A kernel that cuts sums off shows at
#: once: on OSNet x0.25 and x1.0 by 7 and 9 % at the second tensor, where rounding leaves 0
#: (docs/PRECISION.md).
_LEAST, _JUMP = 0.05, 3
_Rows = npt.NDArray[np.float32]


def first_difference(
    model: ModelProto, backend: CpuBackend, processor: str, batch: npt.NDArray[np.generic]
) -> str | None:
    """Return the first quantised tensor that an engine computes otherwise than its graph is written.

    Args:
        model: the graph with Q/DQ.
        backend: the library that runs it.
        processor: the kind that it was made for, as manifests say it.
        batch: a few pictures, as the engine's input.

    Returns:
        Its name, and by how much it differs, as a share of its length (the Euclidean norm); None where no
        tensor differs by a twentieth and by three times as much as all before it.
    """
    weights = {each.name for each in model.graph.initializer}
    names = [
        node.output[0]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] not in weights
    ]
    as_written = tensor_runner(model, names)(batch)
    run = {"onnxruntime": _by_onnxruntime, "openvino": _by_openvino}[backend]
    worst = 0.0
    for name, got, expected in zip(names, run(model, names, processor, batch), as_written, strict=True):
        difference = float(np.linalg.norm(got - expected) / max(float(np.linalg.norm(expected)), 1e-12))
        # Written so that NaN is found too.
        if not difference <= max(_LEAST, _JUMP * worst):
            return f"{name.removesuffix('_dequantized')} (by {difference:.0%})"
        worst = max(worst, difference)
    return None


def _by_onnxruntime(
    model: ModelProto, names: list[str], processor: str, batch: npt.NDArray[np.generic]
) -> list[_Rows]:
    import onnxruntime

    content, providers = expose(model, names).SerializeToString(), ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(content, session_options(), providers=providers)
    rows: list[_Rows] = session.run(names, {INPUT_NAME: batch})
    return rows


def _by_openvino(
    model: ModelProto, names: list[str], processor: str, batch: npt.NDArray[np.generic]
) -> list[_Rows]:
    core = open_core("int8")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx.save(model, file)
        graph = read_arranged(core, file)
        # They come behind the embeddings, in this order.
        graph.add_outputs(names)
        options = compile_options(core, "int8", None, processor)
        results = core.compile_model(graph, "CPU", options).create_infer_request().infer([batch])
        rows: list[_Rows] = [results[1 + index] for index in range(len(names))]
        return rows
