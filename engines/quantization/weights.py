"""Weights to INT8: symmetric, a scale for each output channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: -128 has no counterpart above 0; TensorRT and VNNI kernels of ONNX Runtime both want it left out.
LARGEST = 127


def quantize_weights(
    weights: npt.NDArray[np.floating], smallest_scale: float | npt.NDArray[np.float64] = 1e-30
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Round weights to integers.

    Args:
        weights: (O, ...) of any rank.
        smallest_scale: below which scales are not let, or (O,) such.

    Returns:
        (O, ...) integers from -127 to 127, and (O,) scales by which they are multiplied.

    Example:
        >>> quantize_weights(np.array([[1.27, -0.5], [0.0, 0.0]]))[0].tolist()
        [[127, -50], [0, 0]]
    """
    peaks = np.abs(weights.astype(np.float64)).reshape(len(weights), -1).max(axis=1)
    scales = np.maximum(peaks / LARGEST, smallest_scale)
    steps = scales.reshape([-1] + [1] * (weights.ndim - 1))
    return np.clip(np.round(weights / steps), -LARGEST, LARGEST).astype(np.int8), scales
