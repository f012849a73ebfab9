#!/usr/bin/env python3
"""What appearance gains over motion alone on synthetic sites: each seed draws another one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
from script_errors import run_script

from osnet_edge.cli.progress import bar, step
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.track.embed import embed_sequence
from osnet_edge.track.run import track
from osnet_edge.track.scores import score_tracks
from osnet_edge.track.tracker import Rules
from osnet_edge.train.data.sequences import read_sequences
from osnet_edge.train.synthetic.video import write_video

#: IDF1 in percent that appearance must gain over motion alone.
_GAIN = 10.0


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
    """Follow people through synthetic sites by PACKAGE and by motion alone.

    \b
    Example:
      .venv/bin/python scripts/tracking_gain.py osnet-cpu
    """
    embedder = Embedder.load(package)
    rules = Rules(threshold=threshold or embedder.threshold or Rules().threshold)
    click.echo(f"cosine from which two are the same person: {rules.threshold:.3f}")
    gained = 0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder, bar(f"seed {seed}", 2 * cameras) as advance:
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
            embedded = [embed_sequence(embedder, each).rows for each in sequences]
            motion, engine = (
                score_tracks(sequences, track(sequences, rows, rules).tracks).scores()
                for rows in (None, embedded)
            )
            advance(cameras)
        gained += engine.idf1 - motion.idf1 >= _GAIN
        click.echo(
            f"seed {seed}: IDF1 {motion.idf1:.1f} by motion alone, {engine.idf1:.1f} with appearance; HOTA "
            f"{motion.hota:.1f} and {engine.hota:.1f}; switches {motion.switches} and {engine.switches}"
        )
    step(f"appearance gains {_GAIN:.0f} points of IDF1 or more in {gained} of {seeds}")


if __name__ == "__main__":
    sys.exit(run_script(main, "tracking_gain.py"))
