"""Whether tracks tell a ruined engine from a good one: red and blue swapped, and mirrored.

    python scripts/ruined_tracks.py osnet.onnx --folder work

Draws sites of two cameras, builds the graph as it is and with its input swapped and mirrored, and measures
both by `osnet-edge bench --track`. Ends with 1 where the interval of the change of IDF1 reaches 0. What is
drawn in the folder is used again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import onnx
from onnx import helper, numpy_helper
from script_errors import run_script

from osnet_edge.bench.result.result import read_result
from osnet_edge.cli.main import main
from osnet_edge.cli.progress import step
from osnet_edge.runtime.errors import CheckError
from osnet_edge.train.synthetic.video import write_video


@click.command()
@click.argument("graph")
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Folder to work in.")
@click.option("--sites", default=10, show_default=True, help="Sites of two cameras to draw.")
@click.option("--seconds", default=40, show_default=True, help="Length of each sequence.")
def command(graph: str, folder: Path, sites: int, seconds: int) -> int:
    """Tell GRAPH with a uint8 input from itself with red and blue swapped, and mirrored."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = folder / "sites"
    for seed in range(sites):
        if not (drawn / f"site-{seed}").is_dir():
            step(f"drawing site {seed + 1} of {sites}")
            drawn.mkdir(exist_ok=True)
            write_video(
                drawn / f"site-{seed}",
                cameras=2,
                people=16,
                seconds=seconds,
                rate=8,
                size=(640, 360),
                seed=100 + seed,
            )
    ruined = folder / "ruined.onnx"
    onnx.save(ruin(onnx.load(graph)), ruined)
    packages = [folder / "good", folder / "ruined"]
    for source, package in zip((graph, ruined), packages, strict=True):
        _run("build", str(source), "--target", "cpu", "-o", str(package), "--force")
    result = folder / "result.json"
    measure = ["--batch", "1", "--duration", "0.2", "--track", str(drawn), "--json", str(result), "--force"]
    _run("bench", *map(str, packages), *measure)
    tracking = read_result(result).engines[-1].tracking
    if tracking is None or tracking.change is None:
        raise CheckError("expected tracks of the ruined engine, found none")
    return 0 if tracking.change.idf1_interval[1] < 0 else 1


def ruin(model: onnx.ModelProto) -> onnx.ModelProto:
    """Reverse the last two axes of a graph's (N, H, W, 3) input: its columns and its colours."""
    graph = model.graph
    given = graph.input[0].name
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == given:
                node.input[place] = "ruined"
    last = np.iinfo(np.int64).min
    slices = {"starts": [-1, -1], "ends": [last, last], "axes": [2, 3], "steps": [-1, -1]}
    for name, values in slices.items():
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), f"ruined {name}"))
    names = [f"ruined {name}" for name in slices]
    graph.node.insert(0, helper.make_node("Slice", [given, *names], ["ruined"], name="ruin"))
    return model


def _run(*words: str) -> None:
    if main(list(words)):
        raise CheckError(f"osnet-edge {words[0]} failed, as the line above says")


if __name__ == "__main__":
    sys.exit(run_script(command, "ruined_tracks.py"))
