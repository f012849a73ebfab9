"""`osnet-edge eval` on real files: figures, sources by targets, and the page to look at."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shlex
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from osnet_edge.bench import RetrievalScores, embed_set, score_retrieval
from osnet_edge.bench.metrics.evaluate import score_splits
from osnet_edge.bench.report.cross_domain import DomainScores, cross_tables, score_table
from osnet_edge.bench.report.page import cross_domain_page
from osnet_edge.bench.report.render import aligned
from osnet_edge.cli.main import main
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.attention import attention_maps, overlay
from osnet_edge.train.checkpoint import load_osnet
from osnet_edge.train.data import read_market1501
from osnet_edge.train.embed import TorchEmbedder
from osnet_edge.train.synthetic import sample_crops, write_set

THREADS = ["--threads", "1"]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drawn people on two cameras: 12 queries and a gallery of 12."""
    root = tmp_path_factory.mktemp("sets") / "street"
    write_set(root, train_identities=0, test_identities=6, cameras=2, pictures_per_camera=2, seed=0)
    return root


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert main(["eval", *arguments, *THREADS, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    results: list[dict[str, object]] = document["results"]
    return results


def test_the_figures_are_those_of_the_embeddings(
    checkpoint: Path, street: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run_json(
        capsys, str(checkpoint), "--data", str(street), "--size", "64x32", "--distance", "both", "--rerank"
    )
    assert [(each["distance"], each["reranked"]) for each in results] == [
        ("cosine", False),
        ("cosine", True),
        ("euclidean", False),
        ("euclidean", True),
    ]
    found = read_market1501(street)
    embedder = TorchEmbedder(load_osnet(checkpoint), Preprocessing(64, 32))
    sides = [embed_files(embedder, [item.path for item in side]) for side in (found.query, found.gallery)]
    labels = [
        [getattr(item, name) for item in side]
        for name in ("identity", "camera")
        for side in (found.query, found.gallery)
    ]
    expected = score_retrieval(*sides, *labels, distance="euclidean")
    assert RetrievalScores(**results[2]["scores"]) == expected  # type: ignore[arg-type]
    assert (results[0]["source"], results[0]["target"], results[0]["variant"]) == (
        "osnet",
        "street",
        "osnet_x0_25",
    )


def test_several_checkpoints_and_sets_make_a_table_of_sources_by_targets(
    checkpoint: Path, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, square = shutil.copy(checkpoint, tmp_path / "other.pth"), tmp_path / "square"
    shutil.copytree(street, square)
    given = ["eval", str(checkpoint), str(other), "--data", f"{street},{square}", "--size", "64x32", *THREADS]
    assert main([*given, "--markdown"]) == 0
    scores, crossed = capsys.readouterr().out.split("\nRank-1 / mAP in percent, cosine\n\n")
    assert [line.split(" | ")[:2] for line in scores.splitlines()[2:]] == [
        ["| osnet", "street"],
        ["| osnet", "square"],
        ["| other", "street"],
        ["| other", "square"],
    ]
    assert crossed.splitlines()[0] == "| source | street | square |"
    assert [line.split(" | ")[0] for line in crossed.splitlines()[2:]] == ["| osnet", "| other"]


def test_the_page_shows_rankings_and_attention_and_what_to_type(
    checkpoint: Path, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    given = [str(checkpoint), "--data", str(street), "--size", "64x32", "--queries", "3"]
    assert main(["eval", *given, *THREADS, "--pictures", str(page)]) == 0
    text = page.read_text()
    # Three queries with their maps, and each again with five that were found.
    assert text.count("<img") == 3 + 3 * 6
    assert "http" not in text
    for word in ("osnet on street", "right", "wrong", "Rank-20", "mINP", "<span>--size</span>"):
        assert word in text


def test_the_command_on_the_page_makes_the_same_page(checkpoint: Path, street: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ["--size", "64x32", "--distance", "both", "--rerank", "--batch", "3", "--queries", "2"]
    page.write_text("somebody's")
    given = [*options, "--pictures", str(page), "--force"]
    # Without --threads: how many there were is on the page, since they are not the same tomorrow.
    assert main(["eval", str(checkpoint), "--data", str(street), *given]) == 0
    first = page.read_text()
    shown = re.search(r"Repeat it</h2>(.*?)</pre>", first, re.DOTALL)
    assert shown
    _, *words = shlex.split(html.unescape(re.sub("<.*?>", "", shown[1])))
    assert {*options, "--threads"} <= {*words}
    assert "--force" not in words
    page.unlink()
    assert main(words) == 0
    assert page.read_text() == first


def test_splits_share_their_pictures_and_their_scores_are_averaged(checkpoint: Path, street: Path) -> None:
    one = read_market1501(street)
    other = dataclasses.replace(one, query=one.gallery[:5], gallery=one.query)
    embedder = TorchEmbedder(load_osnet(checkpoint), Preprocessing(64, 32))
    done: list[int] = []
    embed = partial(embed_files, embedder, batch=8, read=embedder.read, progress=done.append)
    embedded = embed_set(embed, (one, other))
    assert sum(done) == len(embedded.rows.rows) == len(one.query) + len(one.gallery)
    scores = [score_splits(embedded.rows, [split]) for split in (one, other)]
    both = embedded.scores()
    assert both.mean_ap == pytest.approx((scores[0].mean_ap + scores[1].mean_ap) / 2)
    assert both.queries == len(one.query) + 5


def test_real_weights_reach_their_figures_on_viper(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = shared / "weights" / "osnet_x0_25_msmt17.pth"
    (result,) = run_json(capsys, str(weights), "--data", str(shared / "data/viper"))
    scores = result["scores"]
    assert 100 * scores["rank1"] == pytest.approx(36.08, abs=0.005)  # type: ignore[index]
    assert 100 * scores["mean_ap"] == pytest.approx(45.79, abs=0.005)  # type: ignore[index]


def test_torch_embeds_as_the_package_does(checkpoint: Path, package: Path) -> None:
    crops = sample_crops(3, 200, 90)
    rows = TorchEmbedder(load_osnet(checkpoint), Preprocessing())(crops)
    expected = Embedder.load(package, threads=1)(crops, l2_normalize=False)
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("batch", [1, 4, 5, 100])
def test_files_are_embedded_in_their_order(street: Path, batch: int) -> None:
    paths = [item.path for item in read_market1501(street).gallery]

    def mean_colour(crops: list[np.ndarray]) -> np.ndarray:
        return np.stack([crop.mean(axis=(0, 1)) for crop in crops])

    done: list[int] = []
    rows = embed_files(mean_colour, paths, batch=batch, progress=done.append)
    np.testing.assert_array_equal(rows, np.concatenate([embed_files(mean_colour, [path]) for path in paths]))
    assert sum(done) == len(paths)


def test_attention_is_where_the_features_are(checkpoint: Path) -> None:
    model = load_osnet(checkpoint)
    seen = TorchEmbedder(model, Preprocessing(64, 32)).batch(sample_crops(2))
    kept: list[torch.Tensor] = []
    model.conv5.register_forward_hook(lambda module, inputs, features: kept.append(features))
    maps = attention_maps(model, seen)
    assert maps.shape == (2, 4, 2)
    strength = kept[0].square().sum(dim=1).numpy()
    for drawn, strong in zip(maps, strength, strict=True):
        assert (drawn.min(), drawn.max()) == (0, 1)
        assert np.array_equal(np.argsort(drawn, axis=None), np.argsort(strong, axis=None))


def test_a_map_without_a_place_to_look_at_is_dark() -> None:
    class Even(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv5 = torch.nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv5(x)

    assert (attention_maps(Even(), torch.ones(1, 3, 4, 2)) == 0).all()  # type: ignore[arg-type]


def test_an_overlay_is_light_where_the_map_is_strong() -> None:
    crop = np.full((40, 20, 3), 100, np.uint8)
    laid = overlay(crop, np.array([[1, 1], [0, 0]], np.float32))
    assert laid.shape == crop.shape
    assert laid[0].mean() > 150 > 100 > laid[-1].mean()


def result(source: str, target: str, rank1: float) -> DomainScores:
    scores = RetrievalScores(rank1, 0.6, 0.7, 0.4, 100, 3, 200, rank20=0.8, mean_inp=0.1)
    return DomainScores(
        source, "osnet_x0_25", target, "single-gallery-shot", 10, (256, 128), "cosine", False, scores
    )


def test_a_pair_that_was_not_scored_is_a_gap() -> None:
    table = cross_tables([result("a", "x", 0.5), result("b", "y", 0.25)])["cosine"].as_text()
    assert table.rows == [["a", "50.00 / 40.00", "-"], ["b", "-", "25.00 / 40.00"]]


def test_names_cannot_steer_a_terminal_or_a_page() -> None:
    hostile = "<script>\x1b[31m"
    results = [result(hostile, hostile, 0.5), result("b", hostile, 0.5)]
    for table in (score_table(results), cross_tables(results)["cosine"]):
        assert "\x1b" not in aligned(table.as_text())
    assert "<script>" not in cross_domain_page(results, command=hostile)


def test_the_page_says_by_which_protocol() -> None:
    page = cross_domain_page([result("a", "x", 0.5)], command="osnet-edge eval")
    assert "single-gallery-shot protocol, mean of 10 splits" in page
    assert "100 queries (3 without a match, left out) against 200 gallery images" in page
    with pytest.raises(InputError, match="at least one result"):
        cross_domain_page([], command="")
