"""`osnet-edge inspect`: the content of a package, and the kernels that its engine will launch."""

from __future__ import annotations

from pathlib import Path

import click

from osnet_edge.cli.int8_text import describe_int8, group_lines
from osnet_edge.cli.options import echo_json, json_flag
from osnet_edge.cli.paths import PACKAGE, OutputFile
from osnet_edge.cli.progress import load_package
from osnet_edge.cli.replacing import CHART_SVG, force_option
from osnet_edge.cli.tune_text import tuning_lines
from osnet_edge.runtime.backends.tensorrt.plan_schedule import PlanPart
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError, OsnetEdgeError
from osnet_edge.runtime.files import write_aside
from osnet_edge.runtime.package.manifest import Manifest, Target
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.runtime.package.threshold import Threshold
from osnet_edge.runtime.processor import ANY


@click.command()
@click.argument("package", type=PACKAGE)
@click.option("--prove", is_flag=True, help="Load the engine and run its golden pairs.")
@click.option(
    "--plot",
    type=OutputFile(CHART_SVG),
    metavar="SVG",
    help="Draw the INT8 decision for each group of layers.",
)
@force_option()
@json_flag
def inspect(package: str, prove: bool, plot: str | None, as_json: bool) -> None:
    """Show an engine PACKAGE and check its files; reading a plan needs no TensorRT.

    \b
    Example:
      osnet-edge inspect osnet-rtx
      osnet-edge inspect osnet-int8 --plot decision.svg
    """
    from osnet_edge.runtime.backends.registry import BACKENDS
    from osnet_edge.runtime.backends.tensorrt.plan_file import read_plan_header
    from osnet_edge.runtime.backends.tensorrt.plan_schedule import read_plan_schedule
    from osnet_edge.runtime.package.folder import open_package

    embedder = load_package(package) if prove else None
    manifest = embedder.manifest if embedder else open_package(Path(package))
    distance = embedder.prove() if embedder else None
    # Read from the bytes of the plan, without TensorRT.
    plan = Path(package) / manifest.model_file if BACKENDS[manifest.target.backend].machine_bound else None
    schedule = read_plan_schedule(plan) if plan else None
    if plot:
        _draw(manifest, package, plot)
    if as_json:
        document = {**to_json(manifest), "golden_distance": distance, "plan_schedule": to_json(schedule)}
        echo_json(document)
        return
    rows = _rows(manifest)
    if plan:
        rows.append(("plan header", str(read_plan_header(plan))))
        rows.append(("runs here", "yes" if embedder else _runs_here(package)))
    elif why := _refusal(manifest):
        rows.append(("runs here", f"no: {why}"))
    if schedule:
        rows.append(("plan schedule", str(schedule)))
        rows += [(f"  {part.name}", _launches(part)) for part in schedule.parts]
    for name, value in rows:
        click.echo(f"{name:14} {value}")
    click.echo(f"{'files':14} {len(manifest.files)} as built (size and SHA-256 checked)")
    if embedder and (runs := getattr(embedder.engine, "description", "")):
        click.echo(f"{'runs by':14} {runs}")
    if distance is not None:
        click.echo(f"{'golden pairs':14} hold: largest mean-centred cosine distance {distance:.1g}")
    for line in (*group_lines(manifest.int8), *tuning_lines(manifest.tuning)):
        click.echo(line)


def _refusal(manifest: Manifest) -> str | None:
    """Return why a package is refused on this processor; None if only loading it can tell."""
    from osnet_edge.runtime.package.folder import check_target

    try:
        check_target(manifest)
    except OsnetEdgeError as error:
        return str(error)
    return None


def _runs_here(package: str) -> str:
    """Load the engine; return yes, or the reason why it failed."""
    try:
        load_package(package)
    except OsnetEdgeError as error:
        return f"no: {error}"
    return "yes"


def _launches(part: PlanPart) -> str:
    return counted(part.launches, "launch") + (f", {part.copies} of them only move" if part.copies else "")


def _draw(manifest: Manifest, package: str, plot: str) -> None:
    from osnet_edge.bench.report.figures import decision_chart

    if manifest.int8 is None:
        raise InputError(f"expected a package built with --precision int8 or auto for --plot, got {package}")
    with write_aside(Path(plot)) as partial:
        partial.write_text(decision_chart(manifest.int8, Path(package).resolve().name), encoding="utf-8")


def _processor(target: Target) -> str:
    """Return the processor that a package is for; for a plan, the machine that built it."""
    if target.processor:
        return "any processor" if target.processor == ANY else target.processor
    return target.machine


def _threshold(found: Threshold) -> str:
    low, high = found.interval
    return (
        f"cosine {found.cosine:.4f} ({low:.4f} to {high:.4f}) for a FAR of {found.far:g} on {found.set}, "
        f"{found.images:,} images of {found.people:,} people"
    )


def _rows(manifest: Manifest) -> list[tuple[str, str]]:
    model, how, target, batch = manifest.model, manifest.preprocessing, manifest.target, manifest.batch
    contract = "uint8 (N,H,W,3) RGB" if how.normalize_in == "graph" else "normalised float32 (N,3,H,W)"
    capabilities = ", ".join(target.compute_capabilities)
    rows = [
        ("model", f"{model.variant} from {model.checkpoint} ({model.checkpoint_sha256[:12]})"),
        ("placement", str(model.placement or "not named")),
        ("embedding", f"{model.embedding_size} floats" + (", length 1" if model.l2_normalized else "")),
        ("input", f"{contract}, {how.height}x{how.width}, {how.interpolation}"),
        ("precision", manifest.precision),
        ("batch", f"{batch.min} to {batch.max or 'any'}, fastest at {batch.opt}"),
        (
            "backend",
            f"{target.backend} {target.backend_version}" + (" exactly" if target.exact_version else ""),
        ),
        (
            "device",
            f"{target.device}, {_processor(target)}" + (f", compute {capabilities}" if capabilities else ""),
        ),
        ("model file", f"{manifest.model_file}, {manifest.files[manifest.model_file].bytes / 1e6:.2f} MB"),
        ("tools", ", ".join(f"{name} {version}" for name, version in manifest.tools.items())),
    ]
    if model.rewrite:
        rows.insert(2, ("rewritten by", ", ".join(model.rewrite)))
    if found := manifest.threshold:
        rows.append(("threshold", _threshold(found)))
    if manifest.comparison:
        rows.append(("chosen", manifest.comparison.why))
    if manifest.int8:
        rows.append(("int8", describe_int8(manifest.int8)))
    return rows
