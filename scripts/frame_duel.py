"""A frame with 32 boxes, our engines against what people use, on one thread and on two.

    python scripts/frame_duel.py WEIGHTS --calibration calib.json --frames MOT17 --data viper -o duel

exports each checkpoint, builds bf16 and INT8 packages for OpenVINO, with Pillow's and with OpenCV's resizing,
and measures them beside BoxMOT (where it is installed), ONNX Runtime, OpenVINO and PyTorch, all in turns. It
leaves a result and a page for each checkpoint and number of threads. Packages that are there are kept.
"""

from __future__ import annotations

from pathlib import Path

import click

from osnet_edge.cli.main import main
from osnet_edge.runtime.preprocessing import Interpolation

#: Endings of the packages' names, and how their crops are resized.
_RESIZED: dict[str, Interpolation] = {"": "pillow-bilinear", "-cv": "opencv-bilinear"}


@click.command()
@click.argument("checkpoints", nargs=-1, required=True)
@click.option("--calibration", required=True, metavar="FILE", help="Of osnet-edge calibrate.")
@click.option("--frames", required=True, metavar="FOLDER", help="MOT17 sequences.")
@click.option("--data", metavar="SET", help="Set to score on, with one thread.")
@click.option("--threads", default="1,2", show_default=True, help="Numbers of threads.")
@click.option("--people", default=32, show_default=True, help="Boxes in the frame, 32 at most.")
@click.option("--duration", default=10.0, show_default=True, help="Seconds of each engine.")
@click.option("--rewrite", default="gate", show_default=True, help="Passes, as export takes them.")
@click.option("-o", "--output", default="duel", show_default=True, help="Folder of packages and results.")
def frame_duel(
    checkpoints: tuple[str, ...],
    calibration: str,
    frames: str,
    data: str | None,
    threads: str,
    people: int,
    duration: float,
    rewrite: str,
    output: str,
) -> None:
    """Measure CHECKPOINTS' engines on a frame, against what people use."""
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    for checkpoint in checkpoints:
        stem = Path(checkpoint).stem
        packages = [
            package
            for ending in _RESIZED
            for package in _build(checkpoint, ending, calibration, people, rewrite, folder)
        ]
        for place, count in enumerate(threads.split(",")):
            click.echo(f"\n{stem}, {count} threads")
            rivals = ["--versus", "boxmot,ort,openvino,torch", "--weights", checkpoint]
            timed = ["--people", str(people), "--frames", frames, "--batch", "1", "--duration", str(duration)]
            scored = ["--data", data] if data and not place else []
            made = [
                f"--{kind}={folder / stem}-{count}.{end}"
                for kind, end in (("json", "json"), ("report", "html"))
            ]
            _run(["bench", *map(str, packages), "--threads", count, *timed, *rivals, *scored, *made])


def _build(
    checkpoint: str, ending: str, calibration: str, people: int, rewrite: str, folder: Path
) -> list[Path]:
    """Return packages of one kind of resizing, made where they are missing."""
    stem = f"{Path(checkpoint).stem}{ending}"
    graph = folder / f"{stem}.onnx"
    if not graph.exists():
        asked = ["--interpolation", _RESIZED[ending], "--rewrite", rewrite]
        _run(["export", checkpoint, *asked, "-o", str(graph)])
    packages = []
    for precision in ("bf16", "int8"):
        packages.append(folder / f"{stem}-{precision}")
        if not packages[-1].exists():
            options = ["--calibration", calibration] if precision == "int8" else []
            # Compiled for the frame as a whole: OpenVINO is a fifth quicker at 32 than at 8 in x0.25.
            options += ["--batch", f"1,{people},{people}", "-o", str(packages[-1])]
            made = ["--target", "openvino", "--precision", precision, *options]
            _run(["build", str(graph), *made])
    return packages


def _run(arguments: list[str]) -> None:
    if main(arguments):
        raise click.ClickException(f"osnet-edge {' '.join(arguments[:2])} did not succeed")


if __name__ == "__main__":
    frame_duel()
