"""`osnet-edge calibrate`: a calibration set, drawn once and kept, so that a build can be repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from osnet_edge.cli.options import echo_json, json_flag, output_option
from osnet_edge.cli.paths import SET, InputPath
from osnet_edge.cli.progress import bar
from osnet_edge.cli.threshold import calibrate_threshold
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.engines.calibration import CalibrationPicture, CalibrationSet, Candidate, Drawn


class CalibrateCommand(click.Command):
    """A command that draws a set, or with `--threshold` measures a package: the two share no other option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Run the command of `--threshold` where it is typed."""
        if not any(word.split("=")[0] == "--threshold" for word in args):
            return super().parse_args(ctx, args)
        with calibrate_threshold.make_context(ctx.info_name, args, parent=ctx.parent) as inner:
            ctx.exit(calibrate_threshold.invoke(inner) or 0)
        return args

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the other command in the help."""
        with formatter.section("Instead"):
            formatter.write_dl([("--threshold PACKAGE", calibrate_threshold.get_short_help_str(80))])


@click.command(cls=CalibrateCommand)
@click.option(
    "--data",
    multiple=True,
    type=SET,
    metavar="SET,...",
    help="Re-ID sets; only their training images are used.",
)
@click.option(
    "--frames",
    type=InputPath("frames with boxes", "folder"),
    multiple=True,
    metavar="FOLDER",
    help="Frames with boxes, in the MOT17 layout.",
)
@output_option("file.json")
@click.option("--images", default=512, show_default=True, metavar="N", help="Number of images to draw.")
@click.option(
    "--held-out",
    default=256,
    show_default=True,
    metavar="PEOPLE",
    help="People held out for measuring accuracy; at most half of those seen by 2 cameras.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same images.")
