"""`osnet-edge track`: who is who through a camera's frames, to look at and to score."""

from __future__ import annotations

from collections.abc import Sequence as Listed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osnet_edge.cli.options import echo_json, json_flag, threads_option
from osnet_edge.cli.paths import PACKAGE, InputPath, OutputFile, OutputFiles
from osnet_edge.cli.progress import bar, load_package
from osnet_edge.cli.replacing import SHEET_PNG, TRACKS_TEXT, VIDEO_MP4, force_option, marked_png
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.runtime.embedder import Embedder
    from osnet_edge.track.embed import EmbeddedFrames
    from osnet_edge.track.sequence import Sequence, Tracks

_FASTEST = 1000


@click.command()
@click.argument("package", type=PACKAGE, required=False)
@click.option(
    "--frames",
    required=True,
    type=InputPath("a folder of frames", "folder"),
    metavar="SEQUENCE",
    help="Sequence in the MOT17 layout, a folder of several, or with --detections your own frames.",
)
@click.option(
    "--detections",
    type=InputPath("a table of boxes"),
    metavar="FILE.csv",
    help="Boxes in your own frames: file,x1,y1,x2,y2,score in a CSV, or MOT's det.txt.",
)
@click.option(
    "-o",
    "--output",
    type=OutputFiles(TRACKS_TEXT),
    required=True,
    metavar="PATH",
    help="File of tracks to write; of several sequences, a folder of files.",
)
@force_option()
@click.option("--rate", type=float, help="Frames to a second; default: as seqinfo.ini says, or 25.")
@click.option(
    "--threshold",
    type=float,
    metavar="COSINE",
    help="From which on somebody who appears was seen before; default: the package's, or the tracker's own.",
)
@click.option("--motion-alone", is_flag=True, help="Go by boxes alone, to see what the engine adds.")
@click.option("--video", type=OutputFile(VIDEO_MP4), metavar="FILE.mp4", help="Draw a video of the tracks.")
@click.option(
    "--contact-sheet", "sheet", type=OutputFile(SHEET_PNG), metavar="FILE.png", help="Draw some frames."
)
@threads_option
@json_flag
def track(
    package: str | None,
    frames: str,
    detections: str | None,
    output: str,
    rate: float | None,
    threshold: float | None,
    motion_alone: bool,
    video: str | None,
    sheet: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Follow people through the frames of a camera, or of several, by an engine PACKAGE.

    Writes frame,id,x,y,w,h,1,-1,-1,-1 for each box of somebody, as the MOT challenge does. Of several
    sequences a folder of such files is made, in which an id is the same person before all cameras of a site.
    Scores are printed where gt/gt.txt says who is who. Needs the extra `tracking`.

    The tracker is a plain reference, to compare engines by; docs/TRACKERS.md has those that people use.

    \b
    Example:
      osnet-edge data synthesize --video -o site --cameras 1
      osnet-edge track osnet-cpu --frames site -o tracks.txt --contact-sheet tracks.png
      osnet-edge track osnet-cpu --frames street --detections boxes.csv -o street.txt
    """
    _check(package, rate, threshold, motion_alone, video, sheet)
    if video:
        # It may not be installed, which is told before the work.
        import cv2  # noqa: F401

    from osnet_edge.cli.track_text import print_tracking, tracking_document
    from osnet_edge.runtime.files import require_folder, require_writable
    from osnet_edge.track.draw import count_shown
    from osnet_edge.track.run import track as follow
    from osnet_edge.track.tracker import Rules

    sequences = _read(frames, detections, rate)
    if video:
        # Raises for numbers that no video can have, before the work.
        count_shown(sequences)
    if len(sequences) == 1:
        require_writable(output)
    elif not Path(output).is_dir():
        require_folder(Path(output))
    rules, embedded, chosen = Rules(), None, "no appearance: motion alone"
    if package and not motion_alone:
        embedder = load_package(package, threads)
        found = threshold if threshold is not None else embedder.threshold
        whose = "as given" if threshold is not None else "the package's"
        if found is None:
            whose = "the tracker's own, for the package has none"
        else:
            rules = replace(rules, threshold=found)
        chosen = f"cosine {rules.threshold:.4g} means the same person, {whose}"
        embedded = _embed(embedder, sequences)
    rows = None if embedded is None else [each.rows for each in embedded]
    tracked = follow(sequences, rows, rules, shared=True)
    _write(output, sequences, tracked.tracks)
    _draw(sequences, tracked.tracks, video, sheet)
    document = tracking_document(sequences, tracked, embedded)
    if as_json:
        appearance = None if embedded is None else {"package": package, "threshold": rules.threshold}
        echo_json({"appearance": appearance, **document})
        return
    seen = len(
        {(each.site, who) for each, by in zip(sequences, tracked.tracks, strict=True) for who in by.ids}
    )
    boxes = sum(len(each.ids) for each in tracked.tracks)
    click.echo(f"{output}: {counted(boxes, 'box')} of {counted(seen, 'identity')}; {chosen}")
    print_tracking(document)
    for path, what in ((video, "a video"), (sheet, "a contact sheet")):
        if path:
            click.echo(f"{path}: {what}")


def _check(
    package: str | None,
    rate: float | None,
    threshold: float | None,
    motion_alone: bool,
    video: str | None,
    sheet: str | None,
) -> None:
    """Refuse options that no run can have."""
    if not package and not motion_alone:
        raise InputError("expected an engine package before --frames, got none; or pass --motion-alone")
    if rate is not None and not 0 < rate <= _FASTEST:
        raise InputError(f"expected a --rate above 0 and of at most {_FASTEST} frames a second, got {rate:g}")
    if threshold is not None and not -1 <= threshold <= 1:
        raise InputError(f"expected --threshold as a cosine from -1 to 1, got {threshold:g}")
    if threshold is not None and motion_alone:
        raise InputError("expected --threshold or --motion-alone, got both; motion alone compares no looks")
    for option, path, ending in (("--video", video, ".mp4"), ("--contact-sheet", sheet, ".png")):
        if path and not path.lower().endswith(ending):
            raise InputError(f"expected {option} as a file ending in {ending}, got {path}")


def _read(frames: str, detections: str | None, rate: float | None) -> tuple[Sequence, ...]:
    from osnet_edge.train.data.sequences import read_own_frames, read_sequences

    found = (read_own_frames(frames, detections),) if detections else read_sequences([frames])
    return found if rate is None else tuple(replace(each, rate=rate) for each in found)


def _embed(embedder: Embedder, sequences: Listed[Sequence]) -> list[EmbeddedFrames]:
    from osnet_edge.track.embed import embed_sequence

    with bar("embedding", sum(len(each.frames) for each in sequences)) as advance:
        return [embed_sequence(embedder, each, advance) for each in sequences]


def _write(output: str, sequences: Listed[Sequence], tracks: Listed[Tracks]) -> None:
    """Write a file of tracks, or a folder of one for each sequence."""
    from osnet_edge.runtime.files import write_aside, write_folder_aside

    if len(sequences) == 1:
        with write_aside(output) as partial:
            partial.write_text("".join(tracks[0].lines(sequences[0].numbers)), encoding="ascii")
        return
    with write_folder_aside(output, replace=True) as fresh:
        for sequence, found in zip(sequences, tracks, strict=True):
            file = fresh / f"{sequence.name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(found.lines(sequence.numbers)), encoding="ascii")


def _draw(sequences: Listed[Sequence], tracks: Listed[Tracks], video: str | None, sheet: str | None) -> None:
    from osnet_edge.runtime.files import write_aside
    from osnet_edge.track.draw import contact_sheet, count_shown, write_video

    if video:
        with write_aside(video) as partial, bar("drawing", count_shown(sequences)) as advance:
            write_video(partial, sequences, tracks, advance)
    if sheet:
        with write_aside(sheet) as partial:
            contact_sheet(sequences, tracks).save(partial, pnginfo=marked_png())
