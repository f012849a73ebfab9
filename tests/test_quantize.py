"""Training with INT8's rounding: what is rounded, what learns, and that only the weights remain of it."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training_runs import HERE, few_people, weights_of

from osnet_edge.cli.main import main
from osnet_edge.runtime.errors import InputError, InterruptedRunError
from osnet_edge.train.checkpoint import load_osnet
from osnet_edge.train.data import ReidSet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.quantize import Int8Rounding, round_activations, round_weights
from osnet_edge.train.recipe_file import read_recipe
from osnet_edge.train.trainer import train
from osnet_edge.train.variants import variant_named

SIZES = ["network.height=64", "network.width=32", "batches.size=8", "batches.epochs=2"]
QUANTIZE = read_recipe("quantize", SIZES)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    return few_people(tmp_path_factory.mktemp("few") / "few")


def network(name: str = "osnet_x0_25", identities: int = 0) -> OSNet:
    """Return a network whose batch norms have seen something, as those of a trained one."""
    torch.manual_seed(0)
    model = OSNet(variant_named(name), num_classes=identities)
    for _ in range(20):
        model(torch.randn(8, 3, 64, 32))
    return model.eval()


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(1))


def test_gradients_pass_straight_through_within_the_range_and_not_beyond() -> None:
    x = torch.tensor([-99.0, -64.0, -0.2, 0.0, 0.3, 63.5, 99.0], requires_grad=True)
    rounded = round_activations(x, torch.tensor(0.5))
    assert rounded.tolist() == [-64.0, -64.0, 0.0, 0.0, 0.5, 63.5, 63.5]
    rounded.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]
    weights = torch.tensor([[1.27, 0.504], [0.0, 0.0]], requires_grad=True)
    round_weights(weights).sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("name", ["conv2.0.conv2b.1.conv2", "conv3.1.conv3.conv", "fc.0"])
def test_a_layer_computes_what_its_qdq_pairs_say(name: str, pictures: torch.Tensor) -> None:
    model = network()
    layer = dict(model.named_modules())[name]
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    seen: list[torch.Tensor] = []
    keep = layer.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    model(pictures)
    keep.remove()
    Int8Rounding(model, [pictures])
    made = layer(seen[0]).detach().double().numpy()

    weights = layer.weight.detach().double().numpy()
    steps = (
        np.abs(weights).reshape(len(weights), -1).max(axis=1).reshape([-1] + [1] * (weights.ndim - 1)) / 127
    )
    weights = np.clip(np.round(weights / steps), -127, 127) * steps
    read = seen[0].detach().double().numpy()
    # Of all ranges, by shares of a hundredth of the largest value, one gives exactly what the layer gave.
    layer_of = nn.functional.linear if isinstance(layer, nn.Linear) else nn.functional.conv2d
    options = {} if isinstance(layer, nn.Linear) else {"padding": layer.padding, "groups": layer.groups}
    bias = None if layer.bias is None else layer.bias.detach().double()
    errors = []
    for share in np.linspace(0.05, 1, 96):
        step = float(np.float32(share) * np.abs(read).max() / 127)
        quantized = np.clip(np.round(read / step), -128, 127) * step
        expected = layer_of(torch.from_numpy(quantized), torch.from_numpy(weights), bias, **options)
        errors.append(np.abs(expected.numpy() - made).max() / np.abs(made).max())
    assert sorted(errors)[0] < 1e-5 < 1e-4 < sorted(errors)[1]


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ibn_x1_0", "osnet_ain_x1_0"])
def test_rounding_comes_and_goes_without_a_trace_and_is_small(name: str, pictures: torch.Tensor) -> None:
    model = network(name, identities=3)
    exact, names = model(pictures), list(model.state_dict())
    norms = [module.forward for module in model.modules() if isinstance(module, nn.InstanceNorm2d)]
    rounding = Int8Rounding(model, [pictures[:2], pictures[2:]])
    rounded = model(pictures)
    error = (rounded - exact).norm() / (exact - exact.mean(0)).norm()
    assert 1e-4 < error < 0.5
    assert list(model.state_dict()) == names
    assert norms == [module.forward for module in model.modules() if isinstance(module, nn.InstanceNorm2d)]
    rounding.remove()
    assert torch.equal(model(pictures), exact)


def test_a_layer_that_reads_zeros_alone_stays_finite(pictures: torch.Tensor) -> None:
    model = network()
    Int8Rounding(model, [torch.zeros_like(pictures)])
    assert torch.isfinite(model(pictures)).all()


def test_a_quantised_run_resumes_bit_for_bit_and_leaves_a_plain_checkpoint(
    few: ReidSet, tmp_path: Path
) -> None:
    given = network(identities=8)
    whole = train(few.train, QUANTIZE, tmp_path / "whole", machine=HERE, weights=given)
    seen: list[int] = []

    def interrupt(count: int, note: str) -> None:
        seen.append(count)
        if len(seen) == 11:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRunError):
        train(few.train, QUANTIZE, tmp_path / "run", machine=HERE, weights=given, progress=interrupt)
    other = OSNet(variant_named("osnet_x0_25"), num_classes=8)
    with pytest.raises(InputError, match="began from other weights; give the same --weights"):
        train(few.train, QUANTIZE, tmp_path / "run", machine=HERE, weights=other, resume=True)
    resumed = train(few.train, QUANTIZE, tmp_path / "run", machine=HERE, weights=given, resume=True)
    assert torch.equal(weights_of(resumed), weights_of(whole))

    plain = load_osnet(tmp_path / "run/osnet.pth")
    assert plain.state_dict().keys() == given.state_dict().keys()
    x = torch.randn(2, 3, 64, 32)
    assert torch.allclose(plain.eval()(x), resumed(x), atol=1e-5)
    for name, value in plain.state_dict().items():
        still = "running" in name or name.startswith("classifier")
        assert torch.equal(value, given.state_dict()[name]) == (still or "num_batches" in name), name


def test_a_rounded_network_learns_to_point_where_the_float_one_did(few: ReidSet, tmp_path: Path) -> None:
    losses: list[float] = []
    recipe = read_recipe("quantize", [*SIZES, "batches.epochs=5", "optimizer.learning_rate=1e-4"])
    train(
        few.train,
        recipe,
        tmp_path / "run",
        machine=HERE,
        weights=network(identities=8),
        report=lambda epoch: losses.append(epoch.loss),
    )
    assert losses[-1] < 0.7 * losses[0]


def test_the_command_line_quantises_with_any_recipe_from_given_weights_only(
    few: ReidSet,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ["--size", "64x32", "--epochs", "1", "--set", "batches.size=8", "--workers", "0"]
    typed = ["train", "adapt", "--quantize", "--data", str(few.root), "-o", "run", *sizes]
    assert main(typed) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: expected --weights with --quantize, got none; give the float network to quantise"
    assert not Path("run").exists()
    assert main([*typed, "--weights", str(checkpoint)]) == 0
    assert 'quantize = "int8"' in Path("run/recipe.toml").read_text()
    assert main(["export", "run/osnet.pth", "-o", "osnet.onnx", "--size", "64x32"]) == 0


def test_nothing_to_learn_from_is_refused(few: ReidSet, tmp_path: Path) -> None:
    recipe = read_recipe("quick", ["loss.classifier=0"])
    with pytest.raises(InputError, match="expected something to learn from"):
        train(few.train, recipe, tmp_path / "run", machine=HERE)
    assert not (tmp_path / "run").exists()
