"""An exported ONNX graph, with or without Q/DQ, as a `.tflite` file that NPUs take too.

Nothing is transposed but an input that is channels first, no operator is custom, a depthwise convolution
stays one, and a gate is a mean, two 1x1, a sigmoid and a product.

Where all that an operator reads is dequantised, and what it writes is quantised and nothing else, it becomes
one of integers; the numbers are those of the Q/DQ graph, of which u8 with its zero at 0 or 128 are s8 with
their zero at -128 or 0. All other operators compute in float32, between DEQUANTIZE and QUANTIZE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from osnet_edge.engines.backends.litert.flatbuffer import Activation, Array, ModelWriter, Steps
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.qdq import SIGMOID_STEP
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import INPUT_NAME

#: Bytes of an image, as they come and as s8.
_BYTES, _SIGNED_BYTES = Steps((1.0,)), Steps((1.0,), -128)
#: What LOGISTIC writes, and nothing else.
_SIGMOID = Steps((SIGMOID_STEP,), -128)
#: From u8, which our rules write, to s8, which LiteRT's kernels and NPUs take.
_TO_SIGNED = 128


def translate(graph: Graph, *, half: bool = False, also: Sequence[str] = ()) -> bytes:
    """Return the file of a graph, for one image; all of its outputs are float32, maps as (1, H, W, C).

    Args:
        graph: float32, or with Q/DQ as `insert_qdq` writes it.
        half: whether weights are kept in float16, and widened when the file is loaded.
        also: tensors that the file gives too, behind the graph's outputs.

    Raises:
        InputError: it has an operator that is not translated.
        UnavailableError: ai-edge-litert is not installed.
    """
    return _Translation(graph, half).run(also)


@dataclass
class _Value:
    """A tensor of the ONNX graph as the file has it: in float32, as integers, or both.

    Attributes:
        real: number of the float32 tensor; None where there is none yet.
        integers: number of the tensor of integers; None where it is not quantised.
        steps: of the integers.
    """

    real: int | None = None
    integers: int | None = None
    steps: Steps | None = None


@dataclass
class _Target:
    """What an operator writes, once what follows is fused into it.

    Attributes:
        name: the ONNX tensor that comes out.
        activation: its ReLU.
        steps: of the integers that it writes; None for float32.
    """

    name: str
    activation: Activation = "NONE"
    steps: Steps | None = None


class _Translation:
    def __init__(self, graph: Graph, half: bool) -> None:
        self._graph, self._half = graph, half
        self._writer = ModelWriter()
        self._values: dict[str, _Value] = {}
        self._constants: dict[str, int] = {}
        self._fused: set[str] = set()
        self._handlers: dict[str, Callable[[NodeProto], None]] = {
            "Add": self._sum_or_product,
            "AveragePool": self._average_pool,
            "Cast": self._same,
            "Constant": lambda node: None,
            "Conv": self._convolution,
            "DequantizeLinear": self._dequantize,
            "Flatten": self._same,
            "Gemm": self._linear,
            "GlobalAveragePool": self._mean,
            "InstanceNormalization": self._instance_norm,
            "MaxPool": self._max_pool,
            "Mul": self._sum_or_product,
            "QuantizeLinear": self._quantize,
            "ReduceL2": self._normalize,
            "Relu": self._alone,
            "Sigmoid": self._sigmoid,
            "Sub": self._subtract_mean,
            "Transpose": self._same,
        }

    def run(self, also: Sequence[str]) -> bytes:
        (picture,) = self._graph.model.graph.input
        kind, shape = self._graph.tensors[picture.name]
        if kind == TensorProto.UINT8:
            number = self._writer.tensor(picture.name, shape, np.uint8, _BYTES)
            self._values[picture.name] = _Value(None, number, _BYTES)
        else:
            number = self._writer.tensor(picture.name, shape)
            self._values[picture.name] = _Value(self._transposed(picture.name, number))
        for node in self._graph.nodes:
            if node.output[0] in self._fused:
                continue
            if node.op_type not in self._handlers:
                raise InputError(
                    f"expected for LiteRT operators of {', '.join(self._handlers)}, got {node.op_type} "
                    f"({node.name}); export the graph without --rewrite"
                )
            self._handlers[node.op_type](node)
        names = [*(each.name for each in self._graph.model.graph.output), *also]
        outputs = {name: self._real(name) for name in names}
        return self._writer.finish({picture.name: number}, outputs)

    # What stands between operators.

    def _real(self, name: str) -> int:
        """Return the number of a tensor in float32."""
        value = self._values[name]
        if value.real is None:
            if value.integers is None:
                raise ValueError(f"{name} is neither float32 nor quantised")
            # The input has its name as bytes.
            real = f"{name}_real" if name == INPUT_NAME else name
            shape = self._writer.shape(value.integers)
            output = self._writer.tensor(real, shape)
            value.real = self._writer.operator("DEQUANTIZE", [value.integers], output)
        return value.real

    def _target(self, node: NodeProto, *, inputs: Sequence[str] | None = None) -> _Target:
        """Take what follows an operator into it.

        Args:
            node: the operator.
            inputs: what it reads beside weights, its first input by default; where all of that is quantised,
                it may write integers.
        """
        target = _Target(node.output[0])
        behind = self._graph.readers.get(target.name, [])
        if [each.op_type for each in behind] == ["Flatten"]:
            target.name = self._fuse(behind[0])
            behind = self._graph.readers.get(target.name, [])
        if [each.op_type for each in behind] == ["Relu"]:
            target.name, target.activation = self._fuse(behind[0]), "RELU"
            behind = self._graph.readers.get(target.name, [])
        read = node.input[:1] if inputs is None else inputs
        quantized = bool(read) and all(self._values[name].integers is not None for name in read)
        outputs = {each.name for each in self._graph.model.graph.output}
        if (
            quantized
            and [each.op_type for each in behind] == ["QuantizeLinear"]
            and target.name not in outputs
        ):
            target.steps, target.name = self._steps(behind[0]), self._fuse(behind[0])
        return target

    def _layer_target(self, node: NodeProto) -> _Target:
        """Take what follows a layer into it; it is of integers where its weights are, too."""
        return self._target(node, inputs=node.input[:1] if node.input[1] in self._graph.makers else ())

    def _fuse(self, node: NodeProto) -> str:
        name: str = node.output[0]
        self._fused.add(name)
        return name

    def _emit(
        self,
        node: NodeProto,
        kind: str,
        inputs: Sequence[int],
        target: _Target,
        options: str = "",
        **values: int | bool,
    ) -> None:
        """Add an operator that writes what `target` says."""
        number = self._written(target.name, self._shape(target.name), target.steps)
        if target.activation != "NONE":
            values["fusedActivationFunction"] = self._writer.choice("ActivationFunctionType", "RELU")
        self._writer.operator(kind, inputs, number, options, **values)

    def _written(self, name: str, shape: Sequence[int], steps: Steps | None) -> int:
        number = self._writer.tensor(name, shape, np.int8 if steps else np.float32, steps)
        self._values[name] = _Value(None, number, steps) if steps else _Value(number)
        return number

    def _numbers(self, names: Sequence[str], target: _Target) -> list[int]:
        """Return what an operator reads: integers where it writes them."""
        return [self._integers(name) if target.steps else self._real(name) for name in names]

    def _integers(self, name: str) -> int:
        number = self._values[name].integers
        if number is None:
            raise ValueError(f"{name} is not quantised")
        return number

    def _shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor in the file, of one image."""
        return _channels_last(self._graph.tensors[name].shape)

    def _steps(self, node: NodeProto) -> Steps:
        scale, zero = (self._array(name) for name in node.input[1:3])
        return Steps((float(scale),), int(zero) - (_TO_SIGNED if zero.dtype == np.uint8 else 0))

    def _array(self, name: str) -> Array:
        """Return a constant, one that is dequantised as its numbers."""
        if name in self._graph.initializers:
            constant: Array = numpy_helper.to_array(self._graph.initializers[name])
            return constant
        integers, scales, _ = (self._array(each) for each in self._graph.makers[name].input)
        numbers: Array = integers * scales.reshape([-1] + [1] * (integers.ndim - 1))
        return numbers.astype(np.float32)

    # Quantising itself, and what changes no number.

    def _same(self, node: NodeProto) -> None:
        """Take what only changes shape, order or type for the same tensor: here it has one of each."""
        self._values[node.output[0]] = self._values[node.input[0]]

    def _transposed(self, name: str, number: int) -> int:
        """Return a channels-first input channels last."""
        order = self._constant("order", np.array([0, 2, 3, 1], np.int32))
        output = self._writer.tensor(f"{name}_channels_last", self._shape(name))
        return self._writer.operator("TRANSPOSE", [number, order], output, "TransposeOptions")

    def _quantize(self, node: NodeProto) -> None:
        name, steps, source = node.output[0], self._steps(node), self._values[node.input[0]]
        if source.steps == steps:
            self._same(node)
            return
        number = source.integers if source.integers is not None else self._real(node.input[0])
        self._writer.operator("QUANTIZE", [number], self._written(name, self._writer.shape(number), steps))

    def _dequantize(self, node: NodeProto) -> None:
        # Weights are read by what they are of.
        if node.input[0] not in self._graph.initializers:
            self._same(node)

    # Constants.

    def _constant(self, name: str, values: Array, steps: Steps | None = None) -> int:
        """Return the number of a constant, which is written once."""
        if name not in self._constants:
            self._constants[name] = self._writer.constant(name, values, steps)
        return self._constants[name]

    def _real_weight(self, name: str, order: Sequence[int]) -> int:
        """Return the number of weights in float32, which the file may have in fewer bits.

        Args:
            name: of the constant, or of what a Q/DQ graph dequantises it to.
            order: of ONNX's axes in the file.
        """
        made = self._graph.makers.get(name)
        if not made and not self._half:
            return self._constant(name, self._array(name).transpose(order))
        if f"{name}_real" not in self._constants:
            if made:
                integers, scales = (self._array(each) for each in made.input[:2])
                steps = _weight_steps(scales, order.index(0))
                stored = self._constant(name, integers.transpose(order), steps)
            else:
                stored = self._constant(name, self._array(name).astype(np.float16).transpose(order))
            output = self._writer.tensor(f"{name}_real", self._writer.shape(stored))
            self._constants[f"{name}_real"] = self._writer.operator("DEQUANTIZE", [stored], output)
        return self._constants[f"{name}_real"]

    def _bias(self, node: NodeProto, channels: int) -> Array:
        bias: Array = self._array(node.input[2]) if len(node.input) > 2 else np.zeros(channels, np.float32)
        return bias

    def _weights_and_bias(self, node: NodeProto, depthwise: bool, target: _Target) -> list[int]:
        """Return the numbers of a convolution's constants."""
        order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        if not target.steps:
            weight, bias = node.input[1], self._bias(node, self._graph.tensors[node.input[1]].shape[0])
            number = self._constant(node.input[2] if len(node.input) > 2 else f"{weight}_no_bias", bias)
            return [self._real_weight(weight, order), number]
        return self._integer_constants(node, order)

    def _integer_constants(self, node: NodeProto, order: Sequence[int]) -> list[int]:
        """Return the numbers of a layer's weights and bias as integers."""
        weight = node.input[1]
        integers, scales = (self._array(each) for each in self._graph.makers[weight].input[:2])
        steps, bias = _weight_steps(scales, order.index(0)), self._bias(node, len(scales))
        return [
            # A gate's weights are read several times; the biases go with the steps of what is read.
            self._constant(weight, integers.transpose(order), steps),
            self._integer_bias(node, bias, scales.astype(np.float64)),
        ]

    def _integer_bias(self, node: NodeProto, bias: Array, scales: Array) -> int:
        """Write a bias in steps of the input's times the weights'."""
        steps = self._values[node.input[0]].steps
        if steps is None:
            raise ValueError(f"{node.input[0]} is not quantised")
        scales = scales * np.float64(np.float32(steps.scales[0]))
        integers = np.round(bias / scales).astype(np.int32)
        return self._constant(f"{node.output[0]}_bias", integers, _weight_steps(scales, 0))

    # Operators.

    def _subtract_mean(self, node: NodeProto) -> None:
        """Subtract the images' mean; of integers by a depthwise 1x1, whose bias is exact.

        SUB of bytes would round the mean to the steps of one scale for all channels.
        """
        source, mean = self._values[node.input[0]], self._array(node.input[1]).ravel().astype(np.float64)
        target = self._target(node)
        if not target.steps:
            number = self._constant(node.input[1], mean.astype(np.float32))
            self._emit(node, "SUB", [self._real(node.input[0]), number], target, "SubOptions")
            return
        shape = self._shape(node.input[0]) if source.integers is None else self._writer.shape(source.integers)
        signed = self._writer.tensor("signed_bytes", shape, np.int8, _SIGNED_BYTES)
        self._writer.operator("QUANTIZE", [self._integers(node.input[0])], signed)
        # Weights of 1, in the finest steps that have it.
        step, channels = 1 / 127, len(mean)
        ones = np.full((1, 1, 1, channels), 127, np.int8)
        bias = np.round(-mean / step).astype(np.int32)
        scales = np.full(channels, step)
        constants = [
            self._constant("ones", ones, _weight_steps(scales, 3)),
            self._constant("mean", bias, _weight_steps(scales, 0)),
        ]
        self._depthwise(node, [signed, *constants], target, stride=1)

    def _depthwise(
        self, node: NodeProto, inputs: Sequence[int], target: _Target, stride: int, padding: str = "VALID"
    ) -> None:
        self._emit(
            node,
            "DEPTHWISE_CONV_2D",
            inputs,
            target,
            "DepthwiseConv2DOptions",
            padding=self._writer.choice("Padding", padding),
            depthMultiplier=1,
            strideH=stride,
            strideW=stride,
            dilationHFactor=1,
            dilationWFactor=1,
        )

    def _convolution(self, node: NodeProto) -> None:
        attributes, strides = _attributes(node), _strides(node)
        channels, per_group = self._graph.tensors[node.input[1]].shape[:2]
        groups, (stride, *_) = attributes.get("group", 1), strides
        if set(attributes.get("dilations", [1])) != {1} or len(set(strides)) > 1:
            raise InputError(
                f"expected {node.name} without dilation and of one stride; export the graph again"
            )
        depthwise = groups == channels > 1 and per_group == 1
        target = self._layer_target(node)
        (source,) = self._numbers(node.input[:1], target)
        constants = self._weights_and_bias(node, depthwise, target)
        source, padding = self._padded(node, source, target.steps and self._values[node.input[0]].steps)
        if depthwise:
            self._depthwise(node, [source, *constants], target, stride, padding)
            return
        self._emit(
            node,
            "CONV_2D",
            [source, *constants],
            target,
            "Conv2DOptions",
            padding=self._writer.choice("Padding", padding),
            strideH=stride,
            strideW=stride,
            dilationHFactor=1,
            dilationWFactor=1,
        )

    def _padded(self, node: NodeProto, source: int, steps: Steps | None) -> tuple[int, str]:
        """Return a map with the zeros that an operator wants around it, and how it pads by itself.

        TensorFlow's SAME is torch's padding at stride 1 alone: at stride 2 it has one row less at the top.
        """
        attributes = _attributes(node)
        pads = attributes.get("pads", [0, 0, 0, 0])
        if not any(pads):
            return source, "VALID"
        shape = self._graph.tensors[node.input[0]].shape
        if set(_strides(node)) == {1} and shape[2:] == self._graph.tensors[node.output[0]].shape[2:]:
            return source, "SAME"
        amounts = np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32)
        shape = np.array(self._writer.shape(source)) + amounts.sum(axis=1)
        kind = np.int8 if steps else np.float32
        output = self._writer.tensor(f"{node.output[0]}_padded", shape.tolist(), kind, steps)
        number = self._constant(f"{node.output[0]}_pads", amounts)
        return self._writer.operator("PAD", [source, number], output, "PadOptions"), "VALID"

    def _max_pool(self, node: NodeProto) -> None:
        """Pool, with zeros around: what is pooled is a ReLU's."""
        maker = self._graph.makers[node.input[0]]
        while maker.op_type in ("QuantizeLinear", "DequantizeLinear"):
            maker = self._graph.makers[maker.input[0]]
        if maker.op_type != "Relu":
            raise InputError(
                f"expected a ReLU before {node.name}, got {maker.op_type}; export the graph again"
            )
        value = self._values[node.input[0]]
        # Of integers it keeps the steps, as our rules say: XNNPACK rounds from steps to others coarsely.
        source = value.integers if value.integers is not None else self._real(node.input[0])
        source, padding = self._padded(node, source, value.steps)
        window, target = self._window(node, padding), _Target(node.output[0], steps=value.steps)
        self._emit(node, "MAX_POOL_2D", [source], target, "Pool2DOptions", **window)

    def _window(self, node: NodeProto, padding: str) -> dict[str, int | bool]:
        attributes = _attributes(node)
        (height, width), (down, across) = attributes["kernel_shape"], _strides(node)
        return {
            "padding": self._writer.choice("Padding", padding),
            "filterHeight": height,
            "filterWidth": width,
            "strideH": down,
            "strideW": across,
        }

    def _average_pool(self, node: NodeProto) -> None:
        """Pool; integers by a depthwise convolution, which XNNPACK has and whose steps may change."""
        attributes, target = _attributes(node), self._target(node)
        if any(attributes.get("pads", [0])):
            raise InputError(f"expected {node.name} without padding; export it again")
        if not target.steps:
            inputs, window = [self._real(node.input[0])], self._window(node, "VALID")
            self._emit(node, "AVERAGE_POOL_2D", inputs, target, "Pool2DOptions", **window)
            return
        source, (height, width) = self._integers(node.input[0]), attributes["kernel_shape"]
        channels = self._writer.shape(source)[3]
        scales = np.full(channels, 1 / (127 * height * width))
        weights = np.full((1, height, width, channels), 127, np.int8)
        constants = [
            self._constant(f"{node.output[0]}_weights", weights, _weight_steps(scales, 3)),
            self._integer_bias(node, np.zeros(channels), scales),
        ]
        self._depthwise(node, [source, *constants], target, _strides(node)[0])

    def _mean(self, node: NodeProto) -> None:
        """Average over an image; in front of a linear layer the map's axes go with it."""
        target = self._target(node)
        kept = len(self._shape(target.name)) == 4
        axes = self._constant("image_axes", np.array([1, 2], np.int32))
        inputs = [*self._numbers(node.input[:1], target), axes]
        self._emit(node, "MEAN", inputs, target, "ReducerOptions", keepDims=kept)

    def _sum_or_product(self, node: NodeProto) -> None:
        target = self._target(node, inputs=node.input)
        kind = node.op_type
        self._emit(node, kind.upper(), self._numbers(node.input, target), target, f"{kind}Options")

    def _sigmoid(self, node: NodeProto) -> None:
        target = self._target(node)
        if target.steps and target.steps != _SIGMOID:
            raise InputError(f"expected behind {node.name} the steps {_SIGMOID}, got {target.steps}")
        self._emit(node, "LOGISTIC", self._numbers(node.input, target), target)

    def _linear(self, node: NodeProto) -> None:
        """Write the last layer; with weights of integers, even where the embedding is in float32."""
        target = self._layer_target(node)
        if target.steps:
            constants = self._integer_constants(node, (0, 1))
        else:
            bias = self._bias(node, self._shape(target.name)[1])
            constants = [
                self._real_weight(node.input[1], (0, 1)),
                self._constant(f"{node.output[0]}_bias", bias),
            ]
        inputs = [*self._numbers(node.input[:1], target), *constants]
        self._emit(node, "FULLY_CONNECTED", inputs, target, "FullyConnectedOptions")

    def _instance_norm(self, node: NodeProto) -> None:
        """Write an instance norm in float32, in operators that XNNPACK has."""
        name, source = node.output[0], self._real(node.input[0])
        whole, (_, _, _, channels) = self._writer.shape(source), self._writer.shape(source)
        one = (1, 1, 1, channels)
        axes = self._constant("image_axes", np.array([1, 2], np.int32))
        epsilon = np.array([_attributes(node).get("epsilon", 1e-5)], np.float32)
        scale, bias = (self._constant(each, self._array(each)) for each in node.input[1:])

        def add(kind: str, inputs: Sequence[int], shape: Sequence[int], part: str, options: str = "") -> int:
            output = self._writer.tensor(f"{name}_{part}", shape)
            kept: dict[str, int | bool] = {"keepDims": True} if kind == "MEAN" else {}
            return self._writer.operator(kind, inputs, output, options, **kept)

        mean = add("MEAN", [source, axes], one, "mean", "ReducerOptions")
        squares = add("SQUARED_DIFFERENCE", [source, mean], whole, "squares")
        variance = add("MEAN", [squares, axes], one, "variance", "ReducerOptions")
        above = add("ADD", [variance, self._constant(f"{name}_epsilon", epsilon)], one, "above", "AddOptions")
        inverse = add("RSQRT", [above], one, "inverse")
        factor = add("MUL", [inverse, scale], one, "factor", "MulOptions")
        centred = add("SUB", [source, mean], whole, "centred", "SubOptions")
        scaled = add("MUL", [centred, factor], whole, "scaled", "MulOptions")
        target = self._target(node, inputs=())
        self._emit(node, "ADD", [scaled, bias], target, "AddOptions")

    def _normalize(self, node: NodeProto) -> None:
        """Scale embeddings to length 1, which ONNX has in three operators."""
        behind = node
        for kind in ("Clip", "Div"):
            (behind,) = self._graph.readers[behind.output[0]]
            if behind.op_type != kind:
                raise InputError(f"expected {kind} behind {node.name}, got {behind.op_type}; export it again")
            self._fuse(behind)
        target = _Target(behind.output[0])
        self._emit(node, "L2_NORMALIZATION", [self._real(node.input[0])], target, "L2NormOptions")

    def _alone(self, node: NodeProto) -> None:
        raise InputError(
            f"expected {node.name} behind one operator alone; export the graph without --rewrite"
        )


def _weight_steps(scales: Array, axis: int) -> Steps:
    """Return the steps of weights: one for each channel, or one where all are the same."""
    few = scales[:1] if len(set(scales.tolist())) == 1 else scales
    return Steps(tuple(map(float, few)), 0, axis)


def _channels_last(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) != 4:
        return tuple(shape)
    batch, channels, height, width = shape
    return batch, height, width, channels


def _strides(node: NodeProto) -> list[int]:
    strides: list[int] = _attributes(node).get("strides", [1, 1])
    return strides


def _attributes(node: NodeProto) -> dict[str, Any]:
    found: Iterator[tuple[str, Any]] = (
        (each.name, helper.get_attribute_value(each)) for each in node.attribute
    )
    return dict(found)
