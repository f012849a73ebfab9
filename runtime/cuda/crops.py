"""Crops cut, resized and normalised on the GPU, to the levels of `osnet_edge.runtime.preprocessing`."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.cuda.driver_api import Cuda, DeviceMemory, Module, PinnedArray, Stream
from osnet_edge.runtime.preprocessing import Preprocessing

#: What a kernel knows of a crop: `struct Crop` of crops.cu.
CROP = np.dtype(
    [("address", "<u8"), ("pitch", "<i4"), ("width", "<i4"), ("height", "<i4"), ("unused", "<i4")]
)
CropTable = NDArray[np.void]
_THREADS = 128


class GrowingBuffer:
    """Page-locked memory and as much of the GPU's, made anew where more is asked for.

    Args:
        cuda: whose context is current at every call.
    """

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._host: PinnedArray | None = None
        self._memory: DeviceMemory | None = None

    def device(self, nbytes: int) -> int:
        """Return the address of that many bytes of the GPU; what was there may be gone."""
        if self._memory is None or self._memory.nbytes < nbytes:
            if self._memory is not None:
                memory, self._memory = self._memory, None
                memory.free()
            self._memory = self._cuda.allocate(nbytes)
        return self._memory.address

    def upload(self, array: NDArray[np.generic], stream: Stream) -> int:
        """Queue a copy of an array, and return its address in the GPU.

        The stream is idle before, or has not been given this buffer since.
        """
        if self._host is None or self._host.array.nbytes < array.nbytes:
            if self._host is not None:
                host, self._host = self._host, None
                host.free()
            self._host = self._cuda.pin((array.nbytes,), np.uint8)
        pinned = self._host.array[: array.nbytes]
        np.copyto(pinned.view(array.dtype).reshape(array.shape), array)
        address = self.device(array.nbytes)
        self._cuda.upload(pinned, address, stream)
        return address

    def free(self) -> None:
        """Give everything back."""
        for item in (self._host, self._memory):
            if item is not None:
                item.free()
        self._host = self._memory = None


class CropCutter:
    """Turns crops that are in the GPU's memory into an engine's input; one for each stream.

    Args:
        cuda: whose context is current at every call.
        module: crops.cu, compiled.
        preprocessing: the manifest's preprocessing.
    """

    def __init__(self, cuda: Cuda, module: Module, preprocessing: Preprocessing) -> None:
        self._module, self._preprocessing = module, preprocessing
        self._table, self._weights = GrowingBuffer(cuda), GrowingBuffer(cuda)

    def cut(self, crops: CropTable, target: int, stream: Stream, *, bgr: bool) -> None:
        """Queue the kernels that write crops, in order, as the engine takes them.

        Args:
            crops: `CROP` (N,), addresses in the GPU's memory; the stream is idle.
            target: address of N * `how.input_shape`.
            stream: where it is queued.
            bgr: whether the crops are blue-green-red.
        """
        preprocessing, count = self._preprocessing, len(crops)
        sides, is_opencv = (
            preprocessing.width + preprocessing.height,
            preprocessing.interpolation == "opencv-bilinear",
        )
        # The most pixels that one output pixel is made of, along a side.
        scale = max(1.0, *(crops["width"] / preprocessing.width), *(crops["height"] / preprocessing.height))
        taps = 2 if is_opencv else 2 * math.ceil(scale) + 1
        table = self._table.upload(crops, stream)
        bounds = self._weights.device(4 * count * sides * (2 + taps))
        weights = bounds + 4 * count * sides * 2
        shape = (
            np.int32(taps),
            np.int32(preprocessing.width),
            np.int32(preprocessing.height),
            np.int32(is_opencv),
        )
        addresses = (np.uint64(table), np.uint64(bounds), np.uint64(weights))
        blocks = (math.ceil(count * sides / _THREADS), 1, 1)
        self._module.launch("weigh", blocks, _THREADS, (*addresses, np.int32(count), *shape), stream)
        in_bytes = preprocessing.normalize_in == "graph"
        targets = (np.uint64(target if in_bytes else 0), np.uint64(0 if in_bytes else target))
        numbers = (
            np.float32(value) for value in (preprocessing.scale, *preprocessing.mean, *preprocessing.std)
        )
        blocks = (math.ceil(preprocessing.width * preprocessing.height / _THREADS), count, 1)
        arguments = (*addresses, *shape, np.int32(bgr), *targets, *numbers)
        self._module.launch("cut", blocks, _THREADS, arguments, stream)

    def free(self) -> None:
        """Give the memory back."""
        self._table.free()
        self._weights.free()


def crop_table(address: int, frame_width: int, boxes: Iterable[Iterable[int]]) -> CropTable:
    """Return crops of one contiguous image.

    Args:
        address: of the image's first byte.
        frame_width: its width in pixels.
        boxes: whole x1, y1, x2, y2 within it.
    """
    pitch = 3 * frame_width
    rows = [(address + y1 * pitch + 3 * x1, pitch, x2 - x1, y2 - y1, 0) for x1, y1, x2, y2 in boxes]
    return np.array(rows, CROP)
