"""What a graph shows from outside, ours or another's, and the pipeline that it expects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, ValueInfoProto

from osnet_edge.integrate.pipeline import Pipeline, bytes_pipeline, normalized_pipeline
from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.preprocessing import Preprocessing

#: Under this key of a graph's metadata stands the pipeline that it expects.
PIPELINE_KEY = "osnet_edge_pipeline"
_DTYPES: dict[int, Any] = {
    TensorProto.UINT8: "uint8",
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
}


@dataclass(frozen=True)
class Interface:
    """What a graph shows from outside.

    Attributes:
        path: its file.
        input: name of its input.
        outputs: names of its outputs.
        shape: of its input, a free dimension as 0.
        dtype: of its input, as `Pipeline.dtype`; None for a type that images do not have.
        size: floats of its first output's rows; None where they are free.
        metadata: by key.
    """

    path: Path
    input: str
    outputs: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: Any
    size: int | None
    metadata: Mapping[str, str]


def interface_of(path: Path) -> Interface:
    """Read a graph's interface; no weights are looked at.

    Raises:
        InputError: it is no ONNX file, or has no output, or not one input.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        # protobuf's exceptions have no common base of their own to catch.
        raise InputError(f"{path} is no ONNX graph, or not a whole one ({first_line(error)})") from None
    constants = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in constants]
    if len(inputs) != 1 or not model.graph.output:
        raise InputError(f"{path}: expected one input and an output, found {len(inputs)} inputs")
    return Interface(
        path=path,
        input=inputs[0].name,
        outputs=tuple(each.name for each in model.graph.output),
        shape=_shape(inputs[0]),
        dtype=_DTYPES.get(inputs[0].type.tensor_type.elem_type),
        size=(_shape(model.graph.output[0]) or (0,))[-1] or None,
        metadata={each.key: each.value for each in model.metadata_props},
    )


def _shape(tensor: ValueInfoProto) -> tuple[int, ...]:
    return tuple(max(0, dim.dim_value) for dim in tensor.type.tensor_type.shape.dim)


def expected_of(path: Path, how: Preprocessing) -> Pipeline:
    """Return what a graph expects, ours or another's.

    Args:
        path: an ONNX file.
        how: the network's preprocessing, which a graph of others that says nothing is taken to leave to its
            caller if it takes floats, and to do itself if it takes bytes.

    Raises:
        InputError: as `interface_of`, or it takes no images.
    """
    graph = interface_of(path)
    if PIPELINE_KEY in graph.metadata:
        try:
            known = json.loads(graph.metadata[PIPELINE_KEY])
            return Pipeline(**{**known, "scale": tuple(known["scale"]), "offsets": tuple(known["offsets"])})
        except (ValueError, TypeError, KeyError) as error:
            reason = first_line(error)
            raise InputError(f"{path}: cannot read {PIPELINE_KEY} in its metadata ({reason})") from None
    if len(graph.shape) != 4 or graph.dtype is None or not {0, 3} & {graph.shape[1], graph.shape[3]}:
        raise InputError(
            f"{path}: expected an input of images, got shape {list(graph.shape)}, 0 for free ones"
        )
    last = graph.shape[3] == 3 and graph.shape[1] != 3
    height, width = graph.shape[1:3] if last else graph.shape[2:]
    pipeline = bytes_pipeline(how) if graph.dtype == "uint8" else normalized_pipeline(how)
    return replace(
        pipeline,
        height=height or how.height,
        width=width or how.width,
        layout="NHWC" if last else "NCHW",
        dtype=graph.dtype,
        size=graph.size,
    )
