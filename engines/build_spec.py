"""The resolved build: target, precision, quantiser."""

from __future__ import annotations

from dataclasses import dataclass

from osnet_edge.engines.backends.tensorrt.options import DEFAULTS, BuilderOptions
from osnet_edge.engines.quantization.quantizer import Quantized
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.package.decisions import Comparison, Int8
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.precisions import Precision

#: Past 32, OSNet gains nothing on a CPU, and a frame seldom holds more people.
DEFAULT_BATCH = BatchRange(1, 8, 32)


@dataclass(frozen=True)
class BuildSpec:
    """What will be built.

    Attributes:
        spec: the target, with one backend.
        precision: the precision.
        quantized: INT8, its groups chosen; None in other precisions.
        int8: how INT8 was decided; None if it was not requested.
        comparison: the times by which `auto` chose, or those of INT8 on a CPU beside float32; else None.
        batch: batch sizes that the engine takes.
        options: of a builder that has any.
        choice: why a target that takes the faster library became this one; empty for others.
    """

    spec: TargetSpec
    precision: Precision
    quantized: Quantized | None = None
    int8: Int8 | None = None
    comparison: Comparison | None = None
    batch: BatchRange = DEFAULT_BATCH
    options: BuilderOptions = DEFAULTS
    choice: str = ""
