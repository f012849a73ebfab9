"""The calibration table: what INT8 needs to know of a graph's activations, in a file a person can read.

One is made of a graph and a calibration set, and kept beside the set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from osnet_edge.engines.calibration import CalibrationPicture, CalibrationSet, load_pictures
from osnet_edge.engines.calibration.camera_changes import RANGES, images_for_ranges
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.graph.running import batches_of
from osnet_edge.engines.quantization.equalization import Factors, channel_factors
from osnet_edge.engines.quantization.ranges import METHODS, Method
from osnet_edge.engines.quantization.statistics import ChannelHistograms, collect
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_json
from osnet_edge.runtime.package.schema import parse_document, to_json
from osnet_edge.runtime.preprocessing import Preprocessing

#: Steps from 0 to the range, in INT8 and in what u8 makes of tensors without negative values.
SIGNED_LEVELS, UNSIGNED_LEVELS = 127, 255
#: Of how ranges are found; from 2 on, sides of a residual sum count as 0 where the ReLU behind it gives 0.
_VERSION: Literal[2] = 2
#: Bins of a tensor's own histogram: 8 for each of 255 steps.
_BINS = 2048
#: Images at once: four of x1.0's keep 400 MB of activations.
_BATCH = 4
#: What OSNet's operators make that an engine may want quantised.
_QUANTIZABLE = (
    "Conv",
    "Gemm",
    "Relu",
    "Add",
    "Mul",
    "Sigmoid",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
)


@dataclass(frozen=True)
class TensorRanges:
    """One tensor of the equalised graph.

    Attributes:
        signed: whether it has values below 0.
        factors: (C,) what its channels were divided by; empty where nothing was.
        mean: (C,) mean of its values, so divided.
        ranges: by method and levels, such as `mse/127`: the magnitude of the last step.
        shifts: as above, (C,) by how much quantising moves each channel's mean.
    """

    signed: bool
    factors: tuple[float, ...]
    mean: tuple[float, ...]
    ranges: dict[str, float]
    shifts: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class CalibrationTable:
    """The whole of the file; `osnet_edge.runtime.package.schema` holds it to these types.

    Attributes:
        format: tells the file from others.
        version: of how ranges are found; a table of an older one is made anew.
        graph_sha256: of the ONNX file that it belongs to.
        pictures_sha256: of the hashes of the images that were run.
        tensors: by name.
    """

    format: Literal["osnet-edge calibration table"]
    version: Literal[1, 2]
    graph_sha256: str
    pictures_sha256: str
    tensors: dict[str, TensorRanges]


def make_table(
    graph: Graph,
    batches: Iterable[npt.NDArray[np.generic]],
    *,
    graph_sha256: str,
    pictures_sha256: str,
    methods: Collection[Method] = tuple(METHODS),
    progress: Callable[[int], None] = lambda pictures: None,
) -> CalibrationTable:
    """Run a graph over calibration images once, and find ranges.

    Args:
        graph: the float32 graph.
        batches: its input, a few images each, see `collect`.
        graph_sha256: of its file.
        pictures_sha256: of the hashes of the images.
        methods: whose ranges are found.
        progress: called with the number of images that were run, after every batch.

    Raises:
        InputError: as `collect`.
    """
    counted = collect(graph, _tensors(graph), batches, progress=progress)
    factors = channel_factors(graph, {name: spread.largest for name, spread in counted.items()})
    return CalibrationTable(
        "osnet-edge calibration table",
        _VERSION,
        graph_sha256,
        pictures_sha256,
        {name: _ranges(spread, factors.get(name), methods) for name, spread in counted.items()},
    )


def find_table(
    graph: ExportedGraph,
    calibration: CalibrationSet,
    file: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> CalibrationTable:
    """Read the table beside a calibration set, or make it.

    Args:
        graph: the float32 graph.
        calibration: the set.
        file: of the set; `calib.json` has its tables in `calib.GRAPH.table.json`, by the graph's hash.
        progress: called with a line for each step.

    Raises:
        InputError: an image vanished or was changed, an activation is not finite, a tensor has no range, or
            the file in the table's place is none.
    """
    place = file.with_name(f"{file.stem}.{graph.sha256[:12]}.table.json")
    pictures = hash_pictures(calibration)
    if place.is_file():
        table = read_table(place)
        if (table.version, table.graph_sha256, table.pictures_sha256) == (_VERSION, graph.sha256, pictures):
            progress(f"ranges are known from {place.name}")
            return table
    total, done = len(calibration.pictures) * (1 + calibration.drawn.changed_copies), 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if done % 64 < count or done == total:
            progress(f"finding ranges: {done:,} of {total:,} images")

    table = make_table(
        graph,
        batches_of(images_for_ranges(calibration), graph.info.preprocessing, _BATCH),
        graph_sha256=graph.sha256,
        pictures_sha256=pictures,
        progress=tell,
    )
    write_table(table, place)
    return table


def hash_pictures(calibration: CalibrationSet) -> str:
    """Return a hash of what ranges see: hashes and boxes of files, in order, and how they change."""
    lines = [f"{each.sha256} {each.box}" for each in calibration.pictures]
    if copies := calibration.drawn.changed_copies:
        lines.append(f"{copies} changed in {RANGES}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_batches(
    pictures: tuple[CalibrationPicture, ...], preprocessing: Preprocessing, batch: int
) -> Iterator[npt.NDArray[np.generic]]:
    """Return images as the engine's input, `batch` at a time, each read when it is wanted.

    Raises:
        InputError: an image vanished, was changed, or cannot be decoded.
    """
    return batches_of(load_pictures(pictures), preprocessing, batch)


def read_table(file: Path | str) -> CalibrationTable:
    """Read a table.

    Raises:
        InputError: the file is missing, or no calibration table of this version.
    """
    file = Path(file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the calibration table {file}: {error.strerror}") from None
    advice = "expected a calibration table; delete it, and build again"
    return parse_document(CalibrationTable, content, str(file), None, advice)


def write_table(table: CalibrationTable, file: Path | str) -> None:
    """Write a table, whole or not at all."""
    write_json(file, to_json(table))


def levels_for(signed: bool, activations: str) -> int:
    """Return the steps from 0 to the range: a signed tensor has half of a byte for each side."""
    return SIGNED_LEVELS if signed or activations == "int8" else UNSIGNED_LEVELS


def range_key(method: Method, levels: int) -> str:
    """Return the key of a range in a table, such as `mse/127`."""
    return f"{method}/{levels}"


def _tensors(graph: Graph) -> Sequence[str]:
    """Return what may be quantised: what layers read, and what they and their neighbours write.

    Not what only a ReLU reads, for nothing may stand between the two.
    """
    read = [node.input[0] for node in graph.nodes if node.op_type in ("Conv", "Gemm")]
    written = [
        name
        for node in graph.nodes
        if node.op_type in _QUANTIZABLE
        for name in node.output
        if [reader.op_type for reader in graph.readers.get(name, [])] != ["Relu"]
    ]
    return tuple(dict.fromkeys((*read, *written)))


def _ranges(spread: ChannelHistograms, factors: Factors | None, methods: Collection[Method]) -> TensorRanges:
    scale = np.ones(len(spread.limit)) if factors is None else factors
    values = spread.centres / scale[:, None]
    # A gate that is off has no range: any will do.
    largest = float((spread.largest / scale).max()) or 1.0
    both = spread.counts.sum(axis=0)
    bins = np.minimum((values * (_BINS / largest)).astype(np.int64), _BINS - 1)
    counts = np.bincount(bins.ravel(), weights=both.ravel(), minlength=_BINS).astype(np.float64)
    ranges, shifts = {}, {}
    for levels in (SIGNED_LEVELS,) if spread.signed else (SIGNED_LEVELS, UNSIGNED_LEVELS):
        for method in methods:
            key = range_key(method, levels)
            # A range of 0 would divide by 0.
            ranges[key] = _short(max(METHODS[method](counts, largest, levels), 1e-12))
            step = ranges[key] / levels
            moved = np.minimum(np.round(values / step), levels) * step - values
            shift = ((spread.counts[0] - spread.counts[1]) * moved).sum(axis=1) / max(spread.counted, 1)
            shifts[key] = tuple(map(_short, shift))
    return TensorRanges(
        spread.signed,
        () if factors is None else tuple(map(_short, factors)),
        tuple(map(_short, spread.mean / scale)),
        ranges,
        shifts,
    )


def _short(value: float) -> float:
    """Seven digits, which is what float32 has, keep the file readable."""
    return float(f"{value:.7g}")
