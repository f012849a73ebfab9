"""`osnet-edge demo`: the whole chain on drawn people, by the commands that a user would type."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import click

from osnet_edge.cli.options import parse_size
from osnet_edge.cli.paths import OutputFolder
from osnet_edge.runtime.errors import InputError

#: Input size for training and export: a quarter of the usual pixels, so that training takes a minute or two.
_SIZE = "128x64"
#: Seconds for training, so that the whole demo ends within three minutes; and the fewest and most epochs.
_FIT_S = 75.0
_FEWEST_EPOCHS, _MOST_EPOCHS = 2, 9
#: Marks a folder that a demo created, so that another demo may remove it.
_MARK = ".osnet-edge-demo"


@click.command()
@click.option(
    "-o",
    "--output",
    type=OutputFolder(),
    default="demo",
    show_default=True,
    metavar="FOLDER",
    help="Folder to create.",
)
@click.option("--train-people", default=150, show_default=True, help="Number of drawn people to train on.")
@click.option(
    "--test-people", default=40, show_default=True, help="Number of other drawn people, to test on."
)
@click.option(
    "--epochs",
    type=int,
    help="Passes over the images; default: as many as fit into a minute or so, at most 9.",
)
@click.option("--duration", default=2.0, show_default=True, help="Seconds to time each engine at each batch.")
@click.option("--seed", default=0, show_default=True, help="Seed of people, weights and order.")
@click.option("--force", is_flag=True, help="Remove an existing folder first.")
def demo(
    output: str,
    train_people: int,
    test_people: int,
    epochs: int | None,
    duration: float,
    seed: int,
    force: bool,
) -> None:
    """Run the whole chain on drawn people, and write a report.

    Draws people, trains a small OSNet on them, exports it, builds and measures every engine possible here.

    \b
    Example:
      osnet-edge demo -o demo
    """
    folder = Path(output)
    if folder.exists():
        if not force:
            raise InputError(f"{folder} is already there; pass --force to remove it, or name another with -o")
        if not (folder / _MARK).is_file():
            raise InputError(f"{folder} was not made by a demo, so --force leaves it; name another with -o")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
    people, fitted, graph = f"{folder}/people", f"{folder}/run", f"{folder}/osnet.onnx"
    counts = ["--train-people", str(train_people), "--test-people", str(test_people), "--cameras", "3"]
    _run("data", "synthesize", "-o", people, *counts, "--seed", str(seed))
    epochs = epochs or _epochs_for(Path(people))
    training = ["--data", people, "-o", fitted, "--epochs", str(epochs), "--size", _SIZE]
    _run("train", "quick", *training, "--seed", str(seed))
    _run("export", f"{fitted}/osnet.pth", "-o", graph, "--size", _SIZE)
    measured, others = _build_all(folder, graph)
    result = f"{folder}/result.json"
    timing = ["--batch", "1,8", "--duration", str(duration)]
    _run("bench", *measured, "--data", people, *timing, "--json", result)

    from osnet_edge.cli.demo_page import write_page

    click.echo("\nWriting the report ...", err=True)
    click.echo(f"\n{write_page(folder, others, seed)}")
    click.echo(f"{folder}/report.html shows all of it; open it in a browser")


def _epochs_for(people: Path) -> int:
    """Return how many passes over the drawn people this machine makes in the time that there is."""
    from osnet_edge.train.data import open_set
    from osnet_edge.train.speed import measure_training_speed

    click.echo("\nMeasuring how fast this machine trains ...", err=True)
    height, width = parse_size(_SIZE)
    speed = measure_training_speed("osnet_x0_25", height, width)
    images = len(open_set(str(people)).train)
    epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, int(_FIT_S * speed / images)))
    click.echo(f"{speed:.0f} images a second: {epochs} passes over {images:,} images", err=True)
    return epochs


def _build_all(folder: Path, graph: str) -> tuple[list[str], list[str]]:
    """Build for each target possible on this machine; return the packages that run here, and the others."""
    from osnet_edge.runtime.backends.base import find_support
    from osnet_edge.runtime.backends.openvino import installed_precisions as openvino_precisions
    from osnet_edge.runtime.backends.registry import BACKENDS

    measured = [f"{folder}/osnet-cpu"]
    others: list[str] = []
    _run("build", graph, "--target", "cpu", "-o", measured[0])
    for precision in openvino_precisions():
        measured.append(f"{folder}/osnet-openvino-{precision}")
        _run("build", graph, "--target", "openvino", "--precision", precision, "-o", measured[-1])
    for backend in (each for each in BACKENDS.values() if each.machine_bound):
        support = find_support(backend.name)
        for precision in ("fp32", "fp16") if support.builds else ():
            package = f"{folder}/osnet-{backend.target}-{precision}"
            _run("build", graph, "--target", backend.target, "--precision", precision, "-o", package)
            (measured if support.runs else others).append(package)
    return measured, others


def _run(*arguments: str) -> None:
    """Show a command as it would be typed, and run it."""
    click.secho(f"\n$ osnet-edge {shlex.join(arguments)}", bold=True)
    root = click.get_current_context().find_root().command
    root.main(args=list(arguments), prog_name="osnet-edge", standalone_mode=False)
