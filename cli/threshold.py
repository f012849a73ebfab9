"""`osnet-edge calibrate --threshold`: the similarity that means the same person, measured and kept."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osnet_edge.cli.options import echo_json, json_flag, parse_rates, threads_option
from osnet_edge.cli.paths import PACKAGE, SET
from osnet_edge.cli.progress import bar, load_package, step
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.bench.metrics.verification import Verification

#: Effective people that decide a false accept rate, below which the interval holds less often than it says.
_FEW_PEOPLE = 20
#: Images a call, where the engine takes as many.
_BATCH = 16


@click.command("calibrate")
@click.option("--threshold", "package", required=True, type=PACKAGE, help="Engine package to measure.")
@click.option(
    "--data", required=True, type=SET, metavar="SET", help="Set whose queries and gallery are measured."
)
@click.option(
    "--far",
    default="0.001",
    show_default=True,
    metavar="RATE",
    help="Share of pairs of two people that may be accepted.",
)
@threads_option
@json_flag
def calibrate_threshold(package: str, data: str, far: str, threads: int | None, as_json: bool) -> None:
    """Measure the similarity that means the same person, and keep it in a package's manifest.

    It is the lowest cosine similarity at which at most a share --far of the pairs that show two people, on
    different cameras, is accepted. It is valid for this engine and the cameras of this set, so use images of
    your own cameras.

    \b
    Example:
      osnet-edge calibrate --threshold osnet-cpu --data viper --far 0.001
    """
    from osnet_edge.bench.measure.accuracy import PackageEmbedder, embed_set, images_of
    from osnet_edge.bench.metrics.evaluate import check_split
    from osnet_edge.runtime.embed_files import embed_files
    from osnet_edge.runtime.files import MANIFEST_NAME, require_place
    from osnet_edge.runtime.package.manifest import set_threshold
    from osnet_edge.runtime.package.schema import to_json
    from osnet_edge.runtime.package.threshold import Threshold
    from osnet_edge.train.data import open_sets

    rate, *others = parse_rates(far)
    if others:
        raise InputError(f"expected one rate for --far, since a package has one threshold; got {far}")
    splits = open_sets(data)
    name = splits[0].name
    for split in splits:
        check_split(split, name)
    require_place(Path(package) / MANIFEST_NAME)
    embedder = PackageEmbedder(load_package(package, threads))
    images = len(images_of(splits))
    with bar(f"embedding {name}", images) as advance:
        embed = partial(embed_files, embedder, batch=_BATCH, read=embedder.read, progress=advance)
        embedded = embed_set(embed, splits, splits[0].protocol)
    figures = embedded.verified([rate]).figures
    point = figures.at(rate)
    if point.threshold is None or point.threshold_interval is None or point.tar is None:
        raise InputError(_not_resolved(figures, rate, name))
    if (people := point.effective_people) and people < _FEW_PEOPLE:
        step(f"warning: {people:.0f} people alone decide this rate, so the interval may be too short")
    found = Threshold(point.threshold, rate, point.threshold_interval, name, images, figures.people)
    set_threshold(package, found)
    if as_json:
        echo_json({"package": package, "threshold": to_json(found), "point": to_json(point)})
        return
    low, high = found.interval
    click.echo(
        f"{package}: cosine {found.cosine:.4f} (95 %: {low:.4f} to {high:.4f}) accepts {rate * 100:g} % of "
        f"the pairs of two people, and {point.tar * 100:.2f} % of the pairs of one person; measured on "
        f"{name}, {images:,} images of {figures.people:,} people, and written to the manifest"
    )


def _not_resolved(figures: Verification, rate: float, name: str) -> str:
    """Return the message for a set that is too small for a rate."""
    known = [point.far for point in figures.points if point.threshold is not None]
    advice = f"{min(known):g} is resolved there" if known else "no rate is resolved there"
    return (
        f"expected a set that resolves a --far of {rate:g}, got {name} with {figures.impostor:,} pairs of "
        f"two people, of which this rate accepts too few, or of too few people; {advice}, or add people"
    )
