"""From values to integers: how large a value a quantised tensor keeps, and the scales of weights.

Each method for activations takes a histogram of magnitudes, (B,) counts in bins of one width from 0 to
`largest`, and returns the magnitude that becomes the last of `levels` steps (127 for symmetric INT8, 255 for
unsigned).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]
Method = Literal["mse", "percentile", "entropy", "minmax"]
#: Share of values that a percentile range keeps whole.
PERCENTILE = 0.9999
#: Ranges that are tried, as shares of the largest value.
_TRIED = np.linspace(0.05, 1, 96)


def minmax_range(counts: Counts, largest: float, levels: int) -> float:
    """Keep every value whole.

    Example:
        >>> minmax_range(np.array([9.0, 0.0, 0.0, 1.0]), 8.0, 127)
        8.0
    """
    return largest


def percentile_range(counts: Counts, largest: float, levels: int) -> float:
    """Keep 99.99 % of the values whole.

    Example:
        >>> percentile_range(np.array([99_990.0, 10.0, 0.0, 0.0]), 8.0, 127)
        2.0
    """
    kept = np.cumsum(counts)
    # A hair less than the share, or rounding in the sum would take another bin.
    last = int(np.searchsorted(kept, kept[-1] * PERCENTILE * (1 - 1e-12)))
    return largest * (last + 1) / len(counts)


def mse_range(counts: Counts, largest: float, levels: int) -> float:
    """Minimise the mean squared error: what clipping costs against what finer steps bring.

    Source: Banner et al., "Post training 4-bit quantization of convolutional networks" (2019), section 3,
    by search in place of a formula, since ReLU's outputs are of no known distribution.
    """
    values = (np.arange(len(counts)) + 0.5) * (largest / len(counts))
    values[0] = 0.0
    steps = _TRIED[:, None] * (largest / levels)
    rounded = np.minimum(np.round(values / steps), levels) * steps
    return float(largest * _TRIED[int(np.argmin((values - rounded) ** 2 @ counts))])


def entropy_range(counts: Counts, largest: float, levels: int) -> float:
    """Minimise the Kullback-Leibler divergence from the values to their quantised ones.

    Zeros count as their neighbours do: they are whole in any range, and ReLU makes so many that all else
    would be nothing beside them.

    Source: Migacz, "8-bit inference with TensorRT" (GTC 2017).
    """
    bins = len(counts)
    counts = np.concatenate([counts[1:2], counts[1:]])
    best, chosen = np.inf, largest
    # Every third: each costs a pass in Python.
    for share in _TRIED[::-3]:
        kept = max(round(share * bins), levels)
        reference = counts[:kept].copy()
        reference[-1] += counts[kept:].sum()
        # Bins of one quantised level share its count evenly, but for those that are empty.
        level = np.arange(kept) * levels // kept
        filled = counts[:kept] > 0
        sums = np.bincount(level, weights=counts[:kept], minlength=levels)
        members = np.bincount(level, weights=filled, minlength=levels)
        spread = np.where(filled, (sums / np.maximum(members, 1))[level], 0.0)
        if not spread.any():
            continue
        p, q = reference / reference.sum(), spread / spread.sum()
        # A clipped bin that is empty below has no counterpart: its divergence is infinite in the limit.
        both = p > 0
        divergence = float(np.sum(p[both] * np.log(p[both] / np.maximum(q[both], 1e-12))))
        if divergence < best:
            best, chosen = divergence, largest * kept / bins
    return chosen


METHODS: dict[Method, Callable[[Counts, float, int], float]] = {
    "mse": mse_range,
    "percentile": percentile_range,
    "entropy": entropy_range,
    "minmax": minmax_range,
}


def largest_weight(bits: int) -> int:
    """Return the largest integer of weights with this number of bits.

    -128 has no counterpart above 0; TensorRT and VNNI kernels of ONNX Runtime both want it left out.
    """
    return (1 << bits - 1) - 1


def quantize_weights(
    weights: npt.NDArray[np.floating],
    smallest_scale: float | npt.NDArray[np.float64] = 1e-30,
    *,
    bits: int = 8,
    one_scale: bool = False,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Round weights to integers.

    Args:
        weights: (O, ...) of any rank.
        smallest_scale: below which scales are not let, or (O,) such.
        bits: 8, for integers from -127 to 127, or 7, for -63 to 63.
        one_scale: whether all scales are the largest.

    Returns:
        (O, ...) integers, and (O,) scales by which they are multiplied.

    Example:
        >>> quantize_weights(np.array([[1.27, -0.5], [0.0, 0.0]]))[0].tolist()
        [[127, -50], [0, 0]]
    """
    largest = largest_weight(bits)
    peaks = np.abs(weights.astype(np.float64)).reshape(len(weights), -1).max(axis=1)
    scales = np.maximum(peaks / largest, smallest_scale)
    if one_scale:
        scales = np.full_like(scales, scales.max())
    steps = scales.reshape([-1] + [1] * (weights.ndim - 1))
    return np.clip(np.round(weights / steps), -largest, largest).astype(np.int8), scales
