"""Training with INT8's rounding: what is rounded, what learns, and that only the weights remain of it."""

from __future__ import annotations

import copy
import functools
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from tensorrt_graphs import cosine_distances, exported
from torch import nn
from training_runs import HERE, weights_of

from osnet_edge.cli.main import main
from osnet_edge.cli.rounding import module_of, rounding_of, without_held_out
from osnet_edge.engines.calibration import read_calibration_set
from osnet_edge.engines.graph.reading import Graph, read_graph
from osnet_edge.engines.graph.running import simulate
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import TENSORRT
from osnet_edge.engines.quantization.table import find_table
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.errors import InputError, InterruptedRunError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Preprocessing, to_batch
from osnet_edge.train.checkpoint import load_osnet, save_osnet
from osnet_edge.train.data import ReidSet
from osnet_edge.train.loader import to_input
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.quantize import Int8Rounding, NetworkRounding, Rounding, round_weights
from osnet_edge.train.recipe import read_recipe
from osnet_edge.train.trainer import train
from osnet_edge.train.variants import VARIANTS, variant_named

SIZES = ["network.height=64", "network.width=32", "batches.size=8", "batches.epochs=2"]
QUANTIZE = read_recipe("quantize", SIZES)
SMALL = Preprocessing(height=64, width=32)


