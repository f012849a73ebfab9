"""`osnet-edge bench`: latency, throughput, accuracy and energy of packages, beside the float32 reference."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osnet_edge.cli.bench_files import bench_diff, bench_merge
from osnet_edge.cli.group import CommandWithOthers
from osnet_edge.cli.options import (
    far_option,
    parse_numbers,
    parse_rates,
    read_footage,
    require_weights,
    threads_option,
    weights_key_option,
)
from osnet_edge.cli.paths import CHECKPOINT, PACKAGE, SET, InputPath, OutputFile
from osnet_edge.cli.progress import say, shares
from osnet_edge.cli.replacing import PAGE_HTML, RESULT_CSV, RESULT_JSON, force_option
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.bench.measure.engine_process import BenchTarget
    from osnet_edge.bench.measure.plan import Footage, Plan, TestSet
    from osnet_edge.bench.result.result import BenchResult
    from osnet_edge.runtime.package.manifest import BatchRange, Manifest

#: Batch sizes timed when none are named.
_USUAL_BATCHES = (1, 8, 32)
#: Default number of people in the frames that are timed.
_PEOPLE = "1,8,32"
#: Defaults that `--full` uses for options that were not given.
_FULL = {"streams": "1,2", "people": _PEOPLE, "cold_starts": 5, "layers": True, "limits": True}


@click.command(
    cls=CommandWithOthers,
    others={"diff": ("diff OLD.json NEW.json", bench_diff), "merge": ("merge *.json", bench_merge)},
)
@click.argument("packages", nargs=-1, required=True, type=PACKAGE)
@click.option(
    "--data",
    type=SET,
    metavar="SET",
    help="Folder, CSV or pattern of a set, or its name in $OSNET_EDGE_DATA.",
)
@far_option
@click.option(
    "--batch",
    metavar="N,...",
    help="Batch sizes to time; default: 1, 8 and 32, as far as the packages take them.",
)
@click.option("--duration", default=3.0, show_default=True, help="Seconds to time each engine at each batch.")
@click.option(
    "--reference",
    type=InputPath("a float32 ONNX graph"),
    metavar="ONNX",
    help="Float32 ONNX graph to compare with; default: the CPU package's own graph.",
)
@threads_option
@click.option("--people", metavar="N,...", help="Also time frames with N people, from boxes to embeddings.")
@click.option(
    "--frames",
    type=InputPath("a folder of MOT17 sequences", "folder"),
    metavar="FOLDER",
    help="MOT17 sequences for these frames; default: synthetic frames.",
)
@click.option("--streams", metavar="N,...", help="Also measure the throughput of N concurrent callers.")
@click.option(
    "--track",
    type=InputPath("a sequence or a folder of them", "folder"),
    multiple=True,
    metavar="SEQUENCES",
    help="Also follow people through sequences (MOT17's layout with gt/); may be repeated.",
)
@click.option(
    "--track-threshold",
    type=float,
    metavar="COSINE",
    help="Similarity at which people are taken to come back; default: the first package's, or the tracker's.",
)
@click.option("--sustained", default=0.0, metavar="SECONDS", help="Also run each engine for SECONDS.")
@click.option(
    "--cold-starts",
    type=int,
    default=0,
    metavar="N",
    help="Also measure cold starts: N new processes per engine.",
)
@click.option("--layers", is_flag=True, help="Also measure the time of each layer.")
@click.option("--limits", is_flag=True, help="Also measure the machine's ceilings and compute a roofline.")
@click.option(
    "--full",
    is_flag=True,
    help="All of these except --track, --sustained and --versus, with default numbers.",
)
@click.option(
    "--versus", metavar="NAME,...", help="Compare with alternatives: torch, ort, openvino, boxmot, trtexec."
)
@click.option(
    "--weights",
    type=CHECKPOINT,
    metavar="CHECKPOINT",
    help="Checkpoint for --versus: the one that the packages were built from.",
)
@weights_key_option
@click.option(
    "--json",
    "json_file",
    type=OutputFile(RESULT_JSON, "-"),
    metavar="FILE",
    help="Write the result as JSON; - for standard output.",
)
@click.option(
    "--csv",
    "csv_file",
    type=OutputFile(RESULT_CSV),
    metavar="FILE",
    help="Write a CSV with one row per engine and batch size.",
)
@click.option("--markdown", is_flag=True, help="Print the tables in Markdown.")
@click.option(
    "--report",
    type=OutputFile(PAGE_HTML),
    metavar="FILE",
    help="Write the result as a self-contained HTML page.",
)
@force_option()
def bench(packages: tuple[str, ...], **options: Any) -> None:
    """Measure engine PACKAGES, and the float32 reference.

    Engines are timed in alternating rounds, each in its own process. If a process crashes, its row says so,
    and the others continue.
    Ctrl-C stops the benchmark and keeps the results so far.

    \b
    Example:
      osnet-edge bench osnet-cpu --data viper --json result.json
      osnet-edge bench osnet-cpu osnet-int8 --full --report result.html
      osnet-edge bench osnet-cpu osnet-int8 --track MOT17/train --report tracks.html
      osnet-edge bench osnet-cpu --people 32 --versus torch,ort,openvino --weights osnet.pth
    """
    asked = None if options["batch"] is None else sorted(set(parse_numbers(options["batch"], "--batch")))
    for name, most in (("duration", 3600), ("sustained", 24 * 3600)):
        if not 0 <= options[name] <= most or (name == "duration" and not options[name]):
            raise InputError(f"expected --{name} in seconds, above 0 and up to {most}; got {options[name]:g}")
    if options["far"] and not options["data"]:
        raise InputError(
            "expected --data SET for --far, whose thresholds are measured on pairs of its images"
        )
    if not 0 <= options["cold_starts"] <= 1000:
        raise InputError(f"expected --cold-starts of 0 to 1000, got {options['cold_starts']}")
    require_weights(options["weights"], options["weights_key"])
    outputs = _outputs(options)
    from osnet_edge.bench.measure.run import run_bench
    from osnet_edge.runtime.backends.onnxruntime import checked_threads
    from osnet_edge.train.versus import rivals

    threads = checked_threads(options["threads"])
    manifests = _read_manifests(packages)
    sizes = tuple(asked or _usual_batches([each.batch for each in manifests.values()]))
    command = _command(packages, {**options, "batch": ",".join(map(str, sizes))}, threads)
    if options["full"]:
        options.update({name: value for name, value in _FULL.items() if not options[name]})
    test_set = _find_data(options["data"]) if options["data"] else None
    footage = _footage(options["track"], options["track_threshold"], next(iter(manifests.values())))
    targets, graph = _targets(manifests, options["reference"], threads)
    plan = replace(_plan(sizes, threads, options, test_set, graph), footage=footage)
    with (
        rivals(options["versus"], options["weights"], packages, threads, options["weights_key"]) as others,
        shares() as progress,
    ):
        result = run_bench([*targets, *others], plan, command=command, progress=progress, note=say)
    _write(result, options["json_file"], outputs, in_markdown=options["markdown"])
    if result.settings.interrupted:
        click.echo("interrupted; the results so far were kept", err=True)
        click.get_current_context().exit(1)


def _outputs(options: dict[str, Any]) -> dict[str, str]:
    """Return the output files by kind, after checking that they are different files."""
    kinds = {"json": options["json_file"], "csv": options["csv_file"], "report": options["report"]}
    files = {kind: path for kind, path in kinds.items() if path and path != "-"}
    if "report" in files:
        from osnet_edge.bench.report.page import templates

        # Check before minutes of measuring, not after.
        templates()
    if len(set(files.values())) != len(files):
        twice = next(path for path in files.values() if list(files.values()).count(path) > 1)
        names = " and ".join(f"--{kind}" for kind, path in files.items() if path == twice)
        raise InputError(f"expected {names} to name two files, got {twice} for both")
    return files


def _read_manifests(packages: tuple[str, ...]) -> dict[str, Manifest]:
    """Return the packages' manifests, by their folders."""
    from osnet_edge.runtime.package.manifest import read_manifest

    names = [Path(package).resolve().name for package in packages]
    if len(set(names)) != len(names):
        raise InputError(f"expected packages of different folder names, got {', '.join(names)}")
    return {package: read_manifest(package) for package in packages}


