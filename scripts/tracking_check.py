#!/usr/bin/env python3
"""What appearance gains over motion alone on synthetic sites, and whether a ruined engine is found out.

Each seed draws another site. An engine is ruined by handing it frames that are mirrored, with red and blue
swapped: still like for like, but not as it was trained.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import numpy as np
from script_errors import run_script

from osnet_edge.cli.progress import bar, step
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.track.run import track
from osnet_edge.track.scores import ScoredTracks, score_tracks
from osnet_edge.track.sequence import Sequence
from osnet_edge.track.tracker import Rows, Rules
from osnet_edge.train.data.sequences import read_sequences
from osnet_edge.train.synthetic.video import write_video

#: IDF1 in percent that appearance must gain over motion alone.
_GAIN = 10.0


def embed(embedder: Embedder, sequence: Sequence, *, ruined: bool = False) -> list[Rows]:
    """Return the rows of each frame's boxes."""
    rows = []
    for path, found in zip(sequence.frames, sequence.detections, strict=True):
        frame, boxes = read_picture(path), found.boxes
        if ruined:
            frame = np.ascontiguousarray(frame[:, ::-1, ::-1])
            boxes = np.stack(
                [frame.shape[1] - boxes[:, 2], boxes[:, 1], frame.shape[1] - boxes[:, 0], boxes[:, 3]], 1
            )
        rows.append(np.nan_to_num(embedder.embed_boxes(frame, boxes).embeddings))
    return rows


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("package")
@click.option("--seeds", default=10, show_default=True, help="Sites to draw.")
@click.option("--cameras", default=2, show_default=True, help="Cameras of a site.")
@click.option("--people", default=16, show_default=True, help="People of a site.")
@click.option("--seconds", default=40.0, show_default=True, help="How long each lasts.")
@click.option("--threshold", type=float, help="Cosine of the same person; default: the package's, or 0.8.")
def main(
    package: str, seeds: int, cameras: int, people: int, seconds: float, threshold: float | None
) -> None:
    """Track drawn sites by PACKAGE, by motion alone, and by PACKAGE ruined.

    \b
    Example:
      .venv/bin/python scripts/tracking_check.py osnet-cpu
    """
    embedder = Embedder.load(package)
    rules = Rules(threshold=threshold or embedder.threshold or Rules().threshold)
    click.echo(f"cosine from which two are the same person: {rules.threshold:.3f}")
    gained, worse = 0, 0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder, bar(f"seed {seed}", 3 * cameras) as advance:
            write_video(
                Path(folder, "site"),
                cameras=cameras,
                people=people,
                seconds=seconds,
                rate=8,
                size=(640, 360),
                seed=seed,
            )
            sequences = read_sequences([folder])
            advance(cameras)
            scored: dict[str, ScoredTracks] = {}
            for name, rows in (
                ("motion", None),
                ("engine", [embed(embedder, each) for each in sequences]),
                ("ruined", [embed(embedder, each, ruined=True) for each in sequences]),
            ):
                scored[name] = score_tracks(sequences, track(sequences, rows, rules).tracks)
            advance(2 * cameras)
        scores = {name: each.scores() for name, each in scored.items()}
        gain = scores["engine"].idf1 - scores["motion"].idf1
        lost = scores["engine"].idf1 - scores["ruined"].idf1
        gained, worse = gained + (gain >= _GAIN), worse + (lost > 0)
        click.echo(
            f"seed {seed}: IDF1 "
            + ", ".join(f"{name} {each.idf1:.1f}" for name, each in scores.items())
            + "; HOTA "
            + ", ".join(f"{name} {each.hota:.1f}" for name, each in scores.items())
            + f"; gain {gain:+.1f}, switches {scores['motion'].switches} and {scores['engine'].switches}"
        )
    step(f"appearance gains {_GAIN:.0f} points or more in {gained} of {seeds}; ruined is worse in {worse}")


if __name__ == "__main__":
    sys.exit(run_script(main, "tracking_check.py"))
