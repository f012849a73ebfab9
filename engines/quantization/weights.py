"""Weights to INT8: symmetric, a scale for each output channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def largest_weight(bits: int) -> int:
    """Return the largest integer that weights of so many bits may be.

    -128 has no counterpart above 0; TensorRT and VNNI kernels of ONNX Runtime both want it left out.
    """
    return (1 << bits - 1) - 1


def quantize_weights(
    weights: npt.NDArray[np.floating],
    smallest_scale: float | npt.NDArray[np.float64] = 1e-30,
    *,
    bits: int = 8,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Round weights to integers.

    Args:
        weights: (O, ...) of any rank.
        smallest_scale: below which scales are not let, or (O,) such.
        bits: 8, for integers from -127 to 127, or 7, for -63 to 63.

    Returns:
        (O, ...) integers, and (O,) scales by which they are multiplied.

    Example:
        >>> quantize_weights(np.array([[1.27, -0.5], [0.0, 0.0]]))[0].tolist()
        [[127, -50], [0, 0]]
    """
    largest = largest_weight(bits)
    peaks = np.abs(weights.astype(np.float64)).reshape(len(weights), -1).max(axis=1)
    scales = np.maximum(peaks / largest, smallest_scale)
    steps = scales.reshape([-1] + [1] * (weights.ndim - 1))
    return np.clip(np.round(weights / steps), -largest, largest).astype(np.int8), scales
