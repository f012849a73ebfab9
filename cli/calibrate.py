"""`osnet-edge calibrate`: a calibration set, drawn once and kept, so that a build can be repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from osnet_edge.cli.options import echo_json, json_flag, output_option
from osnet_edge.cli.paths import SET, InputPath
from osnet_edge.cli.progress import bar
from osnet_edge.cli.replacing import CALIBRATION_JSON
from osnet_edge.cli.threshold import calibrate_threshold
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.engines.calibration import CalibrationPicture, CalibrationSet, Candidate
    from osnet_edge.engines.calibration.calibration_set import Kind


class CalibrateCommand(click.Command):
    """A command that draws a set, or with `--threshold` measures a package, with options of its own."""

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
    help="Frames with boxes, in the MOT17 layout; or any frames, with --detections.",
)
@click.option(
    "--detections",
    type=InputPath("boxes of a detector"),
    multiple=True,
    metavar="FILE",
    help="Boxes in --frames without identities: a CSV of file,x1,y1,x2,y2, or MOT's det.txt.",
)
@click.option(
    "--crops",
    type=InputPath("images of people", "folder"),
    multiple=True,
    metavar="FOLDER",
    help="Images of people without identities; each folder with images counts as a camera.",
)
@output_option("file.json", CALIBRATION_JSON)
@click.option("--images", default=512, show_default=True, metavar="N", help="Number of images to draw.")
@click.option(
    "--held-out",
    default=256,
    show_default=True,
    metavar="PEOPLE",
    help="People held out for measuring accuracy; at most half of those seen by 2 cameras. Without "
    "identities, images.",
)
@click.option(
    "--copies",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="How often ranges also see each image as another, drawn camera would give it.",
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
    detections: tuple[str, ...],
    crops: tuple[str, ...],
    output: str,
    images: int,
    held_out: int,
    copies: int,
    seed: int,
    exclude: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draw images for INT8 calibration, evenly over people and cameras, without near-duplicates.

    The file lists the images with their hashes and says how they were drawn. It also lists images of the
    people who are held out; `build --precision auto` measures INT8's loss on them. Options that name sets or
    folders may be given several times.

    Images without identities (--crops, --detections) are drawn evenly over folders and time. With them, a
    build can measure how far INT8 moves embeddings, but not the loss of mAP; for a budget, also give --data.

    \b
    Example:
      osnet-edge calibrate --data cuhk03 --images 512 -o calib.json
      osnet-edge calibrate --frames street --exclude viper -o street.json
      osnet-edge calibrate --crops crops -o unlabelled.json
      osnet-edge calibrate --frames frames --detections boxes.csv -o unlabelled.json
    """
    from osnet_edge.cli.calibration_sources import parse, read_candidates, refuse_tested
    from osnet_edge.engines.calibration import (
        UNKNOWN,
        CalibrationSet,
        draw_pictures,
        hold_out,
        write_calibration_set,
    )
    from osnet_edge.engines.calibration.calibration_set import HowDrawn
    from osnet_edge.engines.calibration.warnings import find_warnings
    from osnet_edge.runtime.pictures import read_picture

    if images < 1 or seed < 0:
        raise InputError(f"expected --images of 1 or more and --seed of 0 or more, got {images} and {seed}")
    candidates = read_candidates(data, frames, detections, crops)
    kind = _kind(candidates)
    people, aside = (0, held_out) if kind == "unlabelled" else (held_out, 0)
    held, left = hold_out(candidates, people, seed=seed)
    excluded = refuse_tested(candidates, exclude)
    with bar("reading who is held out", len(held)) as advance:
        for each in held:
            # The build may come much later, so report an unreadable image now.
            read_picture(each.path)
            advance(1)
    with bar("drawing", min(images + aside, len(left))) as advance:
        drawn = draw_pictures(left, images, aside=aside, seed=seed, progress=advance)
    how = HowDrawn(
        sources=(*parse(data), *frames, *detections, *crops),
        excluded=excluded,
        seed=seed,
        asked=images,
        available=len(left),
        identities=len({p.identity for p in drawn.pictures} - {UNKNOWN}),
        cameras=len({p.camera for p in drawn.pictures}),
        near_duplicates=drawn.near_duplicates,
        outside=drawn.outside,
        grey=drawn.grey,
        held_out=len({p.identity for p in held}),
        kind=kind,
        changed_copies=copies,
    )
    warnings = tuple(find_warnings(how, len(drawn.pictures), held_out, len(drawn.aside)))
    pictures, others = _listed(drawn.pictures), _listed(held or drawn.aside)
    made = CalibrationSet("osnet-edge calibration set", 1, how, warnings, pictures, others)
    write_calibration_set(made, output)
    for text in made.warnings:
        click.echo(f"warning: {text}", err=True)
    if as_json:
        echo_json(_document(made, output))
    else:
        _print(made, output)


def _kind(candidates: Sequence[Candidate]) -> Kind:
    from osnet_edge.engines.calibration import UNKNOWN

    known = sum(candidate.identity != UNKNOWN for candidate in candidates)
    return "labelled" if known == len(candidates) else "mixed" if known else "unlabelled"


def _listed(candidates: Sequence[Candidate]) -> tuple[CalibrationPicture, ...]:
    """Return the entries of the file for some images, with their hashes, sorted."""
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
    from osnet_edge.engines.calibration import UNKNOWN

    how = made.drawn
    cameras = Counter(p.camera for p in made.pictures)
    each = f"{min(cameras.values()):,} to {max(cameras.values()):,} of each camera"
    unnamed = sum(p.identity == UNKNOWN for p in made.pictures)
    people = f"of {counted(how.identities, 'person')}" if how.identities else ""
    without = f"{unnamed:,} without identities" if people else "without identities"
    who = " and ".join(filter(None, (people, without if unnamed else "")))
    held = counted(len(made.held_out), "image") + (
        "" if how.kind == "unlabelled" else f" of {counted(how.held_out, 'person')}"
    )
    click.echo(
        f"{output}: {counted(len(made.pictures), 'image')} {who} on {counted(how.cameras, 'camera')} "
        f"({each}), drawn from {how.available:,} by seed {how.seed}; near-duplicates skipped: "
        f"{how.near_duplicates:,}; held out: {held}"
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
