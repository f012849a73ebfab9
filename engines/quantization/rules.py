"""Which Q/DQ pairs stand where, for each engine: the one place to read it.

- **TensorRT and RTX**: s8, at what layers read; float16 around. Neither takes zero points, and Q/DQ between
  Conv and ReLU would stop their fusion. Residual sums read both sides quantised.
  Neighbours of instance norms stay out.
- **OpenVINO**: u8, at what layers read, and there for every reader, so that a block's end writes one tensor
  and not two, and before pools, which are then of bytes; bf16 around where the CPU has it. Its kernels take
  either type, and u8 keeps a bit more of what ReLU leaves.
- **ONNX Runtime on x86**: u8, at what layers and small operators read and write; float32 around. It
  fuses DQ, Conv, ReLU and Q only whole, and s8 takes twice the time with VNNI.
- **ONNX Runtime on ARM**: the same with s8, which its kernels there are for.
- **Either on x86 without VNNI**, and for any processor: as on x86, with weights of 7 bits (-63 to 63), whose
  products no kernel cuts off (see `osnet_edge.runtime.processor`). ONNX Runtime's quantiser calls it
  `reduce_range`, NNCF the overflow fix. In OpenVINO the stem stays in floating point: what rounding does to
  its weights reaches everything behind it, and without VNNI it saves a tenth of the time at most
  (docs/RESULTS.md).
- **LiteRT**: u8, which its files have as s8 with their zero at -128, at what layers and pools read and write;
  gates, their products and the sums of streams in float32. In four rows, for compilers that want one scale
  for all of a layer's weights, and for NPUs without floating point, where all of it and the embedding are
  quantised too. The same on all processors.

In all of them: weights s8 with a scale for each output channel, stored as integers; biases in floating point
(TensorRT's parser refuses them quantised); no pair between a convolution and its ReLU. Channel gates stay in
floating point, where there is any: they are next to no work, and what they read, means over images, goes with
the light of a camera, so that ranges of one set cut it off on another (docs/RESULTS.md says what that cost).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from osnet_edge.engines.graph.layers import Kind, Layer
from osnet_edge.runtime.errors import InputError

ActivationType = Literal["int8", "uint8"]


@dataclass(frozen=True)
class QdqRules:
    """Where an engine wants Q/DQ.

    Attributes:
        name: of the rules, as manifests and `osnet-edge inspect` say it.
        activations: the type of quantised activations. uint8 is for tensors without negative values, whose
            zero is 0; others have their zero at 128 and 127 steps to either side.
        shared: which of a quantised layer's tensors are quantised for every reader: its input, which others
            may read too, and its output, behind its ReLU.
        operators: other operators that read and write quantised tensors.
        pools: operators that read a quantised tensor where they write one.
        beside_norms: whether layers beside an instance norm may be quantised.
        sums: whether residual sums read both sides quantised.
        weight_bits: of the weights, 8 or 7.
        left_out: kinds of layers that stay in floating point, beside gates.
        one_weight_scale: whether a layer's weights have one scale, in place of one for each output channel.
        throughout: whether gates and the embedding are quantised too.
        keeping: operators that write integers in the steps of those that they read.
    """

    name: str
    activations: ActivationType
    shared: tuple[Literal["input", "output"], ...] = ()
    operators: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    beside_norms: bool = True
    sums: bool = False
    weight_bits: Literal[7, 8] = 8
    left_out: tuple[Kind, ...] = ()
    one_weight_scale: bool = False
    throughout: bool = False
    keeping: tuple[str, ...] = ()

    def allow(self, layer: Layer) -> bool:
        """Whether a layer may be quantised."""
        if layer.kind in self.left_out or (layer.beside_norm and not self.beside_norms):
            return False
        return self.sums if layer.kind == "sum" else self.throughout or layer.kind != "gate"


_POOLS = ("MaxPool", "AveragePool")
#: Sums, and products of streams with gates, which ONNX Runtime has integer kernels for.
_SMALL = ("Add", "Mul", *_POOLS)
TENSORRT = QdqRules("tensorrt", "int8", beside_norms=False, sums=True)
OPENVINO = QdqRules("openvino", "uint8", shared=("input",), pools=_POOLS)
ONNXRUNTIME_X86 = QdqRules("onnxruntime-x86", "uint8", shared=("input", "output"), operators=_SMALL)
ONNXRUNTIME_ARM = QdqRules("onnxruntime-arm", "int8", shared=("input", "output"), operators=_SMALL)
OPENVINO_REDUCED = replace(OPENVINO, name="openvino-reduced-range", weight_bits=7, left_out=("stem",))
LITERT = replace(ONNXRUNTIME_X86, name="litert", operators=_POOLS, keeping=("MaxPool",))
LITERT_PER_TENSOR = replace(LITERT, name="litert-per-tensor", one_weight_scale=True)
LITERT_INTEGER = replace(LITERT, name="litert-integer", operators=_SMALL, throughout=True)
LITERT_INTEGER_PER_TENSOR = replace(LITERT_INTEGER, name="litert-integer-per-tensor", one_weight_scale=True)
ONNXRUNTIME_REDUCED = replace(ONNXRUNTIME_X86, name="onnxruntime-reduced-range", weight_bits=7)
#: All of them, by name.
RULES = {
    rules.name: rules
    for rules in (
        TENSORRT,
        OPENVINO,
        OPENVINO_REDUCED,
        ONNXRUNTIME_X86,
        ONNXRUNTIME_ARM,
        ONNXRUNTIME_REDUCED,
        LITERT,
        LITERT_PER_TENSOR,
        LITERT_INTEGER,
        LITERT_INTEGER_PER_TENSOR,
    )
}


def vary_rules(rules: QdqRules, *, one_weight_scale: bool, throughout: bool) -> QdqRules:
    """Return an engine's rules for a compiler that wants one weight scale a layer, or has no floating point.

    Raises:
        InputError: the engine has no such rules.
    """
    name = f"{rules.name}{'-integer' * throughout}{'-per-tensor' * one_weight_scale}"
    if name == rules.name:
        return rules
    if name not in RULES:
        raise InputError(
            "expected --weights per-tensor and --integer for the target litert, got one of them for "
            f"the rules {rules.name}; leave it out"
        )
    return RULES[name]


def rules_named(name: str) -> QdqRules:
    """Return the rules that a manifest or a recipe names.

    Raises:
        InputError: it names none of this version's.
    """
    if name not in RULES:
        raise InputError(
            f"expected INT8 by the rules {', '.join(RULES)}, got {name!r}; use the osnet-edge that wrote it"
        )
    return RULES[name]
