"""What wrong preprocessing costs: measured before by a program of its own, and told by `integrate check`.

    python scripts/pipeline_costs.py osnet_x0_25_msmt17.pth viper

A row of the table for each configuration that was measured before, on VIPeR with x0.25 of MSMT17: the file
that makes the mistake is written, the command that a user types checks it, and what it names and prints is
held to the figure before. The exit code is 1 where a mistake is not named, or a cost is off by half a point.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import onnx
from onnx import helper, numpy_helper
from script_errors import run_script

from osnet_edge.runtime.errors import OsnetEdgeError

#: Of the package, measured before.
_OWN = 45.79
#: Points of mAP between a cost before and the one that is printed.
_LIMIT = 0.5
#: Whatever the interpreter's own command is called.
_COMMAND = [sys.executable, "-m", "osnet_edge.cli.main"]


class Row(NamedTuple):
    """A configuration, measured before.

    Attributes:
        title: what it does to a crop.
        map: before, in percent.
        named: the mistake as the check names it; None where the configuration is right.
        mixed: whether the gallery was embedded as in training.
        write: writes it into a folder, from two graphs: as exported, and one that its caller normalises for.
    """

    title: str
    map: float
    named: str | None
    mixed: bool
    write: Callable[[Path, Path, Path], Path]


def tracker(**changed: object) -> Callable[[Path, Path, Path], Path]:
    """A tracker's configuration with NVIDIA's sample constants, and some keys of `ReID` changed."""

    def write(folder: Path, exported: Path, usual: Path) -> Path:
        values: dict[str, object] = {
            "reidType": 2,
            "reidFeatureSize": 512,
            "inferDims": [3, 256, 128],
            "inputOrder": 0,
            "offsets": [123.675, 116.28, 103.53],
            "netScaleFactor": 0.01735207,
            "keepAspc": 0,
            "addFeatureNormalization": 1,
            **changed,
        }
        path = folder / "tracker.yml"
        keys = "".join(f"  {key}: {value}\n" for key, value in values.items())
        path.write_text(f"%YAML:1.0\nReID:\n{keys}TrajectoryManagement:\n  enableReAssoc: 1\n")
        return path

    return write


def ours(consumer: str, config: str) -> Callable[[Path, Path, Path], Path]:
    """A configuration as `osnet-edge integrate` writes it."""

    def write(folder: Path, exported: Path, usual: Path) -> Path:
        made = folder / "made"
        _osnet_edge("integrate", str(exported), "--for", consumer, "-o", str(made))
        return made / config

    return write


def square(folder: Path, exported: Path, usual: Path) -> Path:
    """A usual export behind a resize from a square, as Ultralytics' `model`: nothing normalises."""
    model = onnx.load(usual)
    given = model.graph.input[0]
    for node in model.graph.node:
        node.input[:] = ["resized" if name == given.name else name for name in node.input]
    sizes = numpy_helper.from_array(np.asarray([1, 1, 1, 0.5], np.float32), "halved")
    model.graph.initializer.append(sizes)
    model.graph.node.insert(
        0, helper.make_node("Resize", [given.name, "", "halved"], ["resized"], mode="linear")
    )
    given.type.tensor_type.shape.dim[3].dim_value = 256
    onnx.save(model, folder / "square.onnx")
    path = folder / "botsort.yaml"
    path.write_text(f"tracker_type: botsort\nwith_reid: True\nmodel: {folder / 'square.onnx'}\n")
    return path


ROWS = (
    Row(
        *("std folded into the stem", 45.79, None, False),
        ours("deepstream-tracker", "config_tracker_NvDCF.yml"),
    ),
    Row("NVIDIA's sample constants", 45.51, "normalisation", False, tracker()),
    Row("`keepAspc: 1`", 35.00, "aspect ratio", False, tracker(keepAspc=1)),
    Row("the same, against the package's gallery", 32.21, "aspect ratio", True, tracker(keepAspc=1)),
    Row(
        "1/255 and no offsets",
        *(25.22, "normalisation", False),
        tracker(netScaleFactor=1 / 255, offsets=[0, 0, 0]),
    ),
    Row("1/255 alone, of square crops", 25.27, "normalisation", False, square),
    Row("square crops, normalised", 45.75, None, False, ours("ultralytics:square", "botsort_osnet.yaml")),
)


def _osnet_edge(*arguments: str) -> str:
    """Run the command, and return what it printed; a mistake that it found is no failure.

    Raises:
        OsnetEdgeError: it failed.
    """
    done = subprocess.run([*_COMMAND, *arguments], capture_output=True, text=True)  # noqa: S603
    if done.returncode > 1 or (done.returncode and not done.stdout):
        raise OsnetEdgeError(done.stderr.strip().splitlines()[-1])
    return done.stdout


def told(row: Row, found: dict[str, Any]) -> tuple[str, float | None]:
    """Return the mistake's name and its cost, as a check found them; no cost where it is not named."""
    if row.named is None:
        names = [each["name"] for each in found["findings"]]
        cost = None if names else found["map"]["package"] - found["map"]["kept"]
        return ", ".join(names) or "none", cost
    mistakes = {each["name"]: each for each in found["findings"]}
    finding = mistakes.get(row.named, {})
    return ", ".join(mistakes) or "none", finding.get("cost_map_mixed" if row.mixed else "cost_map")


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("data")
def main(checkpoint: Path, data: str) -> int:
    """Check a configuration for each mistake, with CHECKPOINT, on the set DATA."""
    good, found = True, dict[str, dict[str, Any]]()
    click.echo("| configuration | mAP before | cost before | named | cost by `check` | difference |")
    click.echo("| --- | ---: | ---: | --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as scratch:
        exported, usual = Path(scratch) / "bytes.onnx", Path(scratch) / "floats.onnx"
        _osnet_edge("export", str(checkpoint), "-o", str(exported))
        _osnet_edge("export", str(checkpoint), "-o", str(usual), "--input", "float32")
        for number, row in enumerate(ROWS):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            config = row.write(folder, exported, usual)
            options = ["--package", str(exported), "--data", data, "--json"]
            text = config.read_text()
            # Two rows may be of one configuration.
            if text not in found:
                found[text] = json.loads(_osnet_edge("integrate", "check", str(config), *options))
            named, cost = told(row, found[text])
            before = _OWN - row.map
            off = None if cost is None else cost - before
            good &= off is not None and abs(off) <= _LIMIT
            figures = ["-" if each is None else f"{each:.2f}" for each in (cost, off)]
            click.echo(f"| {row.title} | {row.map:.2f} | {before:.2f} | {named} | {' | '.join(figures)} |")
    return int(not good)


if __name__ == "__main__":
    sys.exit(run_script(main, "pipeline_costs.py"))
