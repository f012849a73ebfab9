"""An exported graph to an engine package for one target."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.backends.tensorrt.options import DEFAULTS, BuilderOptions
from osnet_edge.engines.build_spec import DEFAULT_BATCH, BuildSpec
from osnet_edge.engines.golden import (
    GoldenPairs,
    first_difference,
    hold_as_written,
    make_golden,
    write_golden,
)
from osnet_edge.engines.graph.reading import ExportedGraph, read_graph
from osnet_edge.engines.int8 import Calibration
from osnet_edge.engines.precision import AskedPrecision, check_asked, resolve_precision
from osnet_edge.engines.targets import parse_target
from osnet_edge.runtime.backends.registry import BACKENDS, CPU_BACKENDS
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import CheckError, InputError, UnavailableError
from osnet_edge.runtime.files import MANIFEST_NAME, require_folder, sha256_of, write_folder_aside
from osnet_edge.runtime.package.manifest import (
    SCHEMA_VERSION,
    BatchRange,
    FileEntry,
    Golden,
    Manifest,
    write_manifest,
)
from osnet_edge.runtime.package.placement import Placement, require_placement
from osnet_edge.runtime.package.tuning import Tuning
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import ANY

#: The key in a manifest's `tools` for what the target `cpu:fastest` chose, and why.
CHOICE_KEY = "cpu:fastest"


def build_package(
    graph: Path | str,
    output: Path | str,
    *,
    target: str,
    golden_crops: Picture,
    processor: str = "this",
    precision: AskedPrecision = "fp32",
    batch: BatchRange | None = None,
    placement: Placement | None = None,
    calibration: Calibration | None = None,
    resolved: BuildSpec | None = None,
    options: BuilderOptions = DEFAULTS,
    tuning: Tuning | None = None,
    replace: bool = False,
    progress: Callable[[str], None] = lambda step: None,
) -> Manifest:
    """Build an engine package.

    Args:
        graph: ONNX file of `osnet-edge export`.
        output: the package's folder, made whole or not at all.
        target: see `osnet_edge.engines.targets`.
        golden_crops: uint8 (K, H, W, 3) RGB, a few images of people (drawn ones:
            `osnet_edge.train.synthetic.sample_crops`), shipped in the package with their embeddings.
        processor: that INT8 and bf16 on a CPU are made for, one of `osnet_edge.runtime.processor.PROCESSORS`,
            or `this`.
        precision: of weights and arithmetic; `auto` takes the fastest within a budget.
        batch: batch sizes the engine takes; None for the target's default.
        placement: what the graph's must be; None takes any.
        calibration: for `int8` and `auto`, images and what may be lost; for fp16, where given, images on
            which activations must stay within float16's range.
        resolved: what a tuner decided, in place of `precision` and `calibration`.
        options: of a TensorRT builder.
        tuning: that the package won, for its manifest.
        replace: whether a package already there is replaced.
        progress: called with a line for each step.

    Returns:
        The manifest as written.

    Raises:
        InputError: the graph, target, precision, calibration set or output cannot be used, or activations
            leave float16's range.
        UnavailableError: the target cannot be built on this machine; the message says what would be possible.
        CheckError: the finished engine, where it can run here, fails its golden pairs, or nothing is within
            the budget. No package is left.
    """
    output, spec = Path(output), parse_target(target, processor)
    check_asked(spec, precision, calibration)
    require_place(output, replace=replace)
    asked = precision if precision != "auto" else "fp32"
    builder_of(spec.backend).require_here(spec, resolved.precision if resolved else asked)
    progress("reading the graph")
    read = read_graph(Path(graph))
    require_placement(placement, read.info.model.placement, str(graph))
    batch, tools = batch or DEFAULT_BATCH, tools_of(read)
    resolved = resolved or resolve_precision(
        read, spec, precision, calibration, batch.opt, golden_crops, progress
    )
    resolved = dataclasses.replace(resolved, batch=batch, options=options)
    if resolved.choice:
        tools[CHOICE_KEY] = resolved.choice
    with write_folder_aside(output, replace=replace) as folder:
        progress("writing golden pairs")
        pairs = make_golden(read, golden_crops, resolved.precision, resolved.quantized)
        golden = write_golden(pairs, folder)
        manifest = write_package(folder, read, resolved, golden, tools, progress, tuning)
        progress("proving the engine")
        try:
            _prove(folder, manifest, resolved, pairs)
        except CheckError as error:
            # A tuner goes on with another by itself.
            raise error if tuning else CheckError(f"{error}; {_other_ways(resolved)}") from None
    return manifest


def write_package(
    folder: Path,
    graph: ExportedGraph,
    resolved: BuildSpec,
    golden: Golden,
    tools: dict[str, str],
    progress: Callable[[str], None],
    tuning: Tuning | None = None,
) -> Manifest:
    """Build a package's model file, beside the golden pairs that are there, and write its manifest.

    Args:
        folder: the package being made.
        graph: the float32 graph.
        resolved: what is built of it.
        golden: the pairs.
        tools: versions of what made it.
        progress: called with a line for each step.
        tuning: that the package won.

    Returns:
        The manifest as written.
    """
    progress("building the engine")
    builder = builder_of(resolved.spec.backend)
    name = builder.model_name
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        model=graph.info.model,
        preprocessing=graph.info.preprocessing,
        precision=resolved.precision,
        batch=resolved.batch,
        target=builder.build(graph, folder / name, resolved, progress),
        model_file=name,
        onnx_sha256=graph.sha256,
        files={each: file_entry(folder / each) for each in (name, golden.file)},
        golden=golden,
        tools=tools,
        int8=resolved.int8,
        comparison=resolved.comparison,
        tuning=tuning,
    )
    write_manifest(folder, manifest)
    return manifest


def require_place(output: Path, *, replace: bool) -> None:
    """Check that a package may be written to `output`, before the work begins.

    Raises:
        InputError: something is there that may not be replaced, or no folder can be made there.
    """
    if output.exists() and not replace:
        raise InputError(f"{output} is already there; pass --force to replace it, or name another output")
    if replace and output.exists() and not (output / MANIFEST_NAME).is_file():
        raise InputError(f"{output} is no engine package, so it is not replaced; name another output")
    require_folder(output, replace=replace)


def _prove(folder: Path, manifest: Manifest, resolved: BuildSpec, pairs: GoldenPairs) -> None:
    """Verify the build with its golden pairs: the engine if it can run here, or else a CPU's graph.

    Raises:
        CheckError: they differ; the message says of what, and what to do.
    """
    where = ""
    try:
        try:
            Embedder.load(folder).prove()
        except UnavailableError:
            # A plan built ahead of time runs on another machine, and nothing else of it can be verified here.
            if manifest.target.device == "cpu":
                hold_as_written(folder, manifest)
        except CheckError:
            where = _first_difference(resolved, pairs)
            raise
    except CheckError as error:
        what = f"{manifest.model.variant} {resolved.precision} for {resolved.spec.row.target}"
        on = f" on {manifest.target.processor}" if manifest.target.processor else ""
        reason = error.__cause__ or error
        raise CheckError(f"{what}{on}: {reason}{where}") from None


def _first_difference(resolved: BuildSpec, pairs: GoldenPairs) -> str:
    """Return where an INT8 engine on a CPU first differs from its graph; empty if it is unknown."""
    spec = resolved.spec
    if resolved.quantized is None or not spec.row.on_cpu:
        return ""
    graph, builder = resolved.quantized.make(), builder_of(spec.backend)
    found = first_difference(graph, builder, spec.processor, pairs.batch)
    return f"; it first leaves its graph at {found}" if found else ""


def _other_ways(resolved: BuildSpec) -> str:
    """Return what else can be built, for a message."""
    spec, ways = resolved.spec, []
    if resolved.precision != "fp32":
        ways.append("--precision fp32")
    if resolved.precision == "int8" and spec.processor not in ("", ANY):
        ways.append("--processor any")
    if spec.processor or not ways:
        ways += [f"--target {BACKENDS[each].target}" for each in CPU_BACKENDS if each != spec.backend]
    return f"build it with {' or '.join(ways)}"


def tools_of(graph: ExportedGraph) -> dict[str, str]:
    """Return the versions of what made a graph, and of what builds from it."""
    return {**graph.info.tools, "osnet-edge": version("osnet-edge")}


def file_entry(path: Path) -> FileEntry:
    """Return how a manifest lists a file."""
    return FileEntry(sha256_of(path), path.stat().st_size)