def _usual_batches(ranges: list[BatchRange]) -> tuple[int, ...]:
    """Return the batch sizes to time when none are named: the usual ones, within what all packages take.

    Example:
        >>> from osnet_edge.runtime.package.manifest import BatchRange
        >>> _usual_batches([BatchRange(1, 8, None), BatchRange(1, 4, 16)])
        (1, 8, 16)
    """
    least = max(each.min for each in ranges)
    most = min((each.max for each in ranges if each.max is not None), default=_USUAL_BATCHES[-1])
    if least > most:
        # Whichever does not take them says so.
        return _USUAL_BATCHES
    return tuple(sorted({min(max(size, least), most) for size in _USUAL_BATCHES}))


def _targets(
    manifests: dict[str, Manifest], reference: str | None, threads: int
) -> tuple[list[BenchTarget], str | None]:
    """Return the engines to measure, the reference first, and the reference's graph if there is one."""
    from osnet_edge.bench.measure.engine_process import BenchTarget
    from osnet_edge.bench.measure.runners import REFERENCE_NAME, PackageRunner, ReferenceRunner

    found = [
        BenchTarget(Path(package).resolve().name, partial(PackageRunner, package, threads), package=package)
        for package in manifests
    ]
    for package, manifest in manifests.items() if reference is None else ():
        # A package for the CPU has the exported graph itself, even if it computes in bf16.
        if manifest.files[manifest.model_file].sha256 == manifest.onnx_sha256:
            reference = str(Path(package) / manifest.model_file)
            break
    if reference is None:
        return found, None
    first = BenchTarget(REFERENCE_NAME, partial(ReferenceRunner, reference, threads), role="reference")
    return [first, *found], reference


