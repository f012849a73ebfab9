"""Whether the search searches: placements it finds against random ones, trained alike, across domains.

Run it as `python scripts/search_check.py FOLDER SEED...`. Everything is drawn and trained in the
folder; what is there already is not made again, so it can be stopped at any time and started again. One seed
is one search, one network trained on what it found, and others trained on placements drawn at random.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from osnet_edge.bench import score_retrieval
from osnet_edge.cli.progress import step
from osnet_edge.runtime.files import write_folder_aside
from osnet_edge.runtime.package.placement import DESIGNS, Placement, placement_of
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Preprocessing, normalize, resize
from osnet_edge.train.data import Picture, read_market1501
from osnet_edge.train.machine import Machine
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import read_recipe
from osnet_edge.train.search import SearchEpoch, SearchSettings, search
from osnet_edge.train.search_log import PLACEMENT_NAME, write_search
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.trainer import train
from osnet_edge.train.variants import AIN, read_placement, variant_with

#: Searched and trained on: the same people on cameras of four styles. Tested on: other people in three more.
SOURCES, TARGETS = ("plain", "dusk", "fluorescent", "neon"), ("haze", "infrared", "cheap")
WIDTH, HEIGHT, COLUMNS = "x0_25", 64, 32
RESULTS = "results.jsonl"
#: Trained for every seed besides, to see what instance norm is worth on these images at all.
KNOWN = (AIN, placement_of("spppppp"))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("seeds", nargs=-1, type=int, required=True)
@click.option("--people", default=60, show_default=True, help="To train on, each in every style.")
@click.option("--random", "count", default=4, show_default=True, help="Random placements for each seed.")
@click.option("--search-epochs", default=12, show_default=True, help="Of the search.")
@click.option("--epochs", default=12, show_default=True, help="Of every network trained.")
def main(
    folder: Path, seeds: tuple[int, ...], people: int, count: int, search_epochs: int, epochs: int
) -> None:
    """Run the check, and print what each placement scored.

    \b
    Example:
      python scripts/search_check.py check 0 1 2
    """
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    pictures = _source(folder, people)
    for seed in seeds:
        placements = (_search(folder, pictures, seed, search_epochs), *_random(count, seed), *KNOWN)
        for placement in placements:
            _score(folder, pictures, placement, seed, epochs)
    for seed in seeds:
        click.echo(_summary(folder, seed, count))


def _summary(folder: Path, seed: int, count: int) -> str:
    """Say what was found and scored with a seed, and where that stands among the random placements."""
    scores = _scores(folder)
    found = read_placement(folder / f"search-{seed}" / PLACEMENT_NAME)
    named = ", ".join(f"{one.code} {scores[seed, one.code]:.2f}" for one in (found, *KNOWN))
    drawn = sorted(scores[seed, one.code] for one in _random(count, seed))
    middle = statistics.median(drawn)
    beaten = sum(score < scores[seed, found.code] for score in drawn)
    return (
        f"seed {seed}: found {named}; random from {drawn[0]:.2f} to {drawn[-1]:.2f}, median {middle:.2f}, "
        f"{beaten} of {count} beaten"
    )


def _source(folder: Path, people: int) -> tuple[Picture, ...]:
    """Draw the sets that are missing; return what is trained on, each style's cameras with own numbers."""
    for style in (*SOURCES, *TARGETS):
        if not (folder / style).exists():
            step(f"drawing people in the style {style}")
            trained = style in SOURCES
            write_set(
                folder / style,
                train_identities=people if trained else 0,
                test_identities=0 if trained else people,
                cameras=3,
                pictures_per_camera=2 if trained else 3,
                seed=1 if trained else 2,
                height=96,
                width=48,
                style=style,
            )
    sets = [read_market1501(folder / style, splits=("train",)).train for style in SOURCES]
    return tuple(
        Picture(picture.path, picture.identity, picture.camera + 100 * number)
        for number, one in enumerate(sets)
        for picture in one
    )


def _search(folder: Path, pictures: Sequence[Picture], seed: int, epochs: int) -> Placement:
    output = folder / f"search-{seed}"
    if not output.exists():
        step(f"searching with seed {seed}")
        settings = SearchSettings(
            epochs=epochs,
            batch=32,
            # The paper's 0.1 is for batches of 512.
            learning_rate=0.02,
            share_rate=0.3,
            height=HEIGHT,
            width=COLUMNS,
            seed=seed,
        )
        history: list[SearchEpoch] = []
        with write_folder_aside(output) as fresh:
            found = search(pictures, WIDTH, settings, report=history.append)
            write_search(fresh, found, history, {"network": WIDTH, **asdict(settings)})
    return read_placement(output / PLACEMENT_NAME)


def _random(count: int, seed: int) -> list[Placement]:
    """Draw placements with instance norm in the stem, as all that are searched have."""
    rng = np.random.default_rng([seed, 4096])
    letters = [design[0] for design in DESIGNS]
    return [placement_of("s" + "".join(rng.choice(letters, 6))) for _ in range(count)]


def _score(folder: Path, pictures: Sequence[Picture], placement: Placement, seed: int, epochs: int) -> None:
    """Train a network of a placement, unless that was done, and add its mAP on each target to the results."""
    if (seed, placement.code) in _scores(folder):
        return
    step(f"training {placement.code} with seed {seed}")
    changes = {
        "network.arch": variant_with(placement, WIDTH).name,
        "network.height": HEIGHT,
        "network.width": COLUMNS,
        "batches.epochs": epochs,
        "seed": seed,
    }
    recipe = read_recipe("quick", [f"{field}={value}" for field, value in changes.items()])
    with tempfile.TemporaryDirectory() as scratch:
        model = train(pictures, recipe, Path(scratch) / "run", machine=Machine(workers=0))
    targets = {style: round(100 * _mean_ap(model, folder / style), 2) for style in TARGETS}
    with (folder / RESULTS).open("a") as file:
        file.write(json.dumps({"seed": seed, "code": placement.code, "targets": targets}) + "\n")


def _scores(folder: Path) -> dict[tuple[int, str], float]:
    """Return the mean mAP over the targets, in percent, of what was trained so far, by seed and code."""
    path = folder / RESULTS
    results = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {(each["seed"], each["code"]): statistics.mean(each["targets"].values()) for each in results}


def _mean_ap(model: OSNet, root: Path) -> float:
    found = read_market1501(root, splits=("query", "gallery"))
    query, gallery = found.query, found.gallery
    return score_retrieval(
        _embed(model, query),
        _embed(model, gallery),
        [picture.identity for picture in query],
        [picture.identity for picture in gallery],
        [picture.camera for picture in query],
        [picture.camera for picture in gallery],
    ).mean_ap


def _embed(model: OSNet, pictures: Sequence[Picture]) -> NDArray[np.float32]:
    preprocessing = Preprocessing(HEIGHT, COLUMNS)
    crops = [
        resize(read_picture(item.path), HEIGHT, COLUMNS, preprocessing.interpolation) for item in pictures
    ]
    with torch.inference_mode():
        embedded: NDArray[np.float32] = model(
            torch.from_numpy(normalize(np.stack(crops), preprocessing))
        ).numpy()
    return embedded


if __name__ == "__main__":
    main()
