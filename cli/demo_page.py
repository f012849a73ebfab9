"""The report of `osnet-edge demo`: the bench's page, with the synthetic people and their rankings."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from osnet_edge.bench import (
    BenchResult,
    PictureSection,
    embed_set,
    html_report,
)
from osnet_edge.bench.report.pictures import inline, rankings, spread
from osnet_edge.bench.result.result import read_result
from osnet_edge.cli.demo_tracks import tracked_section
from osnet_edge.engines.build import build_package
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.runtime.embedder import Embedder, Embeddings
from osnet_edge.runtime.files import write_aside
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.checkpoint import load_osnet, save_osnet
from osnet_edge.train.data import Picture, ReidSet, read_market1501
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import sample_crops

_SHOWN_PEOPLE, _SHOWN_QUERIES = 8, 4


def write_page(folder: Path, others: list[str], seed: int, shortened: int | None) -> str:
    """Write `report.html` into the demo's folder.

    Args:
        folder: the demo's folder, with `people`, `run/osnet.pth`, `osnet-cpu` and `result.json`, and `site`
            where people were tracked.
        others: packages that were built but cannot run here.
        seed: seed of the random weights that training started from.
        shortened: epochs of a training that was too short to find most people; None where it was not.

    Returns:
        The gain from training in words.
    """
    people = read_market1501(folder / "people")
    result = read_result(folder / "result.json")
    sentence = _gain(folder, people, result, seed)
    if shortened is not None:
        sentence += (
            f" After {counted(shortened, 'epoch')} a network finds few people, which says nothing about the "
            "engines: give --epochs 9 for one that finds most."
        )
    faces = tuple(inline(item) for item in spread(people.query, _SHOWN_PEOPLE))
    embedder = Embedder.load(folder / "osnet-cpu")

    def embed(items: Sequence[Picture]) -> Embeddings:
        return embedder([read_picture(item.path) for item in items])

    sections = [
        PictureSection("Synthetic people", f"No real person is shown. {sentence}", faces),
        PictureSection(
            "What it found",
            "The nearest gallery images of four queries. Those of the same person by the same camera are "
            "left out, as in the scores.",
            rankings=rankings(embed, spread(people.query, _SHOWN_QUERIES), people.gallery),
        ),
        tracked_section(folder / "site", embedder),
    ]
    if others:
        built = ", ".join(Path(package).name for package in others)
        sections.append(PictureSection("Also built", f"{built}; they need a GPU to run."))
    with write_aside(folder / "report.html") as partial:
        page = html_report([result], title="osnet-edge demo", sections=sections)
        partial.write_text(page, encoding="utf-8")
    return sentence


def _gain(folder: Path, people: ReidSet, result: BenchResult, seed: int) -> str:
    """Score the untrained network in the same way, and return the gain from training."""
    torch.manual_seed(seed)
    fitted = load_osnet(folder / "run" / "osnet.pth")
    preprocessing = Embedder.load(folder / "osnet-cpu").manifest.preprocessing
    with tempfile.TemporaryDirectory() as scratch:
        save_osnet(OSNet(fitted.variant), f"{scratch}/osnet.pth")
        export_onnx(f"{scratch}/osnet.pth", f"{scratch}/osnet.onnx", preprocessing=preprocessing)
        package = f"{scratch}/package"
        build_package(f"{scratch}/osnet.onnx", package, target="cpu", golden_crops=sample_crops(2))
        before = embed_set(partial(embed_files, Embedder.load(package)), [people]).scores()
    measured = next(engine.accuracy for engine in result.engines if engine.accuracy)
    after = measured.scores
    return (
        f"The fit took mAP from {before.mean_ap:.1%} to {after.mean_ap:.1%} and Rank-1 from "
        f"{before.rank1:.1%} to {after.rank1:.1%} on people it had not seen."
    )
