"""What an engine package says of itself: the schema of `manifest.json`, read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from osnet_edge.runtime.backends.registry import BackendName
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import MANIFEST_NAME, PLAIN_NAME, write_json
from osnet_edge.runtime.package.decisions import Comparison, Int8
from osnet_edge.runtime.package.placement import Placement
from osnet_edge.runtime.package.schema import parse_document, to_json
from osnet_edge.runtime.package.threshold import Threshold
from osnet_edge.runtime.package.tuning import Tuning
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.runtime.processor import check_processor

SCHEMA_VERSION = 1
#: 400 MB of images; a typing error would ask for more.
_LARGEST_BATCH = 4096


@dataclass(frozen=True)
class ModelInfo:
    """Which network this is, and from which checkpoint.

    Attributes:
        variant: name of the network.
        embedding_size: floats of an embedding.
        l2_normalized: whether the engine scales embeddings to length 1.
        checkpoint: name of the file that was exported.
        checkpoint_sha256: of its bytes.
        placement: where instance norm stands; None in packages from before this was written down.
        rewrite: passes that the graph was rewritten by, which change its operations and not what it computes.
    """

    variant: str
    embedding_size: int
    l2_normalized: bool
    checkpoint: str
    checkpoint_sha256: str
    placement: Placement | None = None
    rewrite: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no network gives."""
        if self.embedding_size < 1:
            raise InputError(f"expected an embedding of 1 float or more, got {self.embedding_size}")


@dataclass(frozen=True)
class BatchRange:
    """Batch sizes that the engine takes; it is fastest at `opt`. A `max` of None has no limit."""

    min: int
    opt: int
    max: int | None

    def __post_init__(self) -> None:
        """Hold 1 <= min <= opt <= max."""
        largest = self.opt if self.max is None else self.max
        if not 1 <= self.min <= self.opt <= largest <= _LARGEST_BATCH:
            given = f"{self.min}, {self.opt}, {self.max}"
            raise InputError(f"expected 1 <= min <= opt <= max <= {_LARGEST_BATCH}, got {given}")


@dataclass(frozen=True)
class Target:
    """What the engine was built for.

    Attributes:
        backend: the library that loads the model file.
        backend_version: its exact version at build time.
        device: `cpu`, or `cuda` for the TensorRT family and ONNX Runtime's CUDA provider.
        machine: the instruction set of the machine that built it, as `platform.machine()` says it.
        compute_capabilities: CUDA compute capabilities such as `8.6`; empty where there are none to name.
        exact_version: whether another version of the backend refuses the model file.
        processor: the kind of processor that an engine on the CPU was built for, one of
            `osnet_edge.runtime.processor.PROCESSORS`; empty for other devices, and in packages from before it
            was written down.
    """

    backend: BackendName
    backend_version: str
    device: Literal["cpu", "cuda"]
    machine: str
    compute_capabilities: tuple[str, ...]
    exact_version: bool
    processor: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no kind of processor."""
        check_processor(self.processor)


@dataclass(frozen=True)
class FileEntry:
    """A file of the package, by which any change to it is noticed."""

    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        """Refuse what is no SHA-256."""
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise InputError(f"expected 64 hexadecimal digits of SHA-256, got {self.sha256!r}")


@dataclass(frozen=True)
class Golden:
    """Pairs by which any machine can tell that the engine computes what it should.

    Attributes:
        file: an npz with `crops`, uint8 (K, H, W, 3) RGB, and `embeddings`, float32 (K, D), L2-normalised, of
            the float32 network, or of an INT8 package's graph with every Q/DQ as it is written.
        max_centred_distance: what each row's cosine distance may be once the mean of the golden embeddings is
            taken off; with it on, any two images look alike, and a ruined engine would pass.
    """

    file: str
    max_centred_distance: float


@dataclass(frozen=True)
class Manifest:
    """The whole of `manifest.json`; `osnet_edge.runtime.package.schema` holds it to these types.

    Attributes:
        schema_version: of this document.
        model: network and checkpoint.
        preprocessing: from a crop to the engine's input.
        precision: of the weights and most of the arithmetic.
        batch: batch sizes that the engine takes.
        target: backend and device.
        model_file: name of the file that the backend loads.
        onnx_sha256: of the graph that the engine was built from.
        files: every file of the package but the manifest.
        golden: pairs to prove the engine with.
        tools: versions of what exported and built it.
        int8: how INT8 was decided on; None where nobody asked for it.
        comparison: times of the precisions that were compared, and what came of it; None where none were.
        tuning: what it won against, if a tuner made it.
        threshold: the similarity that means the same person; None where it was not measured.
    """

    schema_version: int
    model: ModelInfo
    preprocessing: Preprocessing
    precision: Precision
    batch: BatchRange
    target: Target
    model_file: str
    onnx_sha256: str
    files: dict[str, FileEntry]
    golden: Golden
    tools: dict[str, str] = field(default_factory=dict)
    int8: Int8 | None = None
    comparison: Comparison | None = None
    tuning: Tuning | None = None
    threshold: Threshold | None = None

    def __post_init__(self) -> None:
        """Hold what types cannot say."""
        check_names(self.files, MANIFEST_NAME, (self.model_file, self.golden.file))


def check_names(files: Mapping[str, FileEntry], document: str, used: Iterable[str]) -> None:
    """Hold files that a document lists to plain names other than its own, and those that it uses to these.

    Raises:
        InputError: they are not.
    """
    for name in files:
        if not PLAIN_NAME.fullmatch(name) or name == document:
            raise InputError(f"expected plain file names, got {name!r}")
    for name in used:
        if name not in files:
            raise InputError(f"{name!r} is used, but not listed under files")


def read_manifest(package: Path | str) -> Manifest:
    """Read and validate the manifest of a package.

    Raises:
        InputError: there is no package, or its manifest is no valid one of a schema that this version reads.
    """
    package = Path(package)
    path = package / MANIFEST_NAME
    if not package.is_dir():
        found = "a file" if package.exists() else "nothing"
        raise InputError(f"expected an engine package (a folder), found {found} at {package}")
    if not path.is_file():
        raise InputError(
            f"{package} is no engine package: it has no {MANIFEST_NAME}; make one with osnet-edge build"
        )
    return parse_document(Manifest, path.read_bytes(), str(path), SCHEMA_VERSION, "build the package again")


def write_manifest(package: Path | str, manifest: Manifest) -> None:
    """Write `manifest.json` into a package folder."""
    write_json(Path(package) / MANIFEST_NAME, to_json(manifest))


def set_threshold(package: Path | str, threshold: Threshold) -> None:
    """Write a threshold into the manifest of a package that is there, in place of any it has.

    The other files, and so the engine and its golden pairs, stay as they are. An archive that was made or
    signed of the package before has another manifest.
    """
    changed = replace(read_manifest(package), threshold=threshold)
    write_json(Path(package) / MANIFEST_NAME, to_json(changed), in_package=True)
