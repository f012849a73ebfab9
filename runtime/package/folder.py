"""An engine package on disk: a folder with a manifest, a model file and golden pairs."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

from osnet_edge.runtime.backends.registry import backend_named
from osnet_edge.runtime.errors import InputError, UnavailableError, first_line
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package.manifest import FileEntry, Manifest, read_manifest
from osnet_edge.runtime.package.self_contained import require_self_contained
from osnet_edge.runtime.processor import this_processor


def follow_path(package: Path) -> Path:
    """Return where a package's path leads now, through all links.

    Raises:
        InputError: it leads nowhere.
    """
    try:
        return package.resolve(strict=True)
    except FileNotFoundError:
        way = "a link that leads to nothing" if package.is_symlink() else "nothing"
    except (OSError, RuntimeError, ValueError) as error:
        # Python before 3.13 raises a RuntimeError for links that lead round in a circle.
        way = first_line(getattr(error, "strerror", None) or error)
    raise InputError(
        f"expected an engine package (a folder) at {package}, got {way}; name a package of osnet-edge build, "
        "or run osnet-edge device update where it is a camera's link"
    )


def open_package(package: Path) -> Manifest:
    """Read a package's manifest, hold every file to its size and hash, and a graph to its own file.

    Raises:
        InputError: it is no package, a file is missing or was changed, or its graph is no ONNX file or names
            others; the message says which.
    """
    manifest = read_manifest(package)
    check_files(package, manifest.files)
    if backend_named(manifest.target.backend).loads_graph:
        check_graph(package / manifest.model_file)
    return manifest


def check_graph(graph: Path) -> None:
    """Hold the graph of a package or recipe to one ONNX file, by its name too.

    Raises:
        InputError: it is another kind of file, or has tensors in others.
    """
    if graph.suffix != ".onnx":
        # By the name, ONNX Runtime and OpenVINO choose among formats, of which most take a second file.
        raise InputError(f"expected a graph as NAME.onnx, got {graph}; build the package again")
    require_self_contained(graph)


def check_files(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Hold files in a folder to their sizes and hashes.

    Raises:
        InputError: one is missing or was changed; the message names it.
    """
    for name, entry in files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{folder}: {name} is missing; copy the whole package again, or build it again")
        size = path.stat().st_size
        if size != entry.bytes or sha256_of(path) != entry.sha256:
            raise InputError(
                f"{folder}: {name} is not the file that was built (expected {entry.bytes} bytes of SHA-256 "
                f"{entry.sha256[:12]}..., got {size}); copy the whole package again, or build it again"
            )


def check_target(manifest: Manifest) -> None:
    """Hold a package to this machine, as far as it can be told before anything is loaded.

    Raises:
        InputError: it is a plan that was built on another kind of machine, or its backend has no such
            precision.
        UnavailableError: it is in INT8, and its library would cut its sums off on this processor, or
            has none for it.
    """
    target = manifest.target
    backend = backend_named(target.backend)
    if backend.machine_bound and target.machine != platform.machine():
        raise InputError(
            f"this engine was built on {target.machine} and this machine is {platform.machine()}; "
            f"a {backend.title} engine runs on the kind of machine that it was built for: build it again here"
        )
    if manifest.precision not in backend.precisions:
        known = " or ".join(filter(None, [", ".join(backend.precisions[:-1]), backend.precisions[-1]]))
        raise InputError(
            f"expected {known} for {backend.target}, got {manifest.precision}; build the package again"
        )
    if manifest.precision == "int8":
        here, bits = this_processor(), manifest.int8.weight_bits if manifest.int8 else 8
        if needed := backend.int8_from.get(here.kind):
            raise UnavailableError(
                f"{backend.title} has INT8 from {needed} on, and this machine is {here.kind}; build it with "
                "--target cpu, or with --precision fp32"
            )
        if backend.cuts_sums and not here.multiplies_exactly(bits):
            raise UnavailableError(
                f"this INT8 engine was built for {target.processor or 'a processor with VNNI'}, and this one "
                f"has no VNNI: {backend.title} would cut sums of its {bits}-bit weights off at 16 bits; "
                "build it with --processor any, or on this machine"
            )
