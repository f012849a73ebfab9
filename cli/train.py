"""`osnet-edge train`: a recipe on sets of images."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from osnet_edge.cli.options import (
    output_option,
    parse_size,
    require_weights,
    typed_command,
    weights_key_option,
    within_cores,
)
from osnet_edge.cli.paths import CALIBRATION, CHECKPOINT, PLACEMENT, SET, PathOrName
from osnet_edge.cli.progress import bar, say, step
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError
from osnet_edge.train.threads import spare_busy_cores

if TYPE_CHECKING:
    from osnet_edge.train.machine import Group, Machine
    from osnet_edge.train.osnet import OSNet
    from osnet_edge.train.quantize import NetworkRounding
    from osnet_edge.train.recipe import Recipe
    from osnet_edge.train.run_state import EpochReport


@click.command()
@click.argument("recipe", type=PathOrName(), metavar="RECIPE")
@click.option("--data", required=True, type=SET, metavar="SET,...", help="Training sets, combined.")
@output_option("run folder")
@click.option(
    "--weights",
    type=CHECKPOINT,
    metavar="CHECKPOINT",
    help="Start from these weights, not from random weights.",
)
@weights_key_option
@click.option(
    "--teacher",
    type=CHECKPOINT,
    metavar="CHECKPOINT",
    help="Teacher network for distillation of similarities.",
)
@click.option(
    "--quantize", is_flag=True, help="Quantisation-aware training for INT8, starting from --weights."
)
@click.option(
    "--calibration",
    type=CALIBRATION,
    metavar="FILE",
    help="Calibration set for --quantize, the same as for build.",
)
@click.option("--arch", help="Variant; default: from the recipe or --weights.")
@click.option(
    "--placement",
    type=PLACEMENT,
    metavar="FILE",
    help="Placement of instance norm, written by osnet-edge search.",
)
@click.option("--epochs", type=int, help="Passes over the images; default: the recipe's.")
@click.option("--size", metavar="HxW", help="Input size; default: the recipe's.")
@click.option("--seed", type=int, help="Seed of weights, order and augmentation; default: the recipe's.")
@click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Change any other field of the recipe."
)
@click.option("--test", type=SET, metavar="SET,...", help="Test sets to score during training.")
@click.option("--test-every", default=10, show_default=True, metavar="EPOCHS", help="How often to score.")
@click.option("--resume", is_flag=True, help="Continue the run in the output folder.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train; auto: on a GPU if there is one.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"], case_sensitive=False),
    default="auto",
    show_default=True,
    help="Precision of arithmetic; weights stay float32. auto: 16 bits on a GPU.",
)
@click.option("--workers", type=int, help="Processes that decode images; default: 1 on a CPU, else up to 8.")
@click.option(
    "--threads",
    type=int,
    metavar="N",
    callback=within_cores,
    help="CPU threads, at most one for each core; default: the cores that nothing else keeps busy.",
)
@click.option("--compile", is_flag=True, help="Use torch.compile.")
def train(recipe: str, data: str, output: str, test: str | None, resume: bool, **options: Any) -> None:
    """Train an OSNet with RECIPE: a shipped recipe's name or a .toml file.

    The run folder gets osnet.pth, the recipe as it was used, run.json with the figures of every epoch, and
    last.ckpt for --resume.

    \b
    Shipped recipes:
      quick               short training from random weights, as in the demo
      adapt               adapt a trained network to new images, in minutes
      scratch             same domain, from random weights (the paper's)
      finetune_x1_0, finetune_x1_0_cosine, finetune_x0_75, finetune_x0_5,
      finetune_x0_25      same domain, from --weights
      ibn_x1_0, ain_x1_0  across domains
      multi_source        several source sets, for unseen domains
      quantize            fine-tune for INT8's rounding, without identities
    \b
    Example:
      osnet-edge train quick --data synthetic-set -o run
      osnet-edge train adapt --data cuhk03 --weights osnet_x0_25.pth -o run --epochs 10
      osnet-edge train quantize --data cuhk03 --weights osnet_x0_25.pth --calibration calib.json -o run
      torchrun --nproc-per-node 2 -m osnet_edge.cli.main train scratch --data market1501 -o run
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        # Of several processes, the first to fail speaks for all, which takes torch to find out.
        _check(recipe, data, resume, options)
    quiet = resume or options["threads"] is not None
    spare_busy_cores((lambda line: None) if quiet else step)
    import torch

    from osnet_edge.train.machine import Machine, OtherProcessError, process_group
    from osnet_edge.train.run_folder import threads_of

    if threads := options["threads"] or (threads_of(output) if resume else None):
        torch.set_num_threads(threads)
    machine = Machine(options["device"], options["precision"], options["compile"], options["workers"])
    machine = machine.resolved()
    try:
        with process_group(machine.torch_device()) as group:
            _train(recipe, data, output, test, resume, machine, group, options)
    except OtherProcessError:
        # The failed process has already printed the reason.
        click.get_current_context().exit(OtherProcessError.exit_code)


def _check(recipe: str, data: str, resume: bool, options: dict[str, Any]) -> None:
    """Refuse wrong input as far as possible before libraries are imported, which takes seconds.

    Raises:
        InputError: there is no such recipe or set, or the recipe needs what is not given.
    """
    from osnet_edge.train.data import open_sets, parse_specs
    from osnet_edge.train.recipe import read_recipe

    chosen = read_recipe(recipe, _typed_changes(options))
    require_weights(options["weights"], options["weights_key"])
    if not (options["weights"] or resume):
        chosen.require_no_weights()
    for spec in parse_specs(data):
        open_sets(spec)


def _train(
    recipe: str,
    data: str,
    output: str,
    test: str | None,
    resume: bool,
    machine: Machine,
    group: Group,
    options: dict[str, Any],
) -> None:
    """Train in one process of a group; only the first process prints."""
    from osnet_edge.cli.rounding import without_held_out
    from osnet_edge.train.checkpoint import load_osnet
    from osnet_edge.train.data import parse_specs, training_pictures
    from osnet_edge.train.recipe import read_recipe
    from osnet_edge.train.sampling import steps_an_epoch
    from osnet_edge.train.tester import Tester
    from osnet_edge.train.trainer import train as run_training

    first, calibration = group.rank == 0, options["calibration"]
    with group.together():
        say = step if first else lambda line: None
        weights, teacher = (
            load_osnet(path, weights_key=key, progress=say) if path else None
            for path, key in ((options["weights"], options["weights_key"]), (options["teacher"], None))
        )
        chosen = read_recipe(recipe, _changes(recipe, options, weights))
        if calibration and chosen.network.quantize == "none":
            raise InputError("expected --calibration only with --quantize, got it without; leave it out")
        pictures = training_pictures(parse_specs(data), combineall=chosen.batches.combineall)
        if calibration:
            pictures = without_held_out(pictures, calibration)
        tester = Tester(test, options["test_every"], chosen) if test else None
        labels = [picture.identity for picture in pictures]
        shown = chosen.batches.epochs * steps_an_epoch(labels, chosen.batches) * chosen.batches.size
    if first and weights and weights.variant.name == chosen.network.arch and not resume:
        _say_classifier(weights, len(set(labels)))
    rounding = _rounding(options, chosen, group)
    with bar("training", shown, shown=first) as advance:
        model = run_training(
            pictures,
            chosen,
            output,
            machine=machine,
            weights=weights,
            teacher=teacher,
            rounding=rounding,
            facts=_facts(recipe, data, options),
            resume=resume,
            test=tester or (lambda model, epoch: {}),
            progress=advance,
            report=_tell if first else lambda report: None,
            stopping=_say_stopping if first else lambda: None,
        )
    if first:
        click.echo(
            f"{output}/osnet.pth: {model.variant.name}, {counted(model.num_classes, 'identity')}, "
            f"{counted(chosen.batches.epochs, 'epoch')}"
        )


def _rounding(options: dict[str, Any], recipe: Recipe, group: Group) -> NetworkRounding | None:
    """Calibrate the weights in the first process; the others read the table that it writes."""
    from osnet_edge.cli.rounding import rounding_of

    if not (options["weights"] and options["calibration"]):
        # If the recipe quantises, the learner reports what is missing.
        return None
    size = recipe.network.height, recipe.network.width
    found = None
    for turn in (0, 1):
        with group.together():
            if turn == min(group.rank, 1):
                tell = step if group.rank == 0 else (lambda note: None)
                found = rounding_of(
                    options["weights"],
                    options["calibration"],
                    size=size,
                    weights_key=options["weights_key"],
                    progress=tell,
                )
    return found


def _changes(recipe: str, options: dict[str, Any], weights: OSNet | None) -> list[str]:
    """Return the changes that the options make to the recipe, the most specific last."""
    from osnet_edge.train.recipe import read_recipe
    from osnet_edge.train.variants import read_placement, variant_named, variant_with

    changes = []
    arch = options["arch"] or (weights.variant.name if weights else None)
    if options["placement"]:
        placement = read_placement(options["placement"])
        base = variant_named(arch or read_recipe(recipe, options["changes"]).network.arch)
        arch = variant_with(placement, base.width).name
    if arch:
        changes.append(f"network.arch={variant_named(arch).name}")
    return [*changes, *_typed_changes(options)]


def _typed_changes(options: dict[str, Any]) -> list[str]:
    """Return the changes that depend on no file and no weights."""
    changes = []
    if options["epochs"] is not None:
        changes.append(f"batches.epochs={options['epochs']}")
    if options["size"]:
        height, width = parse_size(options["size"])
        changes += [f"network.height={height}", f"network.width={width}"]
    if options["quantize"]:
        changes.append("network.quantize=int8")
    if options["seed"] is not None:
        changes.append(f"seed={options['seed']}")
    return [*changes, *options["changes"]]


def _facts(recipe: str, data: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the command's entries for the run's record."""
    from osnet_edge.runtime.files import sha256_of
    from osnet_edge.train.data import parse_specs

    files = {name: options[name] for name in ("weights", "teacher", "calibration") if options[name]}
    return {
        "command": typed_command(),
        "recipe": recipe,
        "sources": list(parse_specs(data)),
        **{name: {"file": path, "sha256": sha256_of(path)} for name, path in files.items()},
    }


def _say_classifier(weights: OSNet, identities: int) -> None:
    if weights.num_classes == identities:
        text = f"the weights have {counted(identities, 'identity')} as well, so their classifier is kept"
    else:
        had = counted(weights.num_classes, "identity") if weights.num_classes else "no classifier"
        text = f"the weights have {had}; a new classifier for {identities} takes its place"
    click.echo(f"  {text}", err=True)


def _say_stopping() -> None:
    # A signal may come in the middle of another write, which takes no second one.
    with suppress(RuntimeError):
        say("stopping: saving the state")


def _tell(epoch: EpochReport) -> None:
    tests = "".join(
        f", {name} Rank-1 {scores['rank1']:.1%} mAP {scores['mean_ap']:.1%}"
        for name, scores in epoch.tests.items()
    )
    skipped = f", {counted(epoch.skipped_steps, 'step')} left out" if epoch.skipped_steps else ""
    say(
        f"epoch {epoch.epoch}: loss {epoch.loss:.3f}, accuracy {epoch.accuracy:.1%}, "
        f"{epoch.images_per_second:.0f} images a second{skipped}{tests}"
    )
