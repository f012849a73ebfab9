"""Pictures a second that training takes, beside a plain PyTorch loop over the same network, in turns.

Run it as `python scripts/train_throughput.py --arch osnet_x0_25`.

The plain loop is what a user would write first: a DataLoader that opens, resizes and normalises with Pillow
and NumPy, batches in the usual memory order, cross-entropy, Adam. Both flip at random, start each round with
fresh iterators, and take as many steps; the first round of each is not counted.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import normalize, resize
from osnet_edge.train.data import Picture
from osnet_edge.train.learner import Learner
from osnet_edge.train.loader import TrainingLoader
from osnet_edge.train.machine import Group, Machine
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import Recipe, read_recipe
from osnet_edge.train.sampling import epoch_order
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.variants import variant_named

Round = Callable[[int], None]


@click.command()
@click.option("--arch", default="osnet_x0_25", show_default=True, help="Variant to train.")
@click.option("--batch", default=64, show_default=True, help="Pictures a step.")
@click.option("--steps", default=6, show_default=True, help="Steps a round.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of each that count.")
@click.option(
    "--precision", "precisions", default="fp32", show_default=True, help="Of ours; several by commas."
)
@click.option("--compile", "compiled", is_flag=True, help="Measure ours with torch.compile too.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@click.option(
    "--workers", type=int, help="Decoding processes of both; default: ours as it chooses, none plain."
)
@click.option("--threads", type=int, help="Of torch; default: its own choice.")
def main(
    arch: str,
    batch: int,
    steps: int,
    rounds: int,
    precisions: str,
    compiled: bool,
    device: str,
    workers: int | None,
    threads: int | None,
) -> None:
    """Time training rounds of both, in turns, and print medians and ratios."""
    for precision in precisions.split(","):
        if precision not in ("fp32", "bf16", "fp16"):
            raise click.ClickException(f"expected --precision of fp32, bf16 or fp16, got {precision!r}")
    if threads:
        torch.set_num_threads(threads)
    changes = [f"network.arch={arch}", f"batches.size={batch}", "schedule.classifier_epochs=0"]
    recipe = read_recipe("finetune_x1_0", changes)
    with tempfile.TemporaryDirectory() as folder:
        # Each identity has 6 images in 2 cameras.
        people = -(-batch * steps // 12)
        pictures = write_set(
            Path(folder) / "set",
            train_identities=people,
            test_identities=0,
            cameras=2,
            pictures_per_camera=6,
            seed=0,
        ).train[: batch * steps]
        machine = Machine(device=cast(Any, device), workers=workers).resolved()
        ways: dict[str, Round] = {"plain": _plain(pictures, recipe, machine.torch_device(), workers or 0)}
        for precision in precisions.split(","):
            for compile_it in (False, True) if compiled else (False,):
                preprocessing = Machine(machine.device, cast(Any, precision), compile_it, machine.workers)
                ways[f"ours, {precision}{', compiled' * compile_it}"] = _ours(pictures, recipe, preprocessing)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, run in ways.items():
                begun = time.perf_counter()
                run(number)
                if number:
                    seconds[name].append(time.perf_counter() - begun)
    for name, times in seconds.items():
        ratios = sorted(plain / own for plain, own in zip(seconds["plain"], times, strict=True))
        click.echo(
            f"{arch} batch {batch}, {name}: {len(pictures) / statistics.median(times):.1f} images/s, "
            f"{statistics.median(ratios):.2f}x of plain ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def _ours(pictures: Sequence[Picture], recipe: Recipe, machine: Machine) -> Round:
    learner = Learner(pictures, recipe, machine, Group())
    learner.begin_epoch(classifier_only=False)
    loader = TrainingLoader(
        pictures, learner.preprocessing, recipe.augmentation, seed=0, workers=machine.workers or 0
    )

    def run(epoch: int) -> None:
        order = epoch_order(learner.labels.tolist(), recipe.batches, 0, epoch)
        for images, chosen in zip(loader.epoch(epoch, order), order, strict=True):
            learner.gradients(images, chosen)
            learner.step(recipe.optimizer.learning_rate)

    return run


class _PlainSet(Dataset[tuple[Tensor, int]]):
    def __init__(self, pictures: Sequence[Picture], recipe: Recipe) -> None:
        self._pictures = pictures
        known = sorted({picture.identity for picture in pictures})
        self._labels = [known.index(picture.identity) for picture in pictures]
        self._size = recipe.network.height, recipe.network.width

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from osnet_edge.runtime.preprocessing import Preprocessing

        preprocessing = Preprocessing(*self._size)
        crop = resize(read_picture(self._pictures[index].path), *self._size, preprocessing.interpolation)
        if torch.rand(1).item() < 0.5:
            crop = crop[:, ::-1]
        return torch.from_numpy(normalize(np.ascontiguousarray(crop)[None], preprocessing)[0]), self._labels[
            index
        ]


def _plain(pictures: Sequence[Picture], recipe: Recipe, device: torch.device, workers: int) -> Round:
    data = _PlainSet(pictures, recipe)
    identities = len({picture.identity for picture in pictures})
    loader = DataLoader(
        data, batch_size=recipe.batches.size, shuffle=True, drop_last=True, num_workers=workers
    )
    model = OSNet(variant_named(recipe.network.arch), num_classes=identities).to(device).train()
    preprocessing = recipe.optimizer
    optimizer = torch.optim.Adam(
        model.parameters(),
        lr=preprocessing.learning_rate,
        weight_decay=preprocessing.weight_decay,
        amsgrad=True,
    )

    def run(epoch: int) -> None:
        for images, labels in loader:
            _, logits = model(images.to(device))
            loss = F.cross_entropy(logits, labels.to(device), label_smoothing=recipe.loss.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()

    return run


if __name__ == "__main__":
    main()
