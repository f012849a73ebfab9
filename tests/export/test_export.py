"""What an exported graph is and computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from osnet_edge.engines.graph.reading import read_graph
from osnet_edge.export.folding import fold_batch_norms
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.preprocessing import Preprocessing, normalize
from osnet_edge.train.checkpoint import load_osnet, read_state, save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import sample_crops
from osnet_edge.train.variants import VARIANTS, variant_named


def run(path: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["embeddings"], {"images": images})[0]


def test_the_graph_says_where_it_comes_from_and_how_pictures_are_prepared(
    graph: Path, checkpoint: Path
) -> None:
    read = read_graph(graph)
    info = read.info
    assert info.model.variant == "osnet_x0_25"
    assert info.model.checkpoint_sha256 == sha256_of(checkpoint)
    assert info.preprocessing == Preprocessing()
    assert set(info.tools) == {"python", "osnet-edge", "torch", "onnx", "onnxsim"}
    assert [entry.version for entry in read.model.opset_import] == [17]


def test_only_the_batch_is_dynamic_and_batch_norms_are_folded(graph: Path) -> None:
    loaded = onnx.load(graph)
    (given,), (result,) = loaded.graph.input, loaded.graph.output
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == ["batch", 256, 128, 3]
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in result.type.tensor_type.shape.dim] == ["batch", 512]
    operations = {node.op_type for node in loaded.graph.node}
    assert "BatchNormalization" not in operations
    assert "Identity" not in operations


def test_both_input_contracts_give_the_same_embeddings(checkpoint: Path, graph: Path, tmp_path: Path) -> None:
    floats = Preprocessing(normalize_in="host")
    export_onnx(checkpoint, tmp_path / "f.onnx", preprocessing=floats)
    crops = sample_crops(3)
    np.testing.assert_allclose(
        run(graph, crops), run(tmp_path / "f.onnx", normalize(crops, floats)), rtol=1e-3, atol=1e-5
    )


def test_rows_have_length_one_where_asked(checkpoint: Path, graph: Path, tmp_path: Path) -> None:
    export_onnx(checkpoint, tmp_path / "n.onnx", l2_normalize=True)
    plain, unit = run(graph, sample_crops(2)), run(tmp_path / "n.onnx", sample_crops(2))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_exports_within_rounding_of_torch(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_osnet(OSNet(variant_named(name)), tmp_path / "x.pth")
    preprocessing = Preprocessing(height=64, width=32)
    result = export_onnx(tmp_path / "x.pth", tmp_path / "x.onnx", preprocessing=preprocessing)
    assert result.relative_error < 1e-4
    norms = [n for n in onnx.load(tmp_path / "x.onnx").graph.node if n.op_type == "InstanceNormalization"]
    # The stem's one, and one for each block that has it.
    assert len(norms) == {"osnet": 0, "osnet_ibn": 3, "osnet_ain": 5}[name.rsplit("_x", 1)[0]]


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_opsets_that_engines_of_different_ages_read(opset: int, checkpoint: Path, tmp_path: Path) -> None:
    export_onnx(checkpoint, tmp_path / "x.onnx", opset=opset)
    assert onnx.load(tmp_path / "x.onnx").opset_import[0].version == opset


def test_the_same_checkpoint_gives_the_same_bytes(checkpoint: Path, graph: Path, tmp_path: Path) -> None:
    export_onnx(checkpoint, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == graph.read_bytes()


def test_folding_is_exact_and_leaves_the_model_alone(checkpoint: Path) -> None:
    model = load_osnet(checkpoint)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(2, 3, 64, 32)
    with torch.inference_mode():
        folded, expected = fold_batch_norms(model)(images), model(images)
    assert torch.linalg.norm(folded - expected) < 1e-5 * torch.linalg.norm(expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_graph_that_differs_from_torch_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(model: OSNet) -> OSNet:
        folded = fold_batch_norms(model)
        with torch.no_grad():
            folded.conv5.conv.weight *= 1.01
        return folded

    monkeypatch.setattr("osnet_edge.export.to_onnx.fold_batch_norms", spoil)
    with pytest.raises(CheckError, match="differs from torch"):
        export_onnx(checkpoint, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_nothing_and_the_old_file_whole(
    checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.onnx").write_bytes(b"old")

    def interrupt(step: str) -> None:
        if step == "comparing with torch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_onnx(checkpoint, tmp_path / "x.onnx", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]
    assert (tmp_path / "x.onnx").read_bytes() == b"old"


def test_weights_that_are_no_numbers_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    state = read_state(checkpoint)
    state["fc.0.weight"][0, 0] = float("nan")
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"'fc\.0\.weight' holds NaN"):
        export_onnx(tmp_path / "x.pth", tmp_path / "x.onnx")
