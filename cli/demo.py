"""`osnet-edge demo`: the whole chain on synthetic people, by the commands that a user would type."""

from __future__ import annotations

import shlex
import shutil
import time
from pathlib import Path

import click

from osnet_edge.cli.options import parse_size
from osnet_edge.cli.paths import OutputFolder
from osnet_edge.cli.progress import step
from osnet_edge.cli.replacing import force_option
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError
from osnet_edge.train.threads import spare_busy_cores

#: Input size for training and export: a quarter of the usual pixels, so that training takes a minute or two.
_SIZE = "128x64"
#: Marks a folder that a demo created, so that another demo may remove it.
_MARK = ".osnet-edge-demo"
#: Seconds for the whole demo, of three minutes: some are left for what was not foreseen.
_LIMIT_S = 174.0
#: Epochs that the demo needs to find most people, and the fewest, after which it finds few.
_MOST_EPOCHS, _FEWEST_EPOCHS = 9, 2
#: What comes after training: seconds of fixed length, such as timing, and how many more for each second that
#: drawing took, which other work on this machine slows down alike (25 and 1.0 measured on two quiet cores,
#: and 0.4 for the tracked sequence).
_LATER_S, _LATER_BY_DRAWING = 25.0, 1.4


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
@click.option("--train-people", default=150, show_default=True, help="Synthetic people to train on.")
@click.option("--test-people", default=40, show_default=True, help="Other synthetic people, to test on.")
@click.option(
    "--epochs",
    type=int,
    help="Passes over the images; default: as many as fit into three minutes, at most 9.",
)
@click.option("--duration", default=2.0, show_default=True, help="Seconds to time each engine at each batch.")
@click.option("--seed", default=0, show_default=True, help="Seed of people, weights and order.")
@force_option("Remove an existing folder first.", expose_value=True)
def demo(
    output: str,
    train_people: int,
    test_people: int,
    epochs: int | None,
    duration: float,
    seed: int,
    force: bool,
) -> None:
    """Run the whole chain on synthetic people, and write a report.

    Draws people, trains a small OSNet on them, exports it, builds and measures every engine possible here.

    How long it trains depends on how fast this machine is now, so that all ends within three minutes. Give
    --epochs for a result that does not depend on it.

    \b
    Example:
      osnet-edge demo -o demo
    """
    begun, folder = time.monotonic(), Path(output)
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
    spare_busy_cores(step)
    _run("data", "synthesize", "-o", people, *counts, "--seed", str(seed))
    if epochs is None:
        epochs = _fitting_epochs(people, seed, time.monotonic() - begun)
    training = ["--data", people, "-o", fitted, "--epochs", str(epochs), "--size", _SIZE]
    _run("train", "quick", *training, "--seed", str(seed))
    _run("export", f"{fitted}/osnet.pth", "-o", graph, "--size", _SIZE)
    measured, others = _build_all(folder, graph)
    _track(folder, measured[0], seed)
    result = f"{folder}/result.json"
    timing = ["--batch", "1,8", "--duration", str(duration)]
    _run("bench", *measured, "--data", people, *timing, "--json", result)

    from osnet_edge.cli.demo_page import write_page

    click.echo("\nWriting the report ...", err=True)
    shortened = epochs if epochs < _MOST_EPOCHS else None
    click.echo(f"\n{write_page(folder, others, seed, shortened)}")
    click.echo(f"{folder}/report.html shows all of it; open it in a browser")


def _fitting_epochs(people: str, seed: int, drawing_s: float) -> int:
    """Return how many epochs of training leave time for the rest of the demo, by training for some seconds.

    Args:
        people: the set to train on.
        seed: of the run.
        drawing_s: seconds that the demo has taken until now.
    """
    from osnet_edge.train.data import training_pictures
    from osnet_edge.train.recipe import read_recipe
    from osnet_edge.train.sampling import steps_an_epoch
    from osnet_edge.train.speed import images_per_second

    begun = time.monotonic()
    click.echo("\nTrying how fast this machine trains ...", err=True)
    height, width = parse_size(_SIZE)
    recipe = read_recipe("quick", [f"network.height={height}", f"network.width={width}", f"seed={seed}"])
    pictures = training_pictures([people])
    rate = images_per_second(pictures, recipe)
    steps = steps_an_epoch([each.identity for each in pictures], recipe.batches)
    an_epoch = steps * recipe.batches.size / rate
    left = _LIMIT_S - drawing_s - (time.monotonic() - begun) - _LATER_S - _LATER_BY_DRAWING * drawing_s
    epochs = max(_FEWEST_EPOCHS, min(_MOST_EPOCHS, int(left / an_epoch)))
    step(f"{rate:.0f} images a second, so {counted(epochs, 'epoch')} in about {epochs * an_epoch:.0f} s")
    return epochs


def _track(folder: Path, package: str, seed: int) -> None:
    """Draw a short sequence of others, and follow them, where the libraries for that are installed."""
    from osnet_edge.track.libraries import missing_libraries

    if missing_libraries():
        step("people are not tracked, for that needs pip install 'osnet-edge[tracking]'")
        return
    drawing = ["--cameras", "1", "--people", "8", "--rate", "8", "--frame-size", "270x480"]
    _run("data", "synthesize", "--video", "-o", f"{folder}/site", *drawing, "--seed", str(seed + 1))
    _run("track", package, "--frames", f"{folder}/site", "-o", f"{folder}/tracks.txt")


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
