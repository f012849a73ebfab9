"""The network rewritten: the same embeddings from other operations."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from osnet_edge.export.folding import fold_batch_norms
from osnet_edge.export.rewrite import PASSES, parse_rewrite, rewrite
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.placement import Placement
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import sample_crops
from osnet_edge.train.variants import VARIANTS, Variant, variant_named

NAMES = tuple(item.name for item in PASSES)
#: Every set of passes that `--rewrite` takes.
SETS = [
    tuple(name for name, taken in zip(NAMES, choice, strict=True) if taken)
    for choice in product((False, True), repeat=len(NAMES))
    if all(
        item.needs in ("", *(n for n, t in zip(NAMES, choice, strict=True) if t)) or not taken
        for item, taken in zip(PASSES, choice, strict=True)
    )
]


def network(variant: Variant) -> OSNet:
    """A folded network whose norms do something."""
    torch.manual_seed(0)
    model = OSNet(variant).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d | nn.InstanceNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return fold_batch_norms(model)


def relative_error(expected: torch.Tensor, got: torch.Tensor) -> float:
    return float(((got - expected).norm(dim=1) / expected.norm(dim=1)).max())


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
@pytest.mark.parametrize("name", VARIANTS)
def test_all_passes_are_exact_on_every_variant(name: str, pictures: torch.Tensor) -> None:
    folded = network(variant_named(name))
    assert relative_error(folded(pictures), rewrite(folded, NAMES)(pictures)) < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("passes", SETS, ids=lambda passes: ",".join(passes) or "none")
def test_any_set_of_passes_is_exact(passes: tuple[str, ...], pictures: torch.Tensor) -> None:
    folded = network(variant_named("osnet_x0_25"))
    before = folded(pictures)
    assert relative_error(before, rewrite(folded, passes)(pictures)) < 1e-5
    # The network that was given is left as it was.
    assert torch.equal(folded(pictures), before)


@torch.inference_mode()
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    designs=st.lists(st.sampled_from(["plain", "inside", "outside", "both"]), min_size=6, max_size=6),
    stem=st.booleans(),
    passes=st.sampled_from(SETS),
)
def test_any_placement_of_instance_norms_stays_exact(
    pictures: torch.Tensor, designs: list[str], stem: bool, passes: tuple[str, ...]
) -> None:
    placement = Placement(stem, tuple(designs))  # type: ignore[arg-type]
    folded = network(Variant("x0_25", placement, stream_list=True))
    assert relative_error(folded(pictures), rewrite(folded, passes)(pictures)) < 1e-5


@pytest.mark.parametrize(
    ("passes", "fewer", "left"),
    [
        ("streams", "Conv", 187 - 6 * (20 - 8)),
        ("dense", "Conv", 187 - 6 * 10),
        ("gate", "Sigmoid", 6),
        ("gate,unroll", "Sigmoid", 6),
        # Three sums a block, and the residual sum stays.
        ("sum", "Add", 24 - 6 * 3),
        ("sum,projection", "Add", 24 - 6 * 3 - 3),
        # Nothing is cut off, which grouping alone does in 3 places a block.
        ("streams,carry,gate,sum", "Slice", 0),
    ],
)
def test_each_pass_removes_what_it_is_for(
    checkpoint: Path, tmp_path: Path, passes: str, fewer: str, left: int
) -> None:
    small = Preprocessing(height=64, width=32)
    result = export_onnx(
        checkpoint, tmp_path / "osnet.onnx", preprocessing=small, passes=parse_rewrite(passes)
    )
    assert result.info.model.rewrite == parse_rewrite(passes)
    operations = [node.op_type for node in onnx.load(result.path).graph.node]
    assert operations.count(fewer) == left


def test_the_exported_graph_computes_what_torch_does_and_holds_nothing_twice(
    checkpoint: Path, graph: Path, tmp_path: Path
) -> None:
    path = tmp_path / "osnet.onnx"
    result = export_onnx(checkpoint, path, passes=parse_rewrite("auto"))
    assert result.relative_error < 1e-5
    crops = sample_crops(3)
    rows = [
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"images": crops})[0]
        for file in (graph, path)
    ]
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-4, atol=1e-5 * np.abs(rows[0]).max())
    weights = [
        (tuple(w.dims), w.raw_data) for w in onnx.load(path).graph.initializer if len(w.raw_data) > 256
    ]
    assert len(set(weights)) == len(weights)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fuse", "expected none, auto or some of streams, carry.*got 'fuse'"),
        ("", "expected none, auto or some of"),
        ("carry,dense", "carry needs the pass streams before it; add streams"),
        ("unroll", "add gate"),
        ("projection", "add sum"),
    ],
)
def test_a_rewrite_that_cannot_be_is_refused_with_what_to_do(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_rewrite(text)