def _plan(
    sizes: tuple[int, ...],
    threads: int,
    options: dict[str, Any],
    test_set: TestSet | None,
    graph: str | None,
) -> Plan:
    from osnet_edge.bench.measure.plan import Plan

    if options["limits"] and graph is None and not options["full"]:
        raise InputError("--limits counts the operations of the float32 graph; name it with --reference")
    work = None
    if options["limits"] and graph is not None:
        from osnet_edge.cli.bench_work import count_graph

        work = count_graph(graph)
    frames = None
    if (options["people"], options["frames"]) != (None, None):
        from osnet_edge.train.scenes import scenes_with

        people = parse_numbers(options["people"] or _PEOPLE, "--people")
        frames = scenes_with(people, options["frames"])
    return Plan(
        batches=sizes,
        threads=threads,
        duration_s=options["duration"],
        streams=parse_numbers(options["streams"], "--streams") if options["streams"] else (),
        frames=frames,
        sustained_s=options["sustained"],
        cold_starts=options["cold_starts"],
        layers=options["layers"],
        work=work,
        test_set=test_set,
        fars=parse_rates(options["far"]) if options["far"] else (),
    )


def _find_data(spec: str) -> TestSet:
    from osnet_edge.bench.measure.plan import TestSet
    from osnet_edge.train.data import count_splits, open_set

    found, splits = open_set(spec), count_splits(spec)
    if not found.query or not found.gallery:
        raise InputError(
            f"expected query images and a gallery in {found.root}; found {len(found.query)} queries"
        )
    if found.protocol != "market1501":
        raise InputError(
            f"bench scores by the protocol of Market-1501, and {spec} has another one; choose another set"
        )
    name = f"{found.name}, split 0 of {splits}" if splits > 1 else found.name
    return TestSet(name, found.query, found.gallery)


def _footage(folders: tuple[str, ...], threshold: float | None, first: Manifest) -> Footage | None:
    """Return the sequences to track in, with the threshold for all engines."""
    if not folders:
        if threshold is not None:
            raise InputError("expected --track SEQUENCES with --track-threshold, got none")
        return None
    if threshold is None and first.threshold:
        threshold = first.threshold.cosine
    return read_footage(folders, threshold)


def _write(result: BenchResult, json_file: str | None, outputs: dict[str, str], *, in_markdown: bool) -> None:
    from osnet_edge.bench import caution, csv_table, html_report, markdown_table, summary, text_table, to_json
    from osnet_edge.runtime.files import write_aside

    if json_file == "-":
        click.echo(to_json(result), nl=False)
    else:
        table = markdown_table(result) if in_markdown else text_table(result)
        click.echo(f"{table}\n{summary(result)}")
        if warning := caution(result):
            click.echo(warning)
    makers: dict[str, Callable[[BenchResult], str]] = {
        "json": to_json,
        "csv": csv_table,
        "report": lambda one: html_report([one]),
    }
    for kind, path in outputs.items():
        with write_aside(path) as partial_file:
            partial_file.write_text(makers[kind](result), encoding="utf-8", newline="")


def _command(packages: tuple[str, ...], options: dict[str, Any], threads: int) -> str:
    """Return the command that repeats the measurement, without output options."""
    given = {
        "--data": options["data"],
        "--far": options["far"],
        "--batch": options["batch"],
        "--reference": options["reference"],
        "--threads": threads,
        "--duration": f"{options['duration']:g}",
        "--people": options["people"],
        "--frames": options["frames"],
        "--streams": options["streams"],
        "--sustained": f"{options['sustained']:g}" if options["sustained"] else None,
        "--cold-starts": options["cold_starts"] or None,
        "--versus": options["versus"],
        "--track-threshold": options["track_threshold"],
        "--weights": options["weights"],
        "--weights-key": options["weights_key"],
    }
    words = [item for name, value in given.items() if value is not None for item in (name, str(value))]
    words += [item for folder in options["track"] for item in ("--track", folder)]
    flags = [f"--{name}" for name in ("layers", "limits", "full") if options[name]]
    return shlex.join(["osnet-edge", "bench", *packages, *words, *flags])
