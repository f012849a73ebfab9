"""What an exported ONNX graph says of itself: one JSON text in its metadata, under one key."""

from __future__ import annotations

import json
from dataclasses import dataclass

from osnet_edge.runtime.package.manifest import ModelInfo
from osnet_edge.runtime.package.schema import from_json, parse_json, to_json
from osnet_edge.runtime.preprocessing import Preprocessing

METADATA_KEY = "osnet_edge"
INPUT_NAME, OUTPUT_NAME = "images", "embeddings"
#: Operators of a graph that somebody quantised; no float32 network comes back out of it.
QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"}
QUANTIZED |= {"ConvInteger", "MatMulInteger"}
QUANTIZED_ADVICE = "give the float32 ONNX or the checkpoint that it was made from to osnet-edge export"


@dataclass(frozen=True)
class GraphInfo:
    """The facts that an engine package takes over from the graph it is built from.

    Attributes:
        model: network and checkpoint.
        preprocessing: from a crop to the graph's input.
        tools: versions of what exported it.
    """

    model: ModelInfo
    preprocessing: Preprocessing
    tools: dict[str, str]


def dump_graph_info(info: GraphInfo) -> str:
    """Return the text that stands under `METADATA_KEY`."""
    return json.dumps(to_json(info), sort_keys=True)


def parse_graph_info(text: str, where: str) -> GraphInfo:
    """Read the text that stands under `METADATA_KEY`.

    Raises:
        InputError: it is not what `dump_graph_info` writes.
    """
    return from_json(GraphInfo, parse_json(text, f"{where}: its metadata", "export it again"), where)
