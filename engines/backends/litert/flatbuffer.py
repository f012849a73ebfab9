"""A `.tflite` file, put together tensor by tensor and operator by operator.

The schema is TensorFlow Lite's, in the classes that ai-edge-litert has of it. Maps are (N, H, W, C), and N
is 1 in the file; the library resizes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import flatbuffers
import numpy as np
import numpy.typing as npt

from osnet_edge.runtime.installed import import_library

Array = npt.NDArray[Any]
Activation = Literal["NONE", "RELU"]

#: The version of each operator that has all that is used of it: a byte's, where it has one of bytes.
_VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 1,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "DEQUANTIZE": 5,
    "FULLY_CONNECTED": 4,
    "L2_NORMALIZATION": 1,
    "LOGISTIC": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "PAD": 2,
    "QUANTIZE": 2,
    "RSQRT": 1,
    "SQUARED_DIFFERENCE": 1,
    "SUB": 2,
    "TRANSPOSE": 2,
}
_FILE_IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3
#: What the schema asks of the data of buffers; the generated classes align to an element.
_ALIGNMENT = 16


@dataclass(frozen=True)
class Steps:
    """How the integers of a tensor stand for numbers: `scale * (integer - zero)`.

    Attributes:
        scales: one, or one for each channel, as float32.
        zero: the integer that is 0.
        axis: of the channels.
    """

    scales: tuple[float, ...]
    zero: int = 0
    axis: int = 0


class ModelWriter:
    """Gathers tensors and operators, and makes a file of them.

    Raises:
        UnavailableError: ai-edge-litert is not installed.
    """

    def __init__(self) -> None:
        self._schema = import_library(
            "ai_edge_litert.schema_py_generated", "LiteRT", "pip install 'osnet-edge[litert]'"
        )
        # Number 0 is what tensors without data name.
        self._buffers = [self._schema.BufferT()]
        self._codes: list[str] = []
        self._graph = self._schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors, self._graph.operators = [], []

    def tensor(
        self, name: str, shape: Sequence[int], kind: npt.DTypeLike = np.float32, steps: Steps | None = None
    ) -> int:
        """Add a tensor that an operator or the caller fills, and return its number."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, list(shape), 0
        tensor.type = getattr(self._schema.TensorType, np.dtype(kind).name.upper())
        if steps:
            tensor.quantization = quantization = self._schema.QuantizationParametersT()
            quantization.scale = np.array(steps.scales, np.float32)
            quantization.zeroPoint = np.full(len(steps.scales), steps.zero, np.int64)
            quantization.quantizedDimension = steps.axis
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, name: str, values: Array, steps: Steps | None = None) -> int:
        """Add a tensor with its values, and return its number."""
        number = self.tensor(name, values.shape, values.dtype, steps)
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._buffers.append(buffer)
        self._graph.tensors[number].buffer = len(self._buffers) - 1
        return number

    def operator(
        self, kind: str, inputs: Sequence[int], output: int, options: str = "", **values: int | bool
    ) -> int:
        """Add an operator, and return the number of what it writes.

        Args:
            kind: one of the schema's built-in operators, such as `CONV_2D`.
            inputs: numbers of tensors.
            output: number of a tensor.
            options: the schema's name of its options, such as `Conv2DOptions`; empty where it has none.
            values: of its options.
        """
        operator = self._schema.OperatorT()
        if kind not in self._codes:
            self._codes.append(kind)
        operator.opcodeIndex = self._codes.index(kind)
        operator.inputs, operator.outputs = list(inputs), [output]
        if options:
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(self._schema, f"{options}T")()
            for name, value in values.items():
                setattr(operator.builtinOptions, name, value)
        self._graph.operators.append(operator)
        return output

    def choice(self, enumeration: Literal["Padding", "ActivationFunctionType"], name: str) -> int:
        """Return the number of a name of one of the schema's enumerations."""
        number: int = getattr(getattr(self._schema, enumeration), name)
        return number

    def shape(self, number: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._graph.tensors[number].shape)

    def finish(self, inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
        """Return the file.

        Args:
            inputs: tensors that the caller fills, by the names of the signature.
            outputs: tensors that it reads, likewise.
        """
        self._graph.inputs, self._graph.outputs = list(inputs.values()), list(outputs.values())
        model = self._schema.ModelT()
        model.version, model.description = _SCHEMA_VERSION, "osnet-edge"
        model.subgraphs, model.buffers = [self._graph], self._buffers
        model.operatorCodes = [self._code(kind) for kind in self._codes]
        signature = self._schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs, signature.outputs = self._named(inputs), self._named(outputs)
        model.signatureDefs = [signature]
        builder = _Builder(sum(buffer.data is not None and len(buffer.data) for buffer in self._buffers) + 1)
        builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, kind: str) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = getattr(self._schema.BuiltinOperator, kind)
        # Readers from before there were more than 127 operators look here.
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = _VERSIONS[kind]
        return code

    def _named(self, tensors: dict[str, int]) -> list[Any]:
        maps = []
        for name, number in tensors.items():
            entry = self._schema.TensorMapT()
            entry.name, entry.tensorIndex = name, number
            maps.append(entry)
        return maps


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns all vectors as the schema asks of the data of buffers, which the generated classes do not."""

    def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802
        return super().StartVector(size, count, max(alignment, _ALIGNMENT))
