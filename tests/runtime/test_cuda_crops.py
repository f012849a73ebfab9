"""Crops cut by the package's CUDA kernels, held to the CPU's preprocessing; compiled for the CPU here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cuda_in_memory import Memory, kernels_on_host
from hypothesis import given, settings
from hypothesis import strategies as st

from osnet_edge.runtime.cuda.compile import compile_crops
from osnet_edge.runtime.cuda.crops import CropCutter, crop_table
from osnet_edge.runtime.errors import UnavailableError
from osnet_edge.runtime.preprocessing import Interpolation, Preprocessing, to_batch
from osnet_edge.train.synthetic import draw_frame


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kernels_on_host(tmp_path_factory.mktemp("kernels"))


def cut(
    kernels: Path, frame: np.ndarray, boxes: list[list[int]], preprocessing: Preprocessing, bgr: bool = False
) -> np.ndarray:
    """What the engine's input holds after the kernels ran."""
    cuda = Memory(1 << 30)
    batch = np.zeros((len(boxes), *preprocessing.input_shape), preprocessing.dtype)
    with cuda.current():
        stream, module = cuda.create_stream(), cuda.load(str(kernels).encode())
        cutter = CropCutter(cuda, module, preprocessing)
        table = crop_table(frame.ctypes.data, frame.shape[1], boxes)
        cutter.cut(table, batch.ctypes.data, stream, bgr=bgr)
        cutter.free()
        module.unload()
        stream.destroy()
    assert cuda.leftovers() == (0, 0, 0)
    return batch


def expected(
    frame: np.ndarray, boxes: list[list[int]], preprocessing: Preprocessing, bgr: bool = False
) -> np.ndarray:
    return to_batch([frame[y1:y2, x1:x2] for x1, y1, x2, y2 in boxes], preprocessing, bgr=bgr)


NOISE = np.random.default_rng(0).integers(0, 256, (700, 500, 3), np.uint8)
BOXES = [
    [0, 0, 128, 256],  # as large as the input
    [10, 20, 138, 276],
    [0, 0, 500, 700],  # the whole frame, shrunk
    [100, 100, 228, 612],  # one side as it is
    [100, 100, 356, 612],  # half, which OpenCV computes by itself
    [3, 5, 45, 101],  # enlarged
    [7, 7, 8, 8],  # one pixel
    [0, 0, 500, 1],  # one row
    [499, 0, 500, 700],  # one column
    [11, 13, 498, 699],
]


@pytest.mark.parametrize("interpolation", ["pillow-bilinear", "opencv-bilinear"])
def test_bytes_are_within_a_level_of_the_cpus(kernels: Path, interpolation: Interpolation) -> None:
    preprocessing = Preprocessing(interpolation=interpolation)
    got, wanted = cut(kernels, NOISE, BOXES, preprocessing), expected(NOISE, BOXES, preprocessing)
    levels = np.abs(got.astype(int) - wanted.astype(int))
    assert levels.max() <= 1
    # And few of them: rounding, where Pillow turns its passes round or OpenCV takes a short cut.
    assert levels.mean() < 0.05
    # Crops that need no resizing are what they were.
    assert not levels[:2].any()


def test_people_in_a_drawn_frame_are_cut_as_on_the_cpu(kernels: Path) -> None:
    frame, _, _ = draw_frame(3, (640, 360))
    boxes = [[20, 10, 80, 200], [300, 40, 420, 359], [0, 0, 640, 360]]
    for bgr in (False, True):
        got = cut(kernels, frame, boxes, Preprocessing(), bgr)
        np.testing.assert_allclose(got, expected(frame, boxes, Preprocessing(), bgr), rtol=0, atol=1)


@pytest.mark.parametrize("bgr", [False, True])
def test_floats_are_normalised_as_on_the_cpu(kernels: Path, bgr: bool) -> None:
    preprocessing = Preprocessing(
        64, 32, normalize_in="host", scale=1 / 128, mean=(0.1, 0.2, 0.3), std=(0.9, 1, 1.1)
    )
    got = cut(kernels, NOISE, BOXES, preprocessing, bgr)
    # A level of a byte, where the bytes differ, and the CPU's arithmetic where they do not.
    np.testing.assert_allclose(got, expected(NOISE, BOXES, preprocessing, bgr), rtol=0, atol=1.01 / 128 / 0.9)
    exact = Preprocessing(
        256,
        128,
        normalize_in="host",
        scale=preprocessing.scale,
        mean=preprocessing.mean,
        std=preprocessing.std,
    )
    np.testing.assert_array_equal(
        cut(kernels, NOISE, BOXES[:2], exact, bgr), expected(NOISE, BOXES[:2], exact, bgr)
    )


@settings(max_examples=60)
@given(data=st.data())
def test_any_box_at_any_size_is_within_a_level(kernels: Path, data: st.DataObject) -> None:
    x1, y1 = data.draw(st.integers(0, 499)), data.draw(st.integers(0, 699))
    box = [x1, y1, data.draw(st.integers(x1 + 1, 500)), data.draw(st.integers(y1 + 1, 700))]
    interpolation = data.draw(st.sampled_from(["pillow-bilinear", "opencv-bilinear"]))
    size = (data.draw(st.integers(32, 80)), data.draw(st.integers(32, 80)))
    preprocessing = Preprocessing(*size, interpolation=interpolation)
    difference = np.abs(
        cut(kernels, NOISE, [box], preprocessing).astype(int)
        - expected(NOISE, [box], preprocessing).astype(int)
    ).max()
    assert difference <= 1


def test_the_kernels_compile_for_every_gpu_or_say_what_is_missing() -> None:
    """NVRTC needs no GPU; where it is not installed, the CPU cuts, and this is why."""
    said = "pip install 'nvidia-cuda-nvrtc'"
    try:
        compiled = [compile_crops(capability) for capability in ("7.5", "8.6", "8.7", "9.0")]
    except UnavailableError as error:
        compiled, said = [], str(error)
    assert all(cubin.startswith(b"\x7fELF") for cubin in compiled)
    assert "pip install 'nvidia-cuda-nvrtc'" in said
    assert "\n" not in said
