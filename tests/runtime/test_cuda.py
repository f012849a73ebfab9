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
from cuda_in_memory import kernels_on_host

from osnet_edge.runtime.cuda import bindings as cuda
from osnet_edge.runtime.cuda.bindings import CudaPython, PyCuda
from osnet_edge.runtime.cuda.compile import compile_crops
from osnet_edge.runtime.cuda.crops import CropCutter, GrowingBuffer, crop_table
from osnet_edge.runtime.cuda.driver_api import Cuda, as_array
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.errors import UnavailableError
from osnet_edge.runtime.preprocessing import Preprocessing, to_batch

FOUND = probe()
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
    found = probe()
    assert not found.available
    assert said in found.reason


def test_importing_and_probing_load_no_cuda_package() -> None:
    """They are slow to import, and a camera that runs on the CPU has none."""
    code = (
        "import sys, osnet_edge.runtime.cuda.bindings as c, osnet_edge.runtime.cuda.probe as d; "
        "d.probe(); c.find_package(); "
        "heavy = {'pycuda', 'tensorrt', 'tensorrt_rtx', 'torch', 'onnx', 'cuda.bindings.driver'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_memory_is_viewed_and_not_copied() -> None:
    buffer = (ctypes.c_float * 6)(*range(6))
    array = as_array(ctypes.addressof(buffer), (2, 3), np.float32)
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    array[1, 2] = 7
    assert buffer[5] == 7
    assert array.flags.c_contiguous


@pytest.fixture(params=["cuda-python", "pycuda"])
def device(request: pytest.FixtureRequest) -> Cuda:
    """CUDA through each package that is installed."""
    package = {"cuda-python": CudaPython, "pycuda": PyCuda}[request.param]
    try:
        return package()
    except ImportError:
        pytest.skip(f"{request.param} is not installed")


@pytest.mark.gpu
@needs_gpu
def test_one_object_serves_the_process() -> None:
    assert cuda.open_cuda() is cuda.open_cuda()
    assert cuda.open_cuda().is_alive()


@pytest.mark.gpu
@needs_gpu
def test_bytes_go_to_the_gpu_and_come_back_from_any_thread(device: Cuda) -> None:
    came_back: list[bool] = []

    def there_and_back(seed: int) -> None:
        with device.current():
            stream = device.create_stream()
            sent, received = device.pin((3, 5), np.float32), device.pin((3, 5), np.float32)
            memory, other = (device.allocate(sent.array.nbytes) for _ in range(2))
            sent.array[:] = np.random.default_rng(seed).normal(size=(3, 5))
            received.array[:] = 0
            # A part of the memory, as a batch that is smaller than the largest, and on by way of another.
            device.upload(sent.array[:2], memory.address, stream)
            device.copy(memory.address, other.address, sent.array[:2].nbytes, stream)
            device.download(other.address, received.array[:2], stream)
            stream.synchronize()
            came_back.append(
                np.array_equal(sent.array[:2], received.array[:2])
                and not received.array[2].any()
                and device.device_of(memory.address) == 0
            )
            for resource in (memory, other, sent, received):
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
def test_a_graph_does_again_what_was_captured(device: Cuda) -> None:
    with device.current():
        stream, other = device.create_stream(), device.create_stream()
        sent, received = device.pin((4,), np.float32), device.pin((4,), np.float32)
        memory = device.allocate(16)

        def work() -> None:
            device.upload(sent.array, memory.address, stream)
            device.download(memory.address, received.array, stream)

        received.array[:] = 0
        graph = device.capture(work, stream)
        # Nothing was done yet.
        assert not received.array.any()
        for value in (1, 2):
            sent.array[:] = value
            # Streams in order: another one's work first.
            device.wait_for(other.handle, stream)
            device.wait_for(1, stream)
            graph.launch()
            stream.synchronize()
            assert received.array.tolist() == [value] * 4
        for close in (graph.destroy, memory.free, sent.free, received.free, other.destroy, stream.destroy):
            close()


@pytest.mark.gpu
@needs_gpu
def test_a_capture_that_breaks_leaves_the_stream_as_it_was(device: Cuda) -> None:
    def fail() -> None:
        raise UnavailableError("no")

    with device.current():
        stream = device.create_stream()
        with pytest.raises(UnavailableError, match=r"^no$"):
            device.capture(fail, stream)
        device.capture(lambda: None, stream).destroy()
        stream.synchronize()
        stream.destroy()


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("interpolation", ["pillow-bilinear", "opencv-bilinear"])
@pytest.mark.parametrize("where", ["graph", "host"])
def test_crops_are_cut_as_on_the_cpu(device: Cuda, interpolation: Any, where: Any) -> None:
    preprocessing = Preprocessing(64, 48, interpolation=interpolation, normalize_in=where)
    frame = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    boxes = [[0, 0, 48, 64], [3, 5, 180, 149], [0, 0, 200, 150], [9, 9, 20, 140]]
    wanted = to_batch([frame[y1:y2, x1:x2] for x1, y1, x2, y2 in boxes], preprocessing)
    try:
        # On the stand-in, kernels are a library for this processor.
        image = os.environ.get("STAND_IN_KERNELS", "").encode() or compile_crops(FOUND.devices[0][1])
    except UnavailableError as error:
        pytest.skip(str(error))
    with device.current():
        stream, module = device.create_stream(), device.load(image)
        cutter, buffer = CropCutter(device, module, preprocessing), GrowingBuffer(device)
        got, memory = device.pin(wanted.shape, wanted.dtype), device.allocate(wanted.nbytes)
        table = crop_table(buffer.upload(frame, stream), 200, boxes)
        stream.synchronize()
        cutter.cut(table, memory.address, stream, bgr=False)
        device.download(memory.address, got.array, stream)
        stream.synchronize()
        level = 1.01 if where == "graph" else 1.01 / 255 / min(preprocessing.std)
        np.testing.assert_allclose(got.array.astype(float), wanted, rtol=0, atol=level)
        for close in (cutter.free, buffer.free, got.free, memory.free, module.unload, stream.destroy):
            close()


@pytest.mark.gpu
@needs_gpu
def test_running_out_of_memory_is_one_line(device: Cuda) -> None:
    with (
        pytest.raises(UnavailableError, match=r"CUDA says: .*out of memory.*smaller batches"),
        device.current(),
    ):
        device.allocate(1 << 50)


@pytest.mark.gpu
@needs_gpu
def test_a_forked_child_is_told_to_spawn(device: Cuda) -> None:
    # The driver's own answer too: another object would not help the child.
    for use in (lambda: device.current().__enter__(), cuda.open_cuda):
        child = os.fork()
        if not child:
            code = 1
            try:
                use()
            except UnavailableError as error:
                code = 0 if "spawn" in str(error) else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.gpu
@needs_gpu
def test_a_gpu_that_was_reset_is_opened_again() -> None:
    """Last, and in a process of its own: everything of the old context is gone."""
    code = """
import ctypes
from osnet_edge.runtime import errors
from osnet_edge.runtime.cuda import bindings as cuda
from osnet_edge.runtime.cuda.probe import call, open_driver
first = cuda.open_cuda()
with first.current():
    memory = first.allocate(16)
call(open_driver(), "cuDevicePrimaryCtxReset_v2", 0)
print(first.is_alive())
try:
    with first.current():
        first.allocate(16)
except errors.UnavailableError as error:
    print(error)
second = cuda.open_cuda()
with second.current():
    second.allocate(16).free()
# What was of the first is not the second's to free, though its address may be in use again.
try:
    with first.current():
        memory.free()
except errors.UnavailableError as error:
    print(error)
print(second is first, second.is_alive())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    alive, *said, last = done.stdout.splitlines()
    assert (alive, last) == ("False", "False True")
    assert len(said) == 2
    assert all("load the engine again" in line for line in said)


@pytest.mark.parametrize("package", ["cuda-python", "pycuda"])
def test_the_packages_are_called_as_they_want_to_be(package: str, tmp_path: Path) -> None:
    """The GPU tests above, through the real cuda-python, on a driver that is ordinary memory.

    pycuda is a stand-in as well, since it is built against a driver; of it only the context is used.
    """
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    if package == "cuda-python":
        pytest.importorskip("cuda.bindings.driver", reason="cuda-python is not installed")
    here = Path(__file__).parents[1]
    source = here / "libcuda_stand_in.c"
    build = [compiler, "-shared", "-fPIC", "-o", str(tmp_path / "libcuda.so.1"), str(source), "-ldl"]
    subprocess.run(build, check=True)
    if package == "pycuda":
        (tmp_path / "pycuda").mkdir()
        (tmp_path / "pycuda" / "__init__.py").touch()
        shutil.copy(here / "pycuda_stand_in.py", tmp_path / "pycuda" / "driver.py")
    chosen, count = ("not pycuda", 11) if package == "cuda-python" else ("pycuda", 9)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--noconftest",
            "-p",
            "no:cacheprovider",
            "-m",
            "gpu",
            "-k",
            chosen,
            __file__,
        ],
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(tmp_path),
            "STAND_IN_KERNELS": str(kernels_on_host(tmp_path)),
            "PYTHONPATH": os.pathsep.join((str(tmp_path), str(here))),
        },
        capture_output=True,
        text=True,
    )
    assert f"{count} passed, " in done.stdout, done.stdout + done.stderr
    assert "skipped" not in done.stdout, done.stdout
    # It reports what was not freed, and what was called without a context.
    assert "stand-in" not in done.stdout
