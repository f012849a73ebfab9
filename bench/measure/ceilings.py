"""The machine's best rates: of a large copy, and of a large matrix product in each precision.

The matrix product in float32 uses NumPy and, if installed, OpenVINO, and the faster counts. OpenVINO also
measures bf16 and INT8. Ceilings of GPUs are not measured here.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.measure.engine_process import threads_in_environment
from osnet_edge.bench.measure.latency import interleave, rounds_within, time_calls
from osnet_edge.bench.result.limits import Ceilings
from osnet_edge.runtime.backends.openvino import HINTS, import_openvino, installed_precisions, open_core
from osnet_edge.runtime.precisions import Precision

#: Well beyond any cache, in bytes; and a matrix whose product takes some 10 ms on a core.
_COPY_BYTES, _SIDE = 256_000_000, 768
#: The best of at least this many calls counts, because the others were disturbed.
_TIMES = 7


def measure_ceilings(threads: int, seconds: float = 1.0) -> Ceilings | None:
    """Measure each in a process of its own; None where that process dies.

    Args:
        threads: CPU threads.
        seconds: for each.
    """
    context = multiprocessing.get_context("spawn")
    with threads_in_environment(threads), ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_measure, threads, seconds).result()
        except BrokenProcessPool:
            return None


def _measure(threads: int, seconds: float) -> Ceilings:
    products: dict[str, float] = {"fp32": _numpy_product(seconds)}
    precisions: tuple[Precision, ...] = installed_precisions()
    # Wherever OpenVINO is, it has a product of INT8.
    for precision in (*precisions, "int8") if precisions else ():
        rate = _openvino_product(precision, threads, seconds)
        products[precision] = max(rate, products.get(precision, 0.0))
    return Ceilings(_copy(threads, seconds), products)


def _copy(threads: int, seconds: float) -> float:
    """Return the bytes read and written in a second by a large copy, shared among threads."""
    source = np.ones(_COPY_BYTES // 8)
    target = np.empty_like(source)
    pairs = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        # NumPy releases the interpreter lock while it copies.
        return 2 * source.nbytes / _best(lambda: list(pool.map(_fill, pairs)), seconds)


def _fill(pair: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]) -> None:
    np.copyto(pair[1], pair[0])


def _numpy_product(seconds: float) -> float:
    one = np.random.default_rng(0).random((_SIDE, _SIDE), np.float32)
    return 2 * _SIDE**3 / _best(lambda: one @ one, seconds)


def _openvino_product(precision: Precision, threads: int, seconds: float) -> float:
    """Return the operations in a second of a product with a constant matrix, as layers have."""
    openvino = import_openvino()
    ops = openvino.opset13
    weights = np.random.default_rng(0).integers(-127, 128, (_SIDE, _SIDE)).astype(np.int8)
    data = ops.parameter([_SIDE, _SIDE], np.float32)
    if precision == "int8":
        # As a quantised graph has it: bytes by one step each, on both sides.
        low, high = np.float32(-1.28), np.float32(1.27)
        rows = ops.fake_quantize(data, low, high, low, high, levels=256)
        constant = ops.multiply(ops.convert(ops.constant(weights), "f32"), np.float32(0.01))
    else:
        rows, constant = data, ops.constant(weights.astype(np.float32))
    model = openvino.Model([ops.matmul(rows, constant, False, True)], [data])
    options = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    request = open_core(precision).compile_model(model, "CPU", options).create_infer_request()
    batch = np.random.default_rng(1).random((_SIDE, _SIDE), np.float32)
    run = partial(request.infer, [batch], share_inputs=True, share_outputs=True)
    return 2 * _SIDE**3 / _best(run, seconds)


def _best(run: Callable[[], object], seconds: float) -> float:
    """Return the seconds of the quickest call, after one that is not kept."""
    run()
    rounds = interleave({"run": partial(time_calls, run, lead=False)}, rounds_within(seconds, _TIMES))
    return min(ns for _, calls in rounds for ns in calls) / 1e9
