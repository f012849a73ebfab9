"""`osnet-edge bench`: latency, throughput and accuracy of packages, beside the float32 reference."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osnet_edge.cli.options import parse_numbers, threads_option
from osnet_edge.cli.progress import shares
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.bench.run import TestSet
    from osnet_edge.bench.subject import Subject


@click.command()
@click.argument("packages", nargs=-1, required=True)
@click.option(
    "--data", metavar="SET", help="Folder, CSV or pattern of a set, or its name in $OSNET_EDGE_DATA."
)
@click.option("--batch", default="1,8,32", show_default=True, help="Batch sizes to time.")
@click.option("--duration", default=3.0, show_default=True, help="Seconds to time each engine at each batch.")
@click.option(
    "--reference", metavar="ONNX", help="Float32 graph to compare with; a CPU package brings its own."
)
@threads_option
@click.option("--json", "json_file", metavar="FILE", help="Write the result as JSON; - for standard output.")
@click.option("--report", metavar="FILE", help="Write the result as one HTML page.")
def bench(
    packages: tuple[str, ...],
    data: str | None,
    batch: str,
    duration: float,
    reference: str | None,
    threads: int | None,
    json_file: str | None,
    report: str | None,
) -> None:
    """Measure engine PACKAGES in turns, beside the float32 reference.

    \b
    Example:
      osnet-edge bench osnet-cpu --data viper --json result.json
    """
    sizes = parse_numbers(batch, "--batch")
    if not 0 < duration <= 3600:
        raise InputError(f"expected --duration in seconds, above 0 and up to 3600; got {duration:g}")
    from osnet_edge.bench import caution, html_report, summary, text_table, to_json
    from osnet_edge.bench.run import run_bench
    from osnet_edge.runtime.backends.onnxruntime_cpu import default_threads
    from osnet_edge.runtime.files import require_writable, write_aside

    for path in (json_file, report):
        if path and path != "-":
            require_writable(path)
    if report and report == json_file:
        raise InputError(f"expected --json and --report to name two files, got {report} for both")
    test_set = _find_data(data) if data else None
    threads = default_threads() if threads is None else threads
    subjects = _load(packages, reference, threads)
    with shares() as progress:
        result = run_bench(
            subjects,
            batches=sizes,
            command=_command(packages, data, batch, reference, threads, duration),
            threads=threads,
            duration_s=duration,
            test_set=test_set,
            progress=progress,
        )
    if json_file == "-":
        click.echo(to_json(result), nl=False)
    else:
        click.echo(f"{text_table(result)}\n\n{summary(result)}")
        if warning := caution(result):
            click.echo(warning)
    for path, text in ((json_file, to_json(result)), (report, html_report([result]))):
        if path and path != "-":
            with write_aside(path) as partial:
                partial.write_text(text, encoding="utf-8")


def _load(packages: tuple[str, ...], reference: str | None, threads: int | None) -> list[Subject]:
    """Load what is measured, the reference first."""
    from osnet_edge.bench.subject import load_package, load_reference
    from osnet_edge.runtime.manifest import read_manifest

    names = [Path(package).resolve().name for package in packages]
    if len(set(names)) != len(names):
        raise InputError(f"expected packages of different folder names, got {', '.join(names)}")
    subjects = [load_package(package, threads) for package in packages]
    for package in packages if reference is None else ():
        manifest = read_manifest(package)
        # A package for the CPU holds the exported graph itself, also where it computes in bf16.
        if manifest.files[manifest.model_file].sha256 == manifest.onnx_sha256:
            reference = str(Path(package) / manifest.model_file)
            break
    return [load_reference(reference, threads), *subjects] if reference else subjects


def _find_data(spec: str) -> TestSet:
    from osnet_edge.bench.run import TestSet
    from osnet_edge.train.data import count_splits, open_set

    found, splits = open_set(spec), count_splits(spec)
    if not found.query or not found.gallery:
        raise InputError(
            f"expected query pictures and a gallery in {found.root}; found {len(found.query)} queries"
        )
    if found.protocol != "market1501":
        raise InputError(
            f"bench scores by the protocol of Market-1501, and {spec} has another one; choose another set"
        )
    name = f"{found.name}, split 0 of {splits}" if splits > 1 else found.name
    return TestSet(name, found.query, found.gallery)


def _command(
    packages: tuple[str, ...],
    data: str | None,
    batch: str,
    reference: str | None,
    threads: int,
    duration: float,
) -> str:
    """Return what to type to repeat the measurement, without what only says where results go."""
    options = {
        "--data": data,
        "--batch": batch,
        "--reference": reference,
        "--threads": threads,
        "--duration": f"{duration:g}",
    }
    given = [item for name, value in options.items() if value is not None for item in (name, str(value))]
    return shlex.join(["osnet-edge", "bench", *packages, *given])
