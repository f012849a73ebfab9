"""CUDA's driver, asked without crashing, and memory and copies where there is a GPU."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osnet_edge.runtime import cuda
from osnet_edge.runtime.errors import UnavailableError

FOUND = cuda.probe()
needs_gpu = pytest.mark.skipif(not FOUND.available, reason=f"needs a GPU: {FOUND.reason}")
without_gpu = pytest.mark.skipif(FOUND.available, reason="tests a machine without a GPU")


def test_probe_says_yes_with_devices_or_no_with_a_reason() -> None:
    assert FOUND.available == bool(FOUND.devices)
    assert FOUND.available == (FOUND.reason == "")
    for device in FOUND.devices:
        major, minor = device.compute_capability.split(".")
        assert int(major) >= 3
        assert 0 <= int(minor) <= 9


@without_gpu
def test_without_a_gpu_one_line_says_why_and_what_to_do() -> None:
    with pytest.raises(UnavailableError) as error:
        cuda.open_cuda()
    said = str(error.value)
    assert said.startswith("CUDA needs an NVIDIA GPU, and ")
    assert "built for cpu" in said
    assert "\n" not in said


class Driver:
    """A driver that fails in one function: ctypes finds such functions by name, as it does in libcuda."""

    def __init__(self, **results: int) -> None:
        self._results = results

    def __getattr__(self, function: str) -> Any:
        if function not in self._results:
            raise AttributeError(function)
        return lambda *_: self._results[function]


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        # A driver that is older than the function.
        (Driver(), "the NVIDIA driver has no cuInit"),
        # A driver without a GPU: CUDA_ERROR_NO_DEVICE.
        (Driver(cuInit=100, cuGetErrorString=0), "unknown error (cuInit: error 100)"),
    ],
)
def test_a_driver_that_fails_is_a_reason(driver: Driver, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    found = cuda.probe()
    assert not found.available
    assert said in found.reason


def test_importing_and_probing_load_no_cuda_package() -> None:
    """They are slow to import, and a camera that runs on the CPU has none."""
    code = (
        "import sys, osnet_edge.runtime.cuda as c; c.probe(); c.find_package(); "
        "heavy = {'pycuda', 'tensorrt', 'tensorrt_rtx', 'torch', 'onnx', 'cuda.bindings.driver'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_memory_is_viewed_and_not_copied() -> None:
    buffer = (ctypes.c_float * 6)(*range(6))
    array = cuda.as_array(ctypes.addressof(buffer), (2, 3), np.float32)
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    array[1, 2] = 7
    assert buffer[5] == 7
    assert array.flags.c_contiguous


@pytest.mark.gpu
@needs_gpu
def test_bytes_go_to_the_gpu_and_come_back_from_any_thread() -> None:
    device = cuda.open_cuda()
    assert cuda.open_cuda() is device
    came_back: list[bool] = []

    def there_and_back(seed: int) -> None:
        with device.current():
            stream = device.create_stream()
            sent, received = device.pin((3, 5), np.float32), device.pin((3, 5), np.float32)
            memory = device.allocate(sent.array.nbytes)
            sent.array[:] = np.random.default_rng(seed).normal(size=(3, 5))
            received.array[:] = 0
            # A part of the memory, as a batch that is smaller than the largest.
            device.upload(sent.array[:2], memory, stream)
            device.download(memory, received.array[:2], stream)
            stream.synchronize()
            came_back.append(
                np.array_equal(sent.array[:2], received.array[:2]) and not received.array[2].any()
            )
            for resource in (memory, sent, received):
                resource.free()
            stream.destroy()

    threads = [threading.Thread(target=there_and_back, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came_back == [True] * 4


@pytest.mark.gpu
@needs_gpu
def test_running_out_of_memory_is_one_line() -> None:
    device = cuda.open_cuda()
    with pytest.raises(UnavailableError, match="CUDA says: "), device.current():
        device.allocate(1 << 50)


def test_cuda_python_is_called_as_it_wants_to_be(tmp_path: Path) -> None:
    """The GPU tests above, through the real cuda-python, on a driver that is ordinary memory."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    pytest.importorskip("cuda.bindings.driver", reason="cuda-python is not installed")
    source = Path(__file__).with_name("libcuda_stand_in.c")
    build = [compiler, "-shared", "-fPIC", "-o", str(tmp_path / "libcuda.so.1"), str(source), "-ldl"]
    subprocess.run(build, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "gpu", __file__],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    # It reports what was not freed, and what was called without a context.
    assert "stand-in" not in done.stdout
