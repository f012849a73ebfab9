"""Boxes of a tracker or detector, cut out of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osnet_edge.runtime.cuda.arrays import shape_on_gpu
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Picture


def clip_boxes(boxes: ArrayLike, height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Round boxes to whole pixels and clip them to a frame.

    Args:
        boxes: (N, 4) of x1, y1, x2, y2 in pixels; x2 and y2 are exclusive; outside the frame is fine. Tensors
            of torch and CuPy may be of any type and on a GPU.
        height: of the frame, in pixels.
        width: of the frame, in pixels.

    Returns:
        The clipped boxes (N, 4), and a mask (N,) that is false where a box holds no pixel of the frame, or
        is not of finite numbers.

    Raises:
        InputError: the boxes have another shape, are no numbers, or are fractions of the frame.

    Example:
        >>> clip_boxes([[-5, 2, 4, 9], [50, 0, 60, 9]], height=8, width=16)[1]
        array([ True, False])
    """
    try:
        given = np.asarray(_on_host(boxes), np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InputError("expected boxes as (N, 4) numbers x1, y1, x2, y2; got something else") from None
    if given.shape == (0,):
        given = given.reshape(0, 4)
    if given.ndim != 2 or given.shape[1] != 4:
        raise InputError(f"expected boxes of shape (N, 4), x1, y1, x2, y2; got {given.shape}")
    # A detector that gives one box without a size shall not cost the others of the frame.
    finite = np.asarray(np.isfinite(given).all(axis=1))
    known = np.where(finite[:, None], given, 0)
    if known.any() and known.min() >= 0 and known.max() <= 1 and max(height, width) > 1:
        raise InputError(
            f"expected boxes in pixels, got only numbers from 0 to 1, which are fractions of a frame; "
            f"multiply x by {width} and y by {height}"
        )
    limits = np.array([width, height, width, height])
    clipped = np.clip(np.rint(known), 0, limits).astype(np.intp)
    holds_pixels = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    return clipped, finite & holds_pixels


def _on_host(boxes: Any) -> Any:
    """Return boxes as NumPy can read them: not with a gradient, not in bfloat16, and not on a GPU."""
    if hasattr(boxes, "detach"):
        return boxes.detach().cpu().double().numpy()
    # CuPy converts nothing without being asked.
    return boxes.get() if hasattr(boxes, "__cuda_array_interface__") else boxes


def check_frame_on_gpu(frame: object) -> tuple[int, int, int]:
    """Return the shape of a frame in a GPU's memory, if it is H x W x 3 with pixels.

    Raises:
        InputError: it is something else; its type is checked where it is used.
    """
    shape = shape_on_gpu(frame)
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise InputError(f"expected a frame of H x W x 3 uint8, got {shape}")
    return shape


def check_frame(frame: object) -> Picture:
    """Return the frame, if it is an H x W x 3 uint8 array with pixels.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(frame, np.ndarray):
        raise InputError(f"expected a frame as an H x W x 3 uint8 array, got {type(frame).__name__}")
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise InputError(f"expected a frame of H x W x 3 uint8, got {frame.shape} of {frame.dtype}")
    return frame
