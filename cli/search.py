"""`osnet-edge search`: learn the placement of instance norm from images."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal, cast

import click

from osnet_edge.cli.options import output_option, parse_size
from osnet_edge.cli.paths import SET
from osnet_edge.cli.progress import bar, say, step
from osnet_edge.runtime.counted import counted
from osnet_edge.train.threads import spare_busy_cores


@click.command()
@click.option("--data", required=True, type=SET, metavar="SET,...", help="Training sets, combined.")
@output_option("folder")
@click.option("--combineall", is_flag=True, help="Also train on the sets' test images, as the paper does.")
@click.option("--width", default="x1_0", show_default=True, help="Width of the network.")
@click.option("--epochs", default=120, show_default=True, help="Passes over the images.")
@click.option("--batch", default=512, show_default=True, help="Batch size.")
@click.option("--learning-rate", default=0.1, show_default=True, help="Initial learning rate of SGD.")
@click.option(
    "--share-rate", type=float, help="Learning rate of the shares of block designs; default: --learning-rate."
)
@click.option(
    "--temperature", default=10.0, show_default=True, help="Initial temperature of the Gumbel-softmax."
)
@click.option("--lowest", default=1.0, show_default=True, help="Final temperature.")
@click.option(
    "--halve-every",
    default=0,
    metavar="N",
    help="Epochs between halvings of the temperature; default: a sixth of --epochs.",
)
@click.option("--stem/--no-stem", default=True, show_default=True, help="Instance norm in the stem.")
@click.option("--affine", is_flag=True, help="Let norms learn scale and shift during the search.")
@click.option("--size", default="256x128", show_default=True, metavar="HxW", help="Input size.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, shares, order and augmentation.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to search; auto: on a GPU if there is one.",
)
@click.option("--workers", type=int, help="Processes that decode images; default: 1 on a CPU, else up to 8.")
def search(
    data: str,
    output: str,
    combineall: bool,
    width: str,
    epochs: int,
    batch: int,
    learning_rate: float,
    share_rate: float | None,
    temperature: float,
    lowest: float,
    halve_every: int,
    stem: bool,
    affine: bool,
    size: str,
    seed: int,
    device: str,
    workers: int | None,
) -> None:
    """Search for the best placement of instance norm for the images of --data.

    The output folder gets placement.json for `train --placement`, search.jsonl with the probabilities after
    each epoch, and search.svg with their chart. The defaults are the paper's, for a GPU. A smaller batch
    needs a lower learning rate.

    \b
    Example:
      osnet-edge search --data msmt17 --combineall -o found
      osnet-edge search --data set-a,set-b -o found --width x0_25 --size 128x64 --epochs 30 --batch 64
        --learning-rate 0.03 --share-rate 0.3
    """
    rows, columns = parse_size(size)
    from osnet_edge.train.data import open_sets, parse_specs

    # Before libraries are imported, which takes seconds.
    for spec in parse_specs(data):
        open_sets(spec)
    spare_busy_cores(step)
    from osnet_edge.runtime.files import write_folder_aside
    from osnet_edge.train.data import training_pictures
    from osnet_edge.train.machine import Machine
    from osnet_edge.train.search import SearchEpoch, SearchSettings
    from osnet_edge.train.search import search as run
    from osnet_edge.train.search_log import write_search

    settings = SearchSettings(
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        share_rate=share_rate,
        temperature=temperature,
        lowest=lowest,
        halve_every=halve_every,
        stem=stem,
        affine=affine,
        height=rows,
        width=columns,
        seed=seed,
    )
    machine = Machine(cast(Literal["auto", "cpu", "cuda"], device), workers=workers)
    pictures = training_pictures(parse_specs(data), combineall=combineall, seed=seed)
    how = {"data": data, "combineall": combineall, "network": width, **asdict(settings)}
    history: list[SearchEpoch] = []

    def tell(epoch: SearchEpoch) -> None:
        history.append(epoch)
        likeliest = " ".join(f"{max(shares):.2f}" for shares in epoch.probabilities)
        say(
            f"epoch {epoch.epoch}: temperature {epoch.temperature:.3g}, loss {epoch.loss:.3f}, "
            f"accuracy {epoch.accuracy:.1%}, likeliest designs {likeliest}"
        )

    with write_folder_aside(output) as folder:
        with bar("searching", epochs * (len(pictures) // batch) * batch) as advance:
            placement = run(pictures, width, settings, machine=machine, progress=advance, report=tell)
        write_search(folder, placement, history, how)
    click.echo(f"{output}: {placement}, after {counted(epochs, 'epoch')}")
