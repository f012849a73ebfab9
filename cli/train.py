"""`osnet-edge train`: a recipe on sets of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from osnet_edge.cli.options import output_option
from osnet_edge.cli.progress import bar

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("recipe")
@click.option("--data", required=True, metavar="SETS", help="What to train on: names or folders, by commas.")
@output_option("run folder")
@click.option("--weights", metavar="CHECKPOINT", help="Start from these, not from random ones.")
@click.option("--teacher", metavar="CHECKPOINT", help="A network whose similarities to learn as well.")
@click.option("--arch", help="Variant to train; default: the recipe's.")
@click.option("--epochs", type=int, help="Passes over the pictures; default: the recipe's.")
@click.option("--size", metavar="HxW", help="Size to train at; default: the recipe's.")
@click.option("--seed", type=int, help="Of weights, order and augmentation; default: the recipe's.")
@click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change any other field of the recipe."
)
@click.option("--test", "tests", metavar="SETS", help="Score on these sets as it goes.")
@click.option("--test-every", default=10, show_default=True, metavar="EPOCHS", help="How often to score.")
@click.option("--resume", is_flag=True, help="Go on with the run in the output folder.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="Of the arithmetic; weights stay float32. auto: 16 bits on a GPU.",
)
@click.option("--workers", type=int, help="Processes that decode pictures; default: 1 on a CPU, up to 8.")
@click.option("--compile", is_flag=True, help="Let torch.compile make kernels first.")
def train(recipe: str, data: str, output: str, resume: bool, **options: Any) -> None:
    """Train an OSNet by RECIPE, a shipped name or a .toml file.

    \b
    Shipped recipes:
      quick                 a short fit from random weights, as in the demo
      adapt                 a trained network to new pictures, in minutes
      scratch               same domain from random weights (the paper's)
      finetune_x1_0, finetune_x1_0_cosine, finetune_x0_75, finetune_x0_5,
      finetune_x0_25        same domain from given weights
      ibn_x1_0, ain_x1_0    across domains
      multi_source          several sources, for domains never seen
    \b
    Example:
      osnet-edge train quick --data synthetic-set -o run
      osnet-edge train adapt --data cuhk03 --weights osnet_x0_25.pth -o run --epochs 10
      torchrun --nproc-per-node 2 -m osnet_edge.cli.main train scratch --data market1501 -o run
    """
    from osnet_edge.train.data import training_pictures
    from osnet_edge.train.distributed import is_first_process
    from osnet_edge.train.machine import Machine
    from osnet_edge.train.recipe_file import read_recipe
    from osnet_edge.train.trainer import train as run_training

    chosen = read_recipe(recipe, [*_changes(options), *options["changes"]])
    machine = Machine(options["device"], options["precision"], options["compile"], options["workers"])
    start = _start(chosen, options["weights"], options["teacher"])
    pictures = training_pictures(data.split(","), combineall=chosen.batches.combineall)
    tester = _Tester(options["tests"], options["test_every"], chosen)
    first = is_first_process()
    batches = chosen.batches
    start.facts["recipe"], start.facts["sources"] = recipe, data.split(",")
    with bar(
        "training", batches.epochs * (len(pictures) // batches.size) * batches.size, shown=first
    ) as advance:
        model = run_training(
            pictures,
            chosen,
            output,
            machine=machine,
            start=start,
            resume=resume,
            test=tester,
            progress=advance,
            report=_tell if first else lambda report: None,
        )
    if first:
        click.echo(f"{output}: {model.variant.name}, {model.num_classes} identities, {batches.epochs} epochs")