@click.option(
    "--exclude",
    multiple=True,
    type=SET,
    metavar="SET,...",
    help="Test sets: refuse a source that contains one of their query or gallery images.",
)
@json_flag
def calibrate(
    data: tuple[str, ...],
    frames: tuple[str, ...],
    output: str,
    images: int,
    held_out: int,
    seed: int,
    exclude: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draw images for INT8 calibration, evenly over people and cameras, without near-duplicates.

    The file lists the images with their hashes and says how they were drawn. It also lists images of the
    people who are held out; `build --precision auto` measures INT8's loss on them. Options that name sets or
    folders may be given several times.

    \b
    Example:
      osnet-edge calibrate --data cuhk03 --images 512 -o calib.json
      osnet-edge calibrate --frames street --exclude viper -o street.json
    """
    from osnet_edge.engines.calibration import draw_pictures, hold_out, write_calibration_set
    from osnet_edge.runtime.pictures import read_picture

    if images < 1 or seed < 0:
        raise InputError(f"expected --images of 1 or more and --seed of 0 or more, got {images} and {seed}")
    candidates = _candidates(data, frames)
    held, left = hold_out(candidates, held_out, seed=seed)
    excluded = _refuse_tested(candidates, exclude)
    with bar("reading who is held out", len(held)) as advance:
        for each in held:
            # The build may come much later, so report an unreadable image now.
            read_picture(each.path)
            advance(1)
    with bar("drawing", min(images, len(left))) as advance:
        drawn = draw_pictures(left, images, seed=seed, progress=advance)
    made = _calibration_set(
        drawn, held, (*_specs(data), *frames), excluded, seed, images, len(left), held_out
    )
    write_calibration_set(made, output)
    for text in made.warnings:
        click.echo(f"warning: {text}", err=True)
    if as_json:
        echo_json(_document(made, output))
    else:
        _print(made, output)


def _specs(given: Iterable[str]) -> tuple[str, ...]:
    from osnet_edge.train.data import parse_specs

    return tuple(spec for each in given for spec in parse_specs(each))


def _candidates(data: Sequence[str], frames: Sequence[str]) -> list[Candidate]:
    """Read the images to draw from; different sources never share people or cameras."""
    from osnet_edge.engines.calibration import Candidate
    from osnet_edge.train.data import training_pictures
    from osnet_edge.train.data.boxed_frames import read_boxed_frames

    if not data and not frames:
        raise InputError("expected --data with a re-ID set, or --frames with frames and boxes, got neither")
    # If splits are drawn, `eval` tests on those of seed 0, whatever seed draws our images.
    crops = training_pictures(_specs(data)) if data else ()
    found = [Candidate(p.path, p.identity, p.camera) for p in crops]
    people, cameras = len({p.identity for p in crops}), len({p.camera for p in crops})
    boxed = read_boxed_frames(frames) if frames else ()
    return found + [Candidate(p.path, people + p.identity, cameras + p.camera, p.box) for p in boxed]


def _refuse_tested(candidates: Sequence[Candidate], exclude: Sequence[str]) -> tuple[str, ...]:
    """Check that no image is a byte-exact copy of a query or gallery image of a set; return the sets."""
    from osnet_edge.runtime.files import sha256_of
    from osnet_edge.train.data import open_sets

    specs = _specs(exclude)
    splits = [split for spec in specs for split in open_sets(spec)]
    tested = {p.path for split in splits for p in (*split.query, *split.gallery)}
    if specs and not tested:
        raise InputError(f"expected query or gallery images in {', '.join(specs)}, found none to exclude")
    ours = dict.fromkeys(c.path for c in candidates)
    if not tested:
        return specs
    with bar("comparing", len(tested) + len(ours)) as advance:

        def hashed(path: Path) -> str:
            advance(1)
            return sha256_of(path)

        hashes = {hashed(path) for path in tested}
        both = [path for path in ours if hashed(path) in hashes]
    if both:
        raise InputError(
            f"expected no image of a query or gallery of {', '.join(specs)} to calibrate with, but "
            f"{len(both):,} of {len(ours):,} are, such as {both[0]}; draw from another set"
        )
    return specs


def _calibration_set(
    drawn: Drawn,
    held: Sequence[Candidate],
    sources: tuple[str, ...],
    excluded: tuple[str, ...],
    seed: int,
    asked: int,
    available: int,
    people: int,
) -> CalibrationSet:
    from osnet_edge.engines.calibration import CalibrationSet
    from osnet_edge.engines.calibration.calibration_set import HowDrawn
    from osnet_edge.engines.calibration.warnings import find_warnings

    how = HowDrawn(
        sources=sources,
        excluded=excluded,
        seed=seed,
        asked=asked,
        available=available,
        identities=len({p.identity for p in drawn.pictures}),
        cameras=len({p.camera for p in drawn.pictures}),
        near_duplicates=drawn.near_duplicates,
        outside=drawn.outside,
        grey=drawn.grey,
        held_out=len({p.identity for p in held}),
    )
    warnings = tuple(find_warnings(how, len(drawn.pictures), people))
    pictures, others = _listed(drawn.pictures), _listed(held)
    return CalibrationSet("osnet-edge calibration set", 1, how, warnings, pictures, others)


def _listed(candidates: Sequence[Candidate]) -> tuple[CalibrationPicture, ...]:
    """Return the entries of the images for the file, with hashes, sorted."""
    from osnet_edge.engines.calibration import CalibrationPicture
    from osnet_edge.runtime.files import sha256_of

    hashes = {path: sha256_of(path) for path in dict.fromkeys(c.path for c in candidates)}
    pictures = [
        # Resolve links to folders, since `..` after a link leads elsewhere.
        CalibrationPicture(
            str(c.path.parent.resolve() / c.path.name), hashes[c.path], c.identity, c.camera, c.box
        )
        for c in candidates
    ]
    return tuple(sorted(pictures, key=lambda p: (p.path, p.box or ())))


def _print(made: CalibrationSet, output: str) -> None:
    how = made.drawn
    cameras = Counter(p.camera for p in made.pictures)
    each = f"{min(cameras.values()):,} to {max(cameras.values()):,} of each camera"
    click.echo(
        f"{output}: {len(made.pictures):,} images of {how.identities:,} people on {how.cameras:,} cameras "
        f"({each}), drawn from {how.available:,} by seed {how.seed}; near-duplicates skipped: "
        f"{how.near_duplicates:,}; held out: {len(made.held_out):,} images of {how.held_out:,} people"
    )


def _document(made: CalibrationSet, output: str) -> dict[str, Any]:
    """Return the file's content except the images."""
    from osnet_edge.runtime.package.schema import to_json

    return {
        "file": output,
        "pictures": len(made.pictures),
        "held_out": len(made.held_out),
        "drawn": to_json(made.drawn),
        "warnings": list(made.warnings),
    }
