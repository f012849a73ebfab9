"""Placements of instance norm: each of 2 x 4^6 has a name, and travels from a file to an engine package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osnet_edge.cli.main import main
from osnet_edge.engines.graph.reading import read_graph
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime import read_manifest
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.placement import DESIGNS, Placement, placement_of
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.checkpoint import load_osnet, save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import (
    AIN,
    IBN,
    PLAIN,
    PUBLISHED,
    VARIANTS,
    WIDTHS,
    Variant,
    read_placement,
    variant_named,
    variant_with,
    write_placement,
)
from osnet_edge.train.weights.recognise import recognise

PLACEMENTS = st.builds(Placement, st.booleans(), st.tuples(*[st.sampled_from(DESIGNS)] * 6))


@given(PLACEMENTS, st.sampled_from(list(WIDTHS)))
def test_every_placement_at_every_width_has_a_name_that_leads_back_to_it(
    placement: Placement, width: str
) -> None:
    variant = variant_with(placement, width)
    assert variant_named(variant.name) == variant
    assert placement_of(placement.code) == placement


def test_public_names_stay_and_codes_lead_to_them() -> None:
    assert list(VARIANTS) == [
        *("osnet_x1_0", "osnet_x0_75", "osnet_x0_5", "osnet_x0_25", "osnet_ibn_x1_0"),
        *("osnet_ain_x1_0", "osnet_ain_x0_75", "osnet_ain_x0_5", "osnet_ain_x0_25"),
    ]
    assert variant_named("osnet_npppppp_x0_5") is not None
    assert variant_named("osnet_npppppp_x0_5").name == "osnet_x0_5"
    assert variant_named("osnet_siipiip_x0_5").name == "osnet_ain_x0_5"
    # What is not public, but a public placement at another width, keeps the readable name.
    assert variant_named("osnet_soopppp_x0_5").name == "osnet_ibn_x0_5"


@pytest.mark.parametrize("name", ["osnet_siipii_x0_25", "osnet_xiipiip_x0_25", "osnet_ain", "osnet_foo_x1_0"])
def test_names_that_nearly_fit_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="osnet_CODE_WIDTH"):
        variant_named(name)


@given(placement=PLACEMENTS, width=st.sampled_from(list(WIDTHS)), stream_list=st.booleans())
@settings(max_examples=10)
def test_any_placement_is_recognised_by_its_weights_alone(
    placement: Placement, width: str, stream_list: bool
) -> None:
    variant = Variant(width, placement, stream_list)
    with torch.device("meta"):
        state = OSNet(variant).state_dict()
    assert recognise(state, "x.pth") == variant


@given(placement=PLACEMENTS)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_saved_network_of_any_placement_loads_and_computes_the_same(
    placement: Placement, tmp_path: Path
) -> None:
    model = OSNet(variant_with(placement, "x0_25"), num_classes=3).eval()
    save_osnet(model, tmp_path / "x.pth")
    loaded = load_osnet(tmp_path / "x.pth")
    images = torch.rand(1, 3, 64, 32)
    assert loaded.variant == model.variant
    assert torch.equal(loaded(images), model(images))


@pytest.mark.parametrize(("name", "placement"), [("plain", PLAIN), ("ibn", IBN), ("ain", AIN)])
def test_the_published_placements_are_files_among_others(name: str, placement: Placement) -> None:
    # tests/train/test_osnet.py holds the networks of these placements to the golden embeddings.
    read = read_placement(PUBLISHED / f"{name}.json")
    assert read == placement
    assert variant_with(read, "x1_0") == VARIANTS[f"osnet_{name}_x1_0".replace("plain_", "")]


@given(placement=PLACEMENTS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_gives_back_what_was_written(placement: Placement, tmp_path: Path) -> None:
    write_placement(tmp_path / "p.json", placement, {"epochs": 3, "probabilities": [[0.25] * 4] * 6})
    assert read_placement(tmp_path / "p.json") == placement


#: What a placement file may be spoilt by, and a part of the message.
DAMAGED: list[tuple[str, Any, str]] = [
    ("of another format", {"format": "yaml"}, "is no placement file"),
    ("of a later version", {"version": 2}, "expected version 1, got 2"),
    ("with a block too few", {"blocks": ["plain"] * 5}, "blocks: expected a list of 6"),
    ("with a design nobody knows", {"blocks": ["plain"] * 5 + ["norm"]}, "'both', got 'norm'"),
    ("with a stem in words", {"stem": "yes"}, "stem: expected true or false"),
    ("with a field nobody knows", {"width": "x1_0"}, "unknown field 'width'"),
]


@pytest.mark.parametrize(("sentence", "change", "message"), DAMAGED, ids=[case[0] for case in DAMAGED])
def test_a_damaged_file_is_refused_by_its_field(
    sentence: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    document = {**json.loads((PUBLISHED / "ain.json").read_text()), **change}
    (tmp_path / "p.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=message):
        read_placement(tmp_path / "p.json")


@pytest.mark.parametrize("code", ["nbbbbbb", "spiobpi"])
def test_a_placement_travels_from_a_file_to_a_package(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_placement("found.json", placement_of(code))
    torch.manual_seed(3)
    save_osnet(OSNet(variant_with(read_placement("found.json"), "x0_25")), "x.pth")
    export = ["export", "x.pth", "-o", "x.onnx", "--size", "64x32", "--placement", "found.json"]
    assert main(export) == 0
    assert main(["build", "x.onnx", "--target", "cpu", "-o", "cpu", "--placement", "found.json"]) == 0
    model = read_manifest("cpu").model
    assert (model.placement, model.variant) == (placement_of(code), f"osnet_{code}_x0_25")
    assert main(["inspect", "cpu", "--prove"]) == 0
    assert code in capsys.readouterr().out
    # The check can fail: the same checkpoint and graph are no AIN.
    other = ["--placement", str(PUBLISHED / "ain.json")]
    assert main(["export", "x.pth", "-o", "y.onnx", *other]) == 2
    assert main(["build", "x.onnx", "--target", "cpu", "-o", "other", *other]) == 2
    assert capsys.readouterr().err.count("to have the placement siipiip") == 2


def test_the_most_normed_placement_exports_within_rounding_of_torch(tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_osnet(OSNet(variant_with(placement_of("sbbbbbb"), "x0_25")), tmp_path / "x.pth")
    preprocessing = Preprocessing(height=64, width=32)
    result = export_onnx(tmp_path / "x.pth", tmp_path / "x.onnx", preprocessing=preprocessing)
    assert result.relative_error < 1e-4
    graph = read_graph(tmp_path / "x.onnx")
    assert graph.info.model.placement == placement_of("sbbbbbb")
    assert sum(node.op_type == "InstanceNormalization" for node in graph.model.graph.node) == 13


def test_a_package_from_before_placements_still_reads(package: Path, tmp_path: Path) -> None:
    document = json.loads((package / "manifest.json").read_text())
    assert document["model"].pop("placement") == {"stem": False, "blocks": ["plain"] * 6}
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    assert read_manifest(tmp_path).model.placement is None