@pytest.fixture(scope="module")
def calibration(few: ReidSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("calibration") / "calib.json"
    given = ["calibrate", "--data", str(few.root), "--images", "24", "--held-out", "0", "-o", str(file)]
    assert main(given) == 0
    return file


def network(name: str = "osnet_x0_25", identities: int = 0) -> OSNet:
    """Return a network whose batch norms have seen something, as those of a trained one."""
    torch.manual_seed(0)
    model = OSNet(variant_named(name), num_classes=identities)
    for _ in range(20):
        model(torch.randn(8, 3, 64, 32))
    return model.eval()


Given = Callable[[str], tuple[OSNet, NetworkRounding, Path]]


@pytest.fixture(scope="module")
def given_to(calibration: Path, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Return such a network of 8 identities, how a build would round it, and its checkpoint."""

    @functools.cache
    def made(name: str) -> tuple[OSNet, NetworkRounding, Path]:
        model, path = network(name, 8), tmp_path_factory.mktemp("given") / "float.pth"
        save_osnet(model, path)
        return model, rounding_of(str(path), str(calibration), size=(64, 32)), path

    def own(name: str) -> tuple[OSNet, NetworkRounding, Path]:
        model, how, path = made(name)
        return copy.deepcopy(model), how, path

    return own


# What is rounded


def colours(factors: tuple[float, ...], step: float) -> NetworkRounding:
    nothing = (0.0,) * 3
    return NetworkRounding({"conv1.conv": Rounding(factors, step, -128, 127, nothing, nothing)}, {})


def test_gradients_pass_straight_through_within_the_range_and_not_beyond() -> None:
    model = network()
    Int8Rounding(model, colours((1.0, 1.0, 2.0), 0.5))
    with torch.no_grad():
        # Of each colour the middle of the 7x7 alone, so that a pixel's gradient is its own; multiplied by the
        # factors, these weights are whole steps.
        model.conv1.conv.weight.zero_()
        model.conv1.conv.weight[0, :, 3, 3] = torch.tensor([2.0, 2.0, 1.0])
    x = torch.tensor([-99.0, -64.0, -0.2, 0.3, 63.5, 99.0]).view(1, 1, 1, 6).repeat(1, 3, 1, 1)
    x = x.repeat_interleave(2, dim=3).requires_grad_(True)
    made = model.conv1.conv(x)[0, 0, 0]
    # A channel divided by 2 has steps and a range twice as large.
    one, two = [-64.0, -64.0, 0.0, 0.5, 63.5, 63.5], [-99.0, -64.0, 0.0, 0.0, 64.0, 99.0]
    assert made.tolist() == pytest.approx([4 * a + b for a, b in zip(one, two, strict=True)], abs=1e-4)
    made.sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, 0, ::2].tolist() == [[0, 2, 2, 2, 2, 0]] * 2 + [[1] * 6]


def test_a_layer_that_reads_zeros_alone_stays_finite() -> None:
    model = network()
    Int8Rounding(model, colours((1.0, 1.0, 1.0), 0.0))
    assert torch.isfinite(model(torch.zeros(2, 3, 64, 32))).all()


def test_gradients_pass_through_rounded_weights() -> None:
    weights = torch.tensor([[1.27, 0.504], [0.0, 0.0]], requires_grad=True)
    rounded = round_weights(weights)
    assert rounded.tolist() == [[pytest.approx(1.27), pytest.approx(0.5)], [0, 0]]
    rounded.sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == [[1, 1], [1, 1]]
    # Multiplied by its factor, the second column is the larger, and has the finer steps of the two.
    assert round_weights(weights, torch.tensor([0.1, 10.0]))[0].tolist() == pytest.approx(
        [1.19, 0.504], abs=0.01
    )


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x0_25"])
def test_a_rounded_network_computes_what_its_qdq_graph_does(
    name: str, few: ReidSet, calibration: Path, given_to: Given, tmp_path: Path
) -> None:
    model, how, path = given_to(name)
    export_onnx(path, tmp_path / "osnet.onnx", preprocessing=SMALL)
    graph = read_graph(tmp_path / "osnet.onnx")
    table = find_table(graph, read_calibration_set(calibration), calibration)
    quantizer = Quantizer(graph, table, TENSORRT)
    batch = to_batch([read_picture(each.path) for each in few.train[::2]], SMALL)
    expected = simulate(quantizer.make(quantizer.groups), [batch])
    x, names = to_input(torch.from_numpy(batch), SMALL, torch.device("cpu")), list(model.state_dict())
    exact = model(x)
    rounding = Int8Rounding(model, how)
    rounded = model(x)
    cost = cosine_distances(exact.detach().numpy(), expected).mean()
    # Not nothing: where a value is halfway between two steps, the last digit decides, and so on behind it.
    assert cosine_distances(rounded.detach().numpy(), expected).mean() < cost / 3
    assert list(model.state_dict()) == names
    rounding.remove()
    assert torch.equal(model(x), exact)


def test_every_layer_of_a_graph_is_found_among_its_modules() -> None:
    # Blocks by letters, blocks in lists, and instance norms.
    for name in ("osnet_x0_25", "osnet_ibn_x1_0", "osnet_ain_x0_25"):
        modules = dict(OSNet(VARIANTS[name]).named_modules())
        layers = Graph(onnx.load(exported(name))).layers
        named = {module_of(each.node) for each in layers if each.kind not in ("gate", "sum")}
        assert all(isinstance(modules[each], nn.Conv2d | nn.Linear) for each in named)
        assert len(named) == sum(each.kind not in ("gate", "sum") for each in layers)


def test_people_held_out_are_not_trained_on(few: ReidSet, calibration: Path, tmp_path: Path) -> None:
    assert without_held_out(few.train, str(calibration)) == few.train
    document = json.loads(calibration.read_text())
    one = document["pictures"].pop()
    document["pictures"] = [each for each in document["pictures"] if each["identity"] != one["identity"]]
    document["held_out"] = [one]
    (calibration.parent / "held.json").write_text(json.dumps(document))
    left = without_held_out(few.train, str(calibration.parent / "held.json"))
    gone = {each.identity for each in few.train} - {each.identity for each in left}
    assert len(gone) == 1
    assert len(left) == len(few.train) * 7 // 8


# Runs


def test_a_quantised_run_resumes_bit_for_bit_and_leaves_a_plain_checkpoint(
    few: ReidSet, given_to: Given, tmp_path: Path
) -> None:
    given, how, _ = given_to("osnet_x0_25")
    # Everybody, in half of their images: two epochs of four steps.
    pictures, start = few.train[::2], {"machine": HERE, "weights": given, "rounding": how}
    whole = train(pictures, QUANTIZE, tmp_path / "whole", **start)
    seen: list[int] = []

    def interrupt(count: int, note: str) -> None:
        seen.append(count)
        if len(seen) == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRunError):
        train(pictures, QUANTIZE, tmp_path / "run", **start, progress=interrupt)
    other = OSNet(variant_named("osnet_x0_25"), num_classes=8)
    for change in ({"weights": other}, {"rounding": replace(how, written={})}):
        with pytest.raises(InputError, match="began from other weights, or another calibration set; give"):
            train(pictures, QUANTIZE, tmp_path / "run", **{**start, **change}, resume=True)
    resumed = train(pictures, QUANTIZE, tmp_path / "run", **start, resume=True)
    assert torch.equal(weights_of(resumed), weights_of(whole))

    plain = load_osnet(tmp_path / "run/osnet.pth")
    assert plain.state_dict().keys() == given.state_dict().keys()
    x = torch.randn(2, 3, 64, 32)
    assert torch.allclose(plain.eval()(x), resumed(x), atol=1e-5)
    for name, value in plain.state_dict().items():
        still = "running" in name or name.startswith("classifier")
        assert torch.equal(value, given.state_dict()[name]) == (still or "num_batches" in name), name


def test_a_rounded_network_learns_to_point_where_the_float_one_did(
    few: ReidSet, given_to: Given, tmp_path: Path
) -> None:
    losses: list[float] = []
    given, how, _ = given_to("osnet_x0_25")
    # Its ranges are fine, so that there is little to learn, and it takes long.
    recipe = read_recipe("quantize", [*SIZES, "batches.epochs=18", "optimizer.learning_rate=1e-4"])
    train(
        few.train,
        recipe,
        tmp_path / "run",
        machine=HERE,
        weights=given,
        rounding=how,
        report=lambda epoch: losses.append(epoch.loss),
    )
    assert losses[-1] < 0.7 * losses[0]


def test_the_command_line_quantises_with_any_recipe_from_weights_and_a_calibration_set(
    few: ReidSet,
    calibration: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ["--size", "64x32", "--epochs", "1", "--set", "batches.size=8", "--workers", "0"]
    plain = ["train", "adapt", "--data", str(few.root), "-o", "run", *sizes]
    typed, weights, pictures = [*plain, "--quantize"], ["--weights", str(checkpoint)], str(calibration)
    for command, says in [
        (typed, "expected --weights with --quantize, got none; give the float network to quantise"),
        ([*typed, *weights], "expected --calibration with --quantize, got none; draw a set with"),
        (
            [*plain, *weights, "--calibration", pictures],
            "expected --calibration only with --quantize, got it without",
        ),
        ([*typed, *weights, "--calibration", "no.json"], "found nothing at no.json"),
    ]:
        assert main(command) == 2
        assert says in capsys.readouterr().err.splitlines()[-1]
        assert not Path("run").exists()
    assert main([*typed, *weights, "--calibration", pictures]) == 0
    assert 'quantize = "int8"' in Path("run/recipe.toml").read_text()
    assert main(["export", "run/osnet.pth", "-o", "osnet.onnx", "--size", "64x32"]) == 0


def test_nothing_to_learn_from_is_refused(few: ReidSet, tmp_path: Path) -> None:
    recipe = read_recipe("quick", ["loss.classifier=0"])
    with pytest.raises(InputError, match="expected something to learn from"):
        train(few.train, recipe, tmp_path / "run", machine=HERE)
    assert not (tmp_path / "run").exists()
