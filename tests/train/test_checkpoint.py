"""Checkpoints as people have them: published, wrapped, renamed, halved."""

from __future__ import annotations

import argparse
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.checkpoint import load_osnet, read_state, save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import PLAIN, VARIANTS, variant_named, variant_with

State = dict[str, torch.Tensor]


@dataclass
class Settings:
    """What a trainer keeps beside its weights, of a class that the reader does not have."""

    rank1: float = 0.5


class Wrapped(nn.Module):
    """A network as people put it into one of their own."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.backbone = OSNet(variant_named("osnet_x0_25"), num_classes=5)
        self.backbone.load_state_dict(state)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.backbone(x)


def prefixed(prefix: str) -> Callable[[State], Any]:
    return lambda state: {prefix + name: value for name, value in state.items()}


def beside(**others: Any) -> Callable[[State], Any]:
    return lambda state: {"state_dict": state, **others}


#: What a file may hold and still be the same network.
READABLE: list[tuple[str, Callable[[State], Any]]] = [
    ("a state dict as it is", lambda s: s),
    ("a plain dictionary", lambda s: dict(s)),
    ("wrapped as trainers save it", lambda s: {"state_dict": s, "epoch": 3}),
    *[
        (f"wrapped as {name}", lambda s, name=name: {name: s})
        for name in (
            "model",
            "network",
            "weights",
            "params",
            "model_ema",
            "module",
            "teacher",
            "ema",
            "anything at all",
        )
    ],
    ("wrapped twice", lambda s: {"model": {"state_dict": s}}),
    ("wrapped in a list", lambda s: [s, {"lr": 0.1}]),
    ("from data-parallel training", prefixed("module.")),
    ("data-parallel twice", prefixed("module.module.")),
    ("compiled", prefixed("_orig_mod.")),
    *[
        (f"under the prefix {name}", prefixed(f"{name}."))
        for name in ("model", "backbone", "net", "encoder", "module._orig_mod.model", "reid_head_17")
    ],
    ("wrapped and data-parallel", lambda s: {"state_dict": prefixed("module.")(s)}),
    (
        "beside a criterion's own weights",
        lambda s: {**prefixed("model.")(s), "criterion.centers": torch.ones(3)},
    ),
    ("averaged (SWA)", lambda s: {"n_averaged": torch.tensor(3), **prefixed("module.")(s)}),
    ("without a classifier", lambda s: {k: v for k, v in s.items() if not k.startswith("classifier")}),
    ("from before batch norms counted", lambda s: {k: v for k, v in s.items() if "num_batches" not in k}),
    ("with a classifier of other shape", lambda s: {**s, "classifier.weight": torch.zeros(5, 9)}),
    ("with a classifier without bias", lambda s: {k: v for k, v in s.items() if k != "classifier.bias"}),
    ("with a classifier of layers", lambda s: {**s, "classifier.0.weight": torch.zeros(2, 512)}),
    ("in half precision", lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()}),
    ("in bfloat16", lambda s: {k: v.bfloat16() if v.is_floating_point() else v for k, v in s.items()}),
    ("in double precision", lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()}),
    ("as parameters", lambda s: {k: nn.Parameter(v, False) for k, v in s.items()}),
    ("beside a number of NumPy's", beside(epoch=60, rank1=np.float32(0.5))),
    ("beside an array of NumPy's", beside(cmc=np.arange(20) / 20)),
    ("beside an argparse.Namespace", beside(args=argparse.Namespace(lr=0.1, gpus=[0]))),
    ("beside a path", beside(root=Path("logs"))),
    ("beside a defaultdict", beside(meters=defaultdict(list, loss=[1.0]))),
    ("beside a set and a deque", beside(ids={3, 4}, last=deque([1, 2]))),
    ("beside an object of a class that is not here", beside(settings=Settings())),
    (
        "beside its optimiser",
        lambda s: beside(optimizer=torch.optim.Adam([torch.ones(3, requires_grad=True)]).state_dict())(s),
    ),
    ("beside its optimiser, in one dictionary", lambda s: {**s, "optimizer": {"state": {0: torch.ones(3)}}}),
    ("a whole network, pickled", lambda s: Wrapped(s)),
    ("a whole network beside its epoch", lambda s: {"model": Wrapped(s).half(), "epoch": 3}),
]


@pytest.mark.parametrize(("sentence", "wrap"), READABLE, ids=[case[0] for case in READABLE])
def test_files_of_one_network_read_alike(
    sentence: str, wrap: Callable[[State], Any], checkpoint: Path, tmp_path: Path
) -> None:
    torch.save(wrap(read_state(checkpoint)), tmp_path / "x.pth")
    require_same(
        tmp_path / "x.pth",
        checkpoint,
        1e-2 if {"half", "bfloat16", "epoch"} & set(sentence.split()) else 1e-6,
    )


def require_same(path: Path, checkpoint: Path, tolerance: float = 1e-6) -> None:
    images = torch.rand(1, 3, 64, 32)
    got, expected = load_osnet(path)(images), load_osnet(checkpoint)(images)
    assert torch.linalg.norm(got - expected) <= tolerance * torch.linalg.norm(expected)


# In protocol 0 torch.save writes what torch.load cannot read either.
@pytest.mark.parametrize("protocol", range(1, 6))
@pytest.mark.parametrize("zipped", [True, False], ids=["zip archive", "pickles in a row"])
def test_every_protocol_and_layout_of_torch_save_reads(
    protocol: int, zipped: bool, checkpoint: Path, tmp_path: Path
) -> None:
    content = {
        "state_dict": read_state(checkpoint),
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(1),
    }
    torch.save(content, tmp_path / "x.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    require_same(tmp_path / "x.pth", checkpoint)


def write_script(model: nn.Module, path: Path) -> None:
    torch.jit.save(torch.jit.trace(model, torch.zeros(1, 3, 64, 32)), path)


def write_exported(model: nn.Module, path: Path) -> None:
    torch.export.save(torch.export.export(model, (torch.zeros(1, 3, 64, 32),)), path)


def write_safetensors(model: nn.Module, path: Path) -> None:
    save_file(model.state_dict(), path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "write"),
    [("x.pt", write_script), ("x.pt2", write_exported), ("x.safetensors", write_safetensors)],
)
def test_other_files_of_weights_read_without_running_them(
    name: str, write: Callable[[nn.Module, Path], None], checkpoint: Path, tmp_path: Path
) -> None:
    write(Wrapped(read_state(checkpoint)).eval(), tmp_path / name)
    require_same(tmp_path / name, checkpoint)


def test_of_several_networks_the_trained_one_is_taken_and_the_others_are_named(
    checkpoint: Path, tmp_path: Path
) -> None:
    state = read_state(checkpoint)
    other = {name: value * 2 for name, value in state.items()}
    torch.save({"ema": {"module": other}, "state_dict": prefixed("module.")(state)}, tmp_path / "x.pth")
    said: list[str] = []
    taken = load_osnet(tmp_path / "x.pth", progress=said.append)
    assert torch.equal(taken.state_dict()["fc.0.bias"], state["fc.0.bias"])
    assert said == [
        f"{tmp_path}/x.pth holds several networks: took state_dict.module; --weights-key takes ema.module"
    ]
    for key in ("ema", "ema.module"):
        averaged = load_osnet(tmp_path / "x.pth", weights_key=key)
        assert torch.equal(averaged.state_dict()["fc.0.bias"], 2 * state["fc.0.bias"])
    with pytest.raises(
        InputError, match=r"expected --weights-key to name one of state_dict.module, ema.module"
    ):
        load_osnet(tmp_path / "x.pth", weights_key="module")


@pytest.mark.parametrize(
    ("linear", "name"), [(128, "osnet_x0_25_128d"), (1024, "osnet_x0_25_1024d"), (None, "osnet_x0_25_pooled")]
)
def test_other_sizes_of_embeddings_are_recognised(linear: int | None, name: str, tmp_path: Path) -> None:
    model = OSNet(variant_with(PLAIN, "x0_25", linear), num_classes=3).eval()
    save_osnet(model, tmp_path / "x.pth")
    loaded = load_osnet(tmp_path / "x.pth")
    images = torch.rand(2, 3, 64, 32)
    assert (loaded.variant.name, variant_named(name), loaded.num_classes) == (name, loaded.variant, 3)
    assert torch.equal(loaded(images), model(images))
    assert loaded(images).shape == (2, linear or 128)


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_is_recognised_and_saved_under_public_names(name: str, tmp_path: Path) -> None:
    model = OSNet(variant_named(name), num_classes=7)
    save_osnet(model, tmp_path / "x.pth")
    loaded = load_osnet(tmp_path / "x.pth")
    assert (loaded.variant.name, loaded.num_classes, loaded.training) == (name, 7, False)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in loaded.state_dict().items())


def test_a_file_that_fits_no_variant_names_the_nearest_and_what_differs(
    checkpoint: Path, tmp_path: Path
) -> None:
    state = read_state(checkpoint)
    state["conv1.conv.weight"] = state["conv1.conv.weight"][:, :1]
    del state["fc.0.bias"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError) as caught:
        load_osnet(tmp_path / "x.pth")
    message = str(caught.value)
    assert "nearest is osnet_x0_25" in message
    assert "conv1.conv.weight is (16, 1, 7, 7), expected (16, 3, 7, 7)" in message
    assert "fc.0.bias is missing" in message


@pytest.mark.parametrize(
    ("file", "variant", "classes"),
    [
        ("osnet_x0_25_msmt17.pth", "osnet_x0_25", 0),
        ("osnet_x0_25_market1501.pth", "osnet_x0_25", 751),
        ("osnet_x0_5.pth", "osnet_x0_5", 0),
        ("osnet_x1_0_msmt17_8bit.pth", "osnet_x1_0", 0),
    ],
)
def test_published_weights_load(file: str, variant: str, classes: int, shared: Path) -> None:
    model = load_osnet(shared / "weights" / file)
    assert (model.variant.name, model.num_classes) == (variant, classes)
    assert np.isfinite(model(torch.rand(1, 3, 64, 32)).detach().numpy()).all()


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_refused_or_read_and_never_crashes(data: st.DataObject, tmp_path: Path) -> None:
    legacy = data.draw(st.booleans())
    path = tmp_path / "x.pth"
    torch.save({"a.weight": torch.ones(3)}, path, _use_new_zipfile_serialization=not legacy)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        state = read_state(path)
    except InputError as error:
        message = str(error)
    else:
        message = " ".join(state)
    assert message
    assert "\n" not in message
