"""The search: the supernet, its schedule, its loop, and what it leaves behind."""

from __future__ import annotations

import itertools
import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from osnet_edge.cli.main import main
from osnet_edge.runtime.errors import CheckError
from osnet_edge.runtime.package.placement import DESIGNS, Placement
from osnet_edge.train.data import ReidSet
from osnet_edge.train.osnet import Block
from osnet_edge.train.search import SearchBlock, SearchEpoch, SearchSettings, SuperNet, search_batches
from osnet_edge.train.search_log import search_chart
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.variants import read_placement

SMALL = SearchSettings(epochs=1, batch=8, height=64, width=32)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    return write_set(
        tmp_path_factory.mktemp("set") / "people",
        train_identities=4,
        test_identities=0,
        cameras=2,
        pictures_per_camera=2,
        seed=5,
        height=64,
        width=32,
    )


@pytest.mark.parametrize("index", range(4), ids=DESIGNS)
def test_with_all_of_the_share_a_design_computes_what_its_own_block_does(index: int) -> None:
    torch.manual_seed(0)
    search, images = SearchBlock(16, 64).train(), torch.randn(4, 16, 8, 6)
    alone = Block(16, 64, DESIGNS[index], stream_list=True).train()
    known = alone.state_dict().keys()
    alone.load_state_dict({name: v for name, v in search.state_dict().items() if name in known}, strict=False)
    shares = F.one_hot(torch.tensor(index), 4).float()
    torch.testing.assert_close(search.mix(images, shares), alone(images))


def test_the_supernet_holds_every_placement_and_names_the_likeliest() -> None:
    model = SuperNet("x0_25", num_classes=3, stem=False)
    wanted = Placement(False, ("both", "plain", "inside", "outside", "plain", "both"))
    with torch.no_grad():
        for block, design in enumerate(wanted.blocks):
            model.architecture[block, DESIGNS.index(design)] += 0.1
    assert model.placement() == wanted


def test_shares_are_even_when_hot_and_one_design_s_when_cold() -> None:
    torch.manual_seed(0)
    model = SuperNet("x0_25", num_classes=3)
    model.temperature = 100.0
    hot = model.sample_shares()
    model.temperature = 0.01
    cold = torch.stack([model.sample_shares() for _ in range(200)])
    assert hot.shape == (6, 4)
    assert hot.max() < 0.3
    # Ties within a hundredth of a unit of Gumbel chance are rare.
    assert (cold.max(dim=2).values > 0.99).float().mean() > 0.95
    torch.testing.assert_close(cold.sum(dim=2), torch.ones(200, 6))


