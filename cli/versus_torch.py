"""PyTorch as most people call it: the network in eval mode, pictures normalised in NumPy, no compiling."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from osnet_edge.bench.measure.subject import Batch, Subject, SubjectFacts, by_hand
from osnet_edge.bench.metrics._checks import FloatArray
from osnet_edge.bench.result.machine import installed_version
from osnet_edge.runtime.preprocessing import Preprocessing


def load_torch(weights: str, how: Preprocessing, threads: int) -> Subject:
    """Load a checkpoint into the network.

    Raises:
        InputError: it is none.
        ModuleNotFoundError: torch is not installed.
    """
    import torch

    from osnet_edge.train.checkpoint import load_osnet

    torch.set_num_threads(threads)
    started = time.perf_counter()
    model = load_osnet(weights).eval()
    seconds = time.perf_counter() - started

    def infer(batch: Batch) -> FloatArray:
        with torch.inference_mode():
            rows: FloatArray = model(torch.from_numpy(np.asarray(batch, np.float32))).numpy()
        return rows

    facts = SubjectFacts(
        variant=model.variant.name,
        precision="fp32",
        target="torch eager",
        size_bytes=Path(weights).stat().st_size,
        package_bytes=None,
        load_seconds=seconds,
        versions={"torch": installed_version("torch")},
    )
    return by_hand(facts, infer, how)
