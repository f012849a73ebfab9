"""Whether activations stay within float16: a float32 graph run over pictures, and the largest value of each.

Past 65504 float16 is infinite, and what follows is NaN or a picture's embedding that says nothing. Weights
show nothing of it, so pictures must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from osnet_edge.engines.graph.float16 import HALF_MAX, half_tensors
from osnet_edge.engines.graph.running import batches_of, tensor_runner
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Picture, Preprocessing

#: Pictures run at once; with x1_0 and pictures of 256x128 that takes 0.9 GB.
_BATCH = 4
#: Pictures between two lines of progress.
_OFTEN = 128
#: Operators whose results are no larger than what they read, or than 1.
_BOUNDED = ("Relu", "Sigmoid", "MaxPool", "AveragePool", "GlobalAveragePool", "Transpose", "Flatten")
#: Share of float16's range from which pictures unlike those of the set may leave it.
_NEAR = 0.25


def check_overflow(
    model: ModelProto,
    pictures: Iterable[Picture],
    preprocessing: Preprocessing,
    progress: Callable[[str], None] = lambda step: None,
) -> dict[str, float]:
    """Hold that what `to_half` makes float16 stays within its range on pictures.

    Memory does not depend on how many they are.

    Args:
        model: float32, as `osnet-edge export` wrote it.
        pictures: (H, W, 3) uint8 RGB crops of any sizes, one or more.
        preprocessing: from a crop to the graph's input.
        progress: told how far it is, and of tensors that reach a quarter of the range.

    Returns:
        The largest absolute value of each tensor that will be float16, but for those that another bounds.

    Raises:
        InputError: one leaves the range, or is NaN or infinite in float32 already; there is no picture, or
            the graph holds float16 or weights beyond it.
    """
    peaks = dict.fromkeys(_unbounded(model), 0.0)
    run, done = tensor_runner(model, list(peaks)), 0
    for batch in batches_of(pictures, preprocessing, _BATCH):
        for name, value in zip(peaks, run(batch), strict=True):
            peaks[name] = max(peaks[name], _peak(name, value))
        done += len(batch)
        if done % _OFTEN == 0:
            progress(f"checking float16's range: {done:,} pictures so far")
    if not done:
        raise InputError("expected one picture or more to check float16's range with, got none")
    for warning in _judge(peaks, done):
        progress(warning)
    return peaks


def _unbounded(model: ModelProto) -> list[str]:
    """Leave out what is no larger than another tensor that will be float16."""
    halves = half_tensors(model)
    bounded = {
        output
        for node in model.graph.node
        if node.op_type in _BOUNDED and (node.op_type == "Sigmoid" or node.input[0] in halves)
        for output in node.output
    }
    return [name for name in halves if name not in bounded]


def _peak(name: str, values: NDArray[np.float32]) -> float:
    # NaN passes through both, and no copy of the tensor is made.
    peak = max(float(values.max()), -float(values.min()))
    if not np.isfinite(peak):
        raise InputError(
            f"the tensor {name} is NaN or infinite in float32 on a calibration picture, so the checkpoint is "
            "damaged; export one that embeds pictures"
        )
    return peak


def _judge(peaks: dict[str, float], count: int) -> Iterator[str]:
    """Refuse what leaves the range, and yield a warning if something comes near."""
    name = max(peaks, key=lambda each: peaks[each])
    if peaks[name] > HALF_MAX:
        beyond = sum(peak > HALF_MAX for peak in peaks.values())
        raise InputError(
            f"the tensor {name} reaches {peaks[name]:.4g} on {count:,} calibration pictures, past float16's "
            f"{HALF_MAX:.0f} (tensors that do: {beyond} of {len(peaks)}); build with fp32"
        )
    if peaks[name] > _NEAR * HALF_MAX:
        near = sum(peak > _NEAR * HALF_MAX for peak in peaks.values())
        yield (
            f"warning: the tensor {name} reaches {peaks[name]:.4g} on {count:,} calibration pictures, over a "
            f"quarter of float16's {HALF_MAX:.0f} (tensors that do: {near} of {len(peaks)}); other pictures "
            "may leave it, so compare embeddings with an fp32 engine's"
        )
