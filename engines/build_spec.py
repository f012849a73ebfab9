"""What a build comes to, once target and precision are decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx import ModelProto

from osnet_edge.engines.quantization.table import CalibrationTable
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.package.decisions import Comparison, Int8
from osnet_edge.runtime.precisions import Precision


@dataclass(frozen=True)
class BuildSpec:
    """What will be built.

    Attributes:
        spec: the target, with one backend.
        precision: the precision.
        quantize: makes the graph with Q/DQ, float16 around them or not; None in other precisions.
        int8: how INT8 was decided on; None where nobody asked.
        comparison: the times by which `auto` chose, or those of INT8 on a CPU beside float32; else None.
        choice: why a target that takes the faster library became this one; empty for others.
        table: the calibration table that INT8 was made by; None in other precisions.
    """

    spec: TargetSpec
    precision: Precision
    quantize: Callable[[bool], ModelProto] | None = None
    int8: Int8 | None = None
    comparison: Comparison | None = None
    table: CalibrationTable | None = None
    choice: str = ""
