"""`osnet-edge integrate check` and `compare`: configurations and embeddings that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osnet_edge.cli.options import echo_json, json_flag
from osnet_edge.cli.paths import PACKAGE_OR_GRAPH, SET, InputPath, OutputFile
from osnet_edge.cli.progress import bar, step
from osnet_edge.cli.replacing import CORRECTED, force_option
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.integrate.check import Checked, Finding
    from osnet_edge.integrate.dump import Agreement
    from osnet_edge.integrate.scoring import TestImages

#: Below this median cosine, a consumer computes something else than the package.
_AGREES = 0.99


@click.command("check")
@click.argument("config", type=InputPath("a configuration of DeepStream, Triton, Savant or Ultralytics"))
@click.option("--package", type=PACKAGE_OR_GRAPH, metavar="PACKAGE", help="What it is meant to run.")
@click.option("--data", type=SET, metavar="SET", help="Measure what each mistake costs; needs --package.")
@click.option("--fix", type=OutputFile(CORRECTED), metavar="FILE", help="Write the corrected configuration.")
@force_option()
@json_flag
def integrate_check(
    config: str, package: str | None, data: str | None, fix: str | None, as_json: bool
) -> None:
    """List the mistakes in a configuration, and what each costs in mAP.

    The exit code is 1 if there is a mistake.

    \b
    Example:
      osnet-edge integrate check config_tracker_NvDCF.yml --package osnet-cpu --data viper --fix corrected.yml
    """
    if data and not package:
        raise InputError("expected --package with --data: costs are measured with its network")
    from osnet_edge.integrate.check import check
    from osnet_edge.integrate.source import open_source

    checked = check(
        config,
        source=open_source(package) if package else None,
        images=open_images(data) if data else None,
        progress=step,
    )
    written = checked.write_corrected(Path(fix)) if fix else ()
    if as_json:
        echo_json({**_document(checked), "written": [str(path) for path in written]})
    else:
        _print(checked, fix, written)
    if checked.findings:
        click.get_current_context().exit(1)


def _print(checked: Checked, fix: str | None, written: Sequence[Path]) -> None:
    title = checked.consumer.title
    click.echo(f"{checked.path}: {title}")
    if checked.graph is None:
        click.echo("its graph is not here, and is taken for a usual export")
    for number, each in enumerate(checked.findings, start=1):
        keys = ", ".join(each.fault.keys) or "the graph"
        click.echo(f"{number}. {each.name} ({keys}): {each.fault.found}; expected {each.fault.expected}")
        click.echo(f"   {each.fault.why}{_cost(each)}")
    if checked.package is not None:
        kept = "nothing that could be measured" if checked.kept is None else f"mAP {checked.kept:.2f}"
        click.echo(f"all together: {kept}; the package's mAP {checked.package:.2f}")
    if not checked.findings:
        click.echo("no mistake found")
    elif written:
        click.echo(f"corrected: {', '.join(map(str, written))}")
    elif fix:
        click.echo(
            f"{fix} was not written: no value corrects this; with --package, a graph that fits is written too"
        )


def _cost(finding: Finding) -> str:
    if finding.cost is None or finding.mixed_cost is None:
        return ""
    mixed = f"and {finding.mixed_cost:.2f} against the package's gallery"
    return f"; costs {finding.cost:.2f} points of mAP, {mixed}"


def _document(checked: Checked) -> dict[str, object]:
    return {
        "config": str(checked.path),
        "consumer": checked.consumer.name,
        "graph": str(checked.graph) if checked.graph else None,
        "findings": [
            {
                "name": each.name,
                "keys": list(each.fault.keys),
                "found": each.fault.found,
                "expected": each.fault.expected,
                "why": each.fault.why,
                "cost_map": each.cost,
                "cost_map_mixed": each.mixed_cost,
            }
            for each in checked.findings
        ],
        "map": {"package": checked.package, "kept": checked.kept} if checked.package is not None else None,
    }


@click.command("compare")
@click.argument("dump", type=InputPath("a folder of reid-track-output-dir", "folder"))
@click.option(
    "--boxes",
    required=True,
    type=InputPath("a folder of kitti-track-output-dir", "folder"),
    metavar="FOLDER",
    help="Folder of kitti-track-output-dir, of the same run.",
)
@click.option(
    "--package", required=True, type=PACKAGE_OR_GRAPH, metavar="PACKAGE", help="What it should run."
)
@click.option(
    "--frames",
    required=True,
    type=InputPath("a folder of frames", "folder"),
    metavar="FOLDER",
    help="The video's frames as images, in order of their names.",
)
@click.option("--stream", default=0, show_default=True, help="Which camera, as DeepStream counts them.")
@json_flag
def integrate_compare(dump: str, boxes: str, package: str, frames: str, stream: int, as_json: bool) -> None:
    """Compare embeddings that deepstream-app wrote to DUMP with the package's own of the same boxes.

    The exit code is 1 if they do not agree: a median cosine below 0.99.

    \b
    Example:
      osnet-edge integrate compare reid --boxes kitti --package osnet-cpu --frames frames
    """
    from osnet_edge.integrate.dump import compare_dump
    from osnet_edge.integrate.source import open_source

    source = open_source(package)
    with bar("comparing frames", len(list(Path(dump).iterdir()))) as advance:
        found = compare_dump(Path(dump), Path(boxes), Path(frames), source, stream=stream, progress=advance)
    agrees = found.median >= _AGREES
    if as_json:
        echo_json({**vars(found), "agrees": agrees})
    else:
        _print_agreement(found, agrees)
    if not agrees:
        click.get_current_context().exit(1)


def _print_agreement(found: Agreement, agrees: bool) -> None:
    click.echo(
        f"{found.objects} objects in {found.frames} frames: median cosine {found.median:.4f}, lowest "
        f"{found.lowest:.4f}"
    )
    if found.own_first is not None:
        click.echo(f"nearest to the package's embedding of the same object: {found.own_first:.1%}")
    if found.without_box:
        click.echo(f"left out, since no box has their id: {found.without_box}")
    if not agrees:
        click.echo(
            "they do not agree: check the tracker's configuration with osnet-edge integrate check, and that "
            "the frames are those of the video"
        )


def open_images(data: str) -> TestImages:
    """Open a set that configurations are scored on.

    Raises:
        InputError: it is none, or lacks queries or a gallery.
    """
    from osnet_edge.bench.metrics.evaluate import check_split
    from osnet_edge.integrate.scoring import TestImages
    from osnet_edge.train.data.open_set import open_sets

    splits = open_sets(data)
    for split in splits:
        check_split(split, split.name)
    return TestImages(splits, splits[0].protocol)
