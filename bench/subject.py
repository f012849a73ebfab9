"""What is measured: an engine package through the runtime, or the float32 graph opened by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench._checks import FloatArray
from osnet_edge.bench.machine import installed_version
from osnet_edge.runtime.backends.onnxruntime_cpu import default_threads
from osnet_edge.runtime.cuda import probe
from osnet_edge.runtime.embedder import Embedder, normalize_rows
from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.graph_info import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, parse_graph_info
from osnet_edge.runtime.preprocessing import Preprocessing, check_crops, to_batch

REFERENCE_NAME = "float32 reference"


@dataclass(frozen=True)
class Subject:
    """An engine to measure.

    Attributes:
        name: unique among those measured together.
        variant: the network.
        precision: of its weights.
        target: what runs it.
        size_bytes: of its files.
        load_seconds: from file to ready.
        preprocessing: what a batch for `infer` must look like.
        batches: smallest and largest batch that `infer` takes; a largest of None has no limit.
        accelerator: name of the GPU that runs it; None on the CPU.
        versions: of the library that runs it, by its name.
        infer: takes (N, *preprocessing.input_shape) to (N, D).
        embed: takes crops to (N, D) rows of length 1.
    """

    name: str
    variant: str
    precision: str
    target: str
    size_bytes: int
    load_seconds: float
    preprocessing: Preprocessing
    batches: tuple[int, int | None]
    accelerator: str | None
    versions: dict[str, str]
    infer: Callable[[npt.NDArray[np.generic]], FloatArray]
    embed: Callable[[Any], FloatArray]


def load_package(package: Path | str, threads: int | None = None) -> Subject:
    """Load a package as the runtime does, hashes and all.

    Raises:
        InputError, UnavailableError: as `Embedder.load`.
    """
    started = time.perf_counter()
    embedder = Embedder.load(package, threads=threads)
    seconds = time.perf_counter() - started
    manifest = embedder.manifest
    target = manifest.target
    # A plan runs with the version that built it; of the others the installed one counts.
    version = target.backend_version if target.exact_version else installed_version(target.backend)
    return Subject(
        name=Path(package).resolve().name,
        variant=manifest.model.variant,
        precision=manifest.precision,
        target=target.backend,
        size_bytes=manifest.files[manifest.model_file].bytes,
        load_seconds=seconds,
        preprocessing=manifest.preprocessing,
        batches=(manifest.batch.min, manifest.batch.max),
        accelerator=probe().devices[0].name if target.device == "cuda" else None,
        versions={target.backend: version},
        infer=embedder.infer,
        embed=embedder,
    )


def load_reference(graph: Path | str, threads: int | None = None) -> Subject:
    """Open an exported float32 graph in ONNX Runtime as one would by hand: default options, nothing split.

    Args:
        graph: ONNX file of `osnet-edge export`, which carries its own preprocessing.
        threads: CPU threads; None takes what the runtime would take, so that both have the same.

    Raises:
        InputError: it is no such graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = default_threads() if threads is None else threads
    started = time.perf_counter()
    try:
        session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime's exceptions have no common base of their own to catch.
        raise InputError(f"{graph} is no graph for ONNX Runtime ({first_line(error)})") from None
    seconds = time.perf_counter() - started
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise InputError(f"{graph} does not say how pictures are prepared; expected one of osnet-edge export")
    info = parse_graph_info(metadata[METADATA_KEY], str(graph))

    def infer(batch: npt.NDArray[np.generic]) -> FloatArray:
        rows: FloatArray = session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0]
        return rows

    return Subject(
        name=REFERENCE_NAME,
        variant=info.model.variant,
        precision="fp32",
        target="onnxruntime by hand",
        size_bytes=Path(graph).stat().st_size,
        load_seconds=seconds,
        preprocessing=info.preprocessing,
        batches=(1, None),
        accelerator=None,
        versions={},
        infer=infer,
        embed=lambda crops: normalize_rows(infer(to_batch(check_crops(crops), info.preprocessing))),
    )
