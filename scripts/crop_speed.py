#!/usr/bin/env python3
"""What cropping and resizing cost: Pillow alone, and as the runtime does it, on drawn frames or a user's own.

Both give the same bytes, which is checked. Times are of one thread, in turns, and of its own processor time.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
from script_errors import run_script

from osnet_edge.bench.measure.runners import cut_out
from osnet_edge.bench.metrics.statistics import paired_ratio
from osnet_edge.runtime.enlarging import by_pillow
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, to_batch
from osnet_edge.train.data.boxed_frames import read_boxed_frames
from osnet_edge.train.synthetic import draw_frame

#: Frames are drawn in these sizes, with so many people.
_SIZES, _PEOPLE = ((640, 360), (1280, 720), (1920, 1080)), 32
_ROUNDS = 40


def pillow_alone(crops: list[Picture]) -> Picture:
    """Resize crops, blue-green-red, into a batch."""
    batch = np.empty((len(crops), 256, 128, 3), np.uint8)
    for row, crop in zip(batch, crops, strict=True):
        row[...] = by_pillow(crop, 256, 128, bgr=True)
    return batch


def report(name: str, frames: list[list[Picture]]) -> None:
    """Time the crops of frames, and print a row."""
    count = sum(len(crops) for crops in frames)
    fit = sum(crop.shape[0] <= 256 and crop.shape[1] <= 128 for crops in frames for crop in crops)
    spent: dict[str, list[float]] = {"pillow": [], "runtime": []}
    for _ in range(_ROUNDS):
        for way in spent:
            begun = time.thread_time()
            for crops in frames:
                if way == "pillow":
                    pillow_alone(crops)
                else:
                    to_batch(crops, Preprocessing(), bgr=True)
            spent[way].append(1000 * (time.thread_time() - begun) * 32 / count)
    same = all(
        np.array_equal(pillow_alone(crops), to_batch(crops, Preprocessing(), bgr=True)) for crops in frames
    )
    pillow, runtime = (float(np.median(times)) for times in spent.values())
    compared = paired_ratio(spent["pillow"], spent["runtime"])
    assert compared is not None, "many rounds were timed"
    ratio, interval = compared
    low, high = interval or (ratio, ratio)
    click.echo(
        f"{name}: {count} boxes, {100 * fit / count:.0f}% fit into 256x128; 32 boxes take {pillow:.2f} ms by "
        f"Pillow and {runtime:.2f} ms here, {ratio:.2f}x ({low:.2f} to {high:.2f}); "
        f"{'the same bytes' if same else 'OTHER BYTES'}"
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--frames", metavar="FOLDER", help="MOT17 sequences to cut crops from, too.")
def main(frames: str | None) -> None:
    """Compare resizing by Pillow with the runtime's.

    \b
    Example:
      .venv/bin/python scripts/crop_speed.py --frames mot17-mini
    """
    for width, height in _SIZES:
        frame, boxes, _ = draw_frame(people=_PEOPLE, size=(width, height), seed=0)
        turned = np.ascontiguousarray(frame[..., ::-1])
        report(f"drawn, {width}x{height}", [cut_out(turned, boxes.astype(np.float64))])
    if frames:
        by_frame: dict[Path, list[tuple[int, int, int, int]]] = defaultdict(list)
        for person in read_boxed_frames([frames]):
            by_frame[person.path].append(person.box)
        report(
            Path(frames).name,
            [
                cut_out(np.ascontiguousarray(read_picture(path)[..., ::-1]), np.array(boxes, np.float64))
                for path, boxes in by_frame.items()
            ],
        )


if __name__ == "__main__":
    sys.exit(run_script(main, "crop_speed.py"))
