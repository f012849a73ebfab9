"""`osnet-edge search`: where instance norm should stand, learned from images."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal, cast

import click

from osnet_edge.cli.options import output_option, parse_size
from osnet_edge.cli.progress import bar, say


@click.command()
@click.option("--data", required=True, metavar="SET,...", help="Sets to learn from, combined.")
@output_option("folder")
@click.option("--combineall", is_flag=True, help="Learn from the sets' test images too, as the paper does.")
@click.option("--width", default="x1_0", show_default=True, help="Of the network that is searched.")
@click.option("--epochs", default=120, show_default=True, help="Passes over the images.")
@click.option("--batch", default=512, show_default=True, help="Pictures a step.")
@click.option("--learning-rate", default=0.1, show_default=True, help="Of SGD, at first.")
@click.option("--share-rate", type=float, help="The same for the designs' shares; default: as much.")
@click.option("--temperature", default=10.0, show_default=True, help="Of the Gumbel-softmax at first.")
@click.option("--lowest", default=1.0, show_default=True, help="Temperature that it falls to.")
@click.option(
    "--halve-every", default=0, metavar="N", help="Epochs from one halving to the next; default a sixth."
)
@click.option("--stem/--no-stem", default=True, show_default=True, help="Instance norm in the stem.")
@click.option("--affine", is_flag=True, help="Let norms scale and shift while searching.")
@click.option("--size", default="256x128", show_default=True, metavar="HxW", help="Size to search at.")
@click.option("--seed", default=0, show_default=True, help="Of weights, shares, order and augmentation.")
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
    """Search for the placement of instance norm that suits the images of --data.

    The folder gets placement.json for `train --placement`, search.jsonl with the probabilities after each
    epoch, and search.svg, which draws them. The defaults are the paper's, for a GPU; a smaller batch wants a
    lower rate.

    \b
    Example:
      osnet-edge search --data msmt17 --combineall -o found
      osnet-edge search --data set-a,set-b -o found --width x0_25 --size 128x64 --epochs 30 --batch 64
        --learning-rate 0.03 --share-rate 0.3
    """
    rows, columns = parse_size(size)
    from osnet_edge.runtime.files import write_folder_aside
    from osnet_edge.train.data import parse_specs, training_pictures
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
    click.echo(f"{output}: {placement}, after {epochs} epochs")
