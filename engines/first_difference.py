"""Where an INT8 engine first computes something else than its graph says: for whoever must mend it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from osnet_edge.engines.backends.base import Builder
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.graph.running import tensor_runner

#: What rounding makes of a tensor grows little from layer to layer. A kernel that cuts sums off shows at
#: once: on OSNet x0.25 and x1.0 by 7 and 9 % at the second tensor, where rounding leaves 0
#: (docs/PRECISION.md).
_LEAST, _JUMP = 0.05, 3


def first_difference(
    graph: Graph, builder: Builder, processor: str, batch: npt.NDArray[np.generic]
) -> str | None:
    """Return the first quantised tensor that an engine computes otherwise than its graph is written.

    Args:
        graph: with Q/DQ.
        builder: of the library that runs it.
        processor: the kind that it was made for, as manifests say it.
        batch: a few images, as the engine's input.

    Returns:
        Its name, and by how much it differs, as a share of its length (the Euclidean norm); None where no
        tensor differs by a twentieth and by three times as much as all before it.
    """
    names = [
        node.output[0]
        for node in graph.nodes
        if node.op_type == "DequantizeLinear" and node.input[0] not in graph.initializers
    ]
    as_written = tensor_runner(graph, names)(batch)
    computed = builder.tensor_values(graph, names, processor, batch)
    worst = 0.0
    for name, got, expected in zip(names, computed, as_written, strict=True):
        difference = float(np.linalg.norm(got - expected) / max(float(np.linalg.norm(expected)), 1e-12))
        # Written so that NaN is found too.
        if not difference <= max(_LEAST, _JUMP * worst):
            return f"{name.removesuffix('_dequantized')} (by {difference:.0%})"
        worst = max(worst, difference)
    return None
