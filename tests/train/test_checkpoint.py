"""Checkpoints as people have them: published, wrapped, renamed, halved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.checkpoint import load_osnet, read_state, save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import VARIANTS, variant_named

State = dict[str, torch.Tensor]

#: What a file may look like and still be the same network.
READABLE: list[tuple[str, Callable[[State], Any]]] = [
    ("a state dict as it is", lambda s: s),
    ("wrapped as trainers save it", lambda s: {"state_dict": s, "epoch": 3}),
    ("wrapped under another usual name", lambda s: {"model": s}),
    ("from data-parallel training", lambda s: {"module." + k: v for k, v in s.items()}),
    ("wrapped and data-parallel", lambda s: {"state_dict": {"module." + k: v for k, v in s.items()}}),
    ("without a classifier", lambda s: {k: v for k, v in s.items() if not k.startswith("classifier")}),
    ("from before batch norms counted", lambda s: {k: v for k, v in s.items() if "num_batches" not in k}),
    ("with a classifier of other shape", lambda s: {**s, "classifier.weight": torch.zeros(5, 9)}),
    ("with a classifier without bias", lambda s: {k: v for k, v in s.items() if k != "classifier.bias"}),
    ("with a classifier of layers", lambda s: {**s, "classifier.0.weight": torch.zeros(2, 512)}),
    ("wrapped twice", lambda s: {"model": {"state_dict": s}}),
    ("in half precision", lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()}),
    ("in double precision", lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()}),
]


@pytest.mark.parametrize(("sentence", "wrap"), READABLE, ids=[case[0] for case in READABLE])
def test_files_of_one_network_read_alike(
    sentence: str, wrap: Callable[[State], Any], checkpoint: Path, tmp_path: Path
) -> None:
    torch.save(wrap(read_state(checkpoint)), tmp_path / "x.pth")
    images = torch.rand(1, 3, 64, 32)
    got, expected = load_osnet(tmp_path / "x.pth")(images), load_osnet(checkpoint)(images)
    tolerance = 5e-3 if "half" in sentence else 1e-6
    assert torch.linalg.norm(got - expected) <= tolerance * torch.linalg.norm(expected)


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_is_recognised_and_saved_under_public_names(name: str, tmp_path: Path) -> None:
    model = OSNet(variant_named(name), num_classes=7)
    save_osnet(model, tmp_path / "x.pth")
    loaded = load_osnet(tmp_path / "x.pth")
    assert (loaded.variant.name, loaded.num_classes, loaded.training) == (name, 7, False)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in loaded.state_dict().items())


def test_legacy_files_of_torch_read_too(checkpoint: Path, tmp_path: Path) -> None:
    torch.save(read_state(checkpoint), tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    assert load_osnet(tmp_path / "x.pth").variant.name == "osnet_x0_25"


class _Code:
    """Unpickled the usual way, this writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (Path(self.path),)


def test_a_file_that_holds_code_is_refused_by_name_and_not_run(checkpoint: Path, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    torch.save({"state_dict": read_state(checkpoint), "hook": _Code(str(witness))}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"holds more than tensors \(.*\).*run code"):
        load_osnet(tmp_path / "x.pth")
    assert not witness.exists()
    # The attack is real: read as many trainers read checkpoints, it does run.
    torch.load(tmp_path / "x.pth", weights_only=False)
    assert witness.exists()


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