def test_designs_are_drawn_as_often_as_their_weights_say() -> None:
    torch.manual_seed(0)
    model = SuperNet("x0_25", num_classes=3)
    with torch.no_grad():
        model.architecture[:] = torch.tensor([0.5, 0.2, 0.3, -1.0])
    drawn = torch.stack([model.sample_shares() for _ in range(2000)]).argmax(dim=2)
    often = torch.bincount(drawn.flatten(), minlength=4) / drawn.numel()
    # Twelve thousand draws: a standard deviation of half a hundredth. Below zero is never drawn.
    torch.testing.assert_close(often, torch.tensor([0.5, 0.2, 0.3, 0.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(model.probabilities()[0], torch.tensor([0.5, 0.2, 0.3, 0.0]))


def test_weights_and_shares_learn_from_the_same_loss() -> None:
    torch.manual_seed(0)
    model = SuperNet("x0_25", num_classes=3).train()
    _, logits = model(torch.randn(4, 3, 64, 32))
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.architecture.grad is not None
    assert model.architecture.grad.abs().min() > 0


@pytest.mark.parametrize("affine", [False, True])
def test_norms_scale_and_shift_only_where_asked(affine: bool) -> None:
    names = [name for name, _ in SuperNet("x0_25", 3, affine=affine).named_parameters()]
    assert any(".bn." in name or ".inside." in name for name in names) == affine


@pytest.mark.parametrize("epochs", [6, 12, 30, 120])
def test_the_temperature_falls_from_ten_to_one_by_halves_whatever_the_length(epochs: int) -> None:
    settings = SearchSettings(epochs=epochs)
    falls = [settings.temperature_at(epoch) for epoch in range(1, epochs + 1)]
    assert sorted(set(falls), reverse=True) == [10, 5, 2.5, 1.25, 1]
    assert falls == sorted(falls, reverse=True)
    assert SearchSettings(halve_every=3).temperature_at(4) == 5


def test_gradients_through_drawn_shares_lead_to_the_design_that_fits_best() -> None:
    torch.manual_seed(0)
    model = SuperNet("x0_25", num_classes=3)
    wanted = Placement(True, ("outside", "both", "plain", "inside", "both", "plain"))
    blocks = [*model.conv2, *model.conv3, *model.conv4]
    # Of different contrast each, or a batch's statistics would be those of every image in it.
    contrast = torch.tensor([0.2, 0.6, 1.5, 4]).view(4, 1, 1, 1)
    images = [contrast * torch.randn(4, block.conv1.conv.in_channels, 8, 4) for block in blocks]
    alone = F.one_hot(torch.tensor([DESIGNS.index(design) for design in wanted.blocks]), 4).float()
    with torch.no_grad():
        targets = [block.mix(x, share) for block, x, share in zip(blocks, images, alone, strict=True)]
    optimizer = torch.optim.SGD([model.architecture], lr=0.5)
    for _ in range(60):
        shares = model.sample_shares()
        made = [block.mix(x, share) for block, x, share in zip(blocks, images, shares, strict=True)]
        loss = sum(F.mse_loss(*pair) for pair in zip(made, targets, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.placement() == wanted


def test_the_same_seed_finds_the_same_and_shares_stay_shares(people: ReidSet, tmp_path: Path) -> None:
    options = ["--width", "x0_25", "--size", "64x32", "--batch", "8", "--epochs", "2"]
    for name in ("one", "two"):
        output = str(tmp_path / name)
        assert main(["search", "--data", str(people.root), "-o", output, *options]) == 0
    one, two = ((tmp_path / name / "search.jsonl").read_text() for name in ("one", "two"))
    assert one == two
    epochs = [json.loads(line) for line in one.splitlines()]
    assert [(epoch["epoch"], epoch["temperature"]) for epoch in epochs] == [(1, 10.0), (2, 1.25)]
    for row in (row for epoch in epochs for row in epoch["probabilities"]):
        assert list(row) == list(DESIGNS)
        assert math.isclose(sum(row.values()), 1, abs_tol=1e-3)
    likeliest = tuple(max(row, key=row.__getitem__) for row in epochs[-1]["probabilities"])
    assert read_placement(tmp_path / "one/placement.json").blocks == likeliest
    assert ET.parse(tmp_path / "one/search.svg").getroot().tag.endswith("svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_a_loss_that_is_no_number_stops_the_search() -> None:
    batch = torch.randn(8, 3, 64, 32), torch.arange(8) % 4
    settings = SearchSettings(epochs=2, learning_rate=1e30)
    with pytest.raises(CheckError, match=r"the loss became .* lower the learning rate"):
        search_batches(lambda epoch: [batch] * 3, 4, "x0_25", settings)


def test_an_interrupted_search_leaves_nothing(
    people: ReidSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **options: object) -> Placement:
        raise KeyboardInterrupt

    monkeypatch.setattr("osnet_edge.train.search.search_batches", interrupt)
    assert main(["search", "--data", str(people.root), "-o", str(tmp_path / "x"), "--batch", "8"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_drawing_has_a_panel_a_block_and_names_that_do_not_overlap() -> None:
    rows = ((0.25, 0.25, 0.25, 0.25), (1, 0, 0, 0), *[(0.1, 0.2, 0.3, 0.4)] * 4)
    epochs = [SearchEpoch(epoch, 1.0, 1.0, 0.5, rows) for epoch in (1, 2, 3)]
    drawing = ET.fromstring(search_chart("a <search>", epochs))
    space = "{http://www.w3.org/2000/svg}"
    panels = drawing.findall(f"{space}g")
    assert len(panels) == 6
    for panel in panels:
        lines = panel.findall(f"{space}polyline")
        names = [t for t in panel.findall(f"{space}text") if t.get("class", "").startswith("name")]
        assert sorted(t.text or "" for t in names) == sorted(DESIGNS)
        heights = sorted(float(t.get("y", "nan")) for t in names)
        assert all(below - above >= 12 for above, below in itertools.pairwise(heights))
        assert len(lines) == 4
