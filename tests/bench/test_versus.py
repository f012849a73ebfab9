"""What a user would pick instead: rows of the same weights, and rows that say why they are not there."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from osnet_edge.bench import from_json
from osnet_edge.bench.measure.engine_process import EngineFailedError
from osnet_edge.bench.measure.runners import PackageRunner
from osnet_edge.bench.versus import trtexec
from osnet_edge.bench.versus.boxmot import BoxMotRunner
from osnet_edge.bench.versus.trtexec import TrtexecRunner, read_times
from osnet_edge.cli.main import main
from osnet_edge.engines.build import build_package
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.train.checkpoint import read_state
from osnet_edge.train.synthetic import draw_frame, sample_crops
from osnet_edge.train.versus import rivals


def test_every_runtime_gives_the_packages_embeddings(package: Path, checkpoint: Path) -> None:
    frame, boxes, _ = draw_frame(people=3, size=(320, 240), seed=0)
    frame = np.ascontiguousarray(frame[..., ::-1])
    expected, valid = PackageRunner(package, 1).embed_frame(frame, boxes.astype(float))
    assert valid.all()
    with rivals("torch, ort,openvino", str(checkpoint), [str(package)], 1) as targets:
        assert [each.role for each in targets] == ["versus"] * 3
        for target in targets:
            if target.name.endswith("OpenVINO"):
                pytest.importorskip("openvino")
            runner = target.load()
            np.testing.assert_allclose(runner.embed_frame(frame, boxes.astype(float)), expected, atol=2e-5)
            rows = runner.embed(list(sample_crops(2, 100, 40)))
            assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


def test_every_runtime_takes_several_callers(package: Path, checkpoint: Path) -> None:
    pytest.importorskip("openvino")
    # With two threads: with one, OpenVINO computes in the caller's, and callers never meet.
    with rivals("ort,openvino", str(checkpoint), [str(package)], 2) as targets:
        for target in targets:
            runner = target.load()
            batches = [runner.example(1)] * 200
            with ThreadPoolExecutor(4) as pool:
                rows = list(pool.map(runner.infer, batches))
            np.testing.assert_allclose(rows, [rows[0]] * len(rows), atol=1e-5)


def test_what_is_not_there_is_a_row_that_says_so(package: Path, tmp_path: Path) -> None:
    names = ["--versus", "torch,boxmot,trtexec", "--people", "1", "--batch", "1", "--duration", "0.01"]
    assert main(["bench", str(package), *names, "--json", str(tmp_path / "r.json")]) == 0
    problems = {each.name: each.problem for each in from_json((tmp_path / "r.json").read_text()).engines}
    assert problems["PyTorch eager"] == "needs the packages' checkpoint: --weights CHECKPOINT"
    assert problems["BoxMOT, ONNX"] == problems["PyTorch eager"]
    assert problems["trtexec"] == "none of the packages is a TensorRT plan"
    assert problems["osnet-cpu"] is None


def test_boxmot_is_never_required(monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    # Put back after: it is held to a number of threads for the process that it is loaded in.
    monkeypatch.setattr(onnxruntime, "SessionOptions", onnxruntime.SessionOptions)
    monkeypatch.setitem(sys.modules, "boxmot", None)
    with pytest.raises(UnavailableError, match="BoxMOT is not installed"):
        BoxMotRunner(str(checkpoint), "osnet_x0_25", 1)


def test_figures_of_other_weights_do_not_compare(package: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"x")
    with (
        pytest.raises(InputError, match="is another checkpoint"),
        rivals("ort", str(other), [str(package)], 1),
    ):
        pass
    with pytest.raises(InputError, match="expected --versus of torch, ort"), rivals("keras", None, [""], 1):
        pass
    with rivals(None, None, [], 1) as nothing:
        assert nothing == []


def test_of_several_networks_the_named_one_is_compared(
    package: Path, checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trained = read_state(checkpoint)
    both, copy = tmp_path / "both.pth", tmp_path / "osnet-cpu"
    torch.save({"state_dict": {name: value + 1 for name, value in trained.items()}, "ema": trained}, both)
    shutil.copytree(package, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["model"]["checkpoint_sha256"] = sha256_of(both)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    crops = list(sample_crops(2, 100, 40))
    with rivals("torch", str(both), [str(copy)], 1, "ema") as (target,):
        np.testing.assert_allclose(target.load().embed(crops), PackageRunner(copy, 1).embed(crops), atol=2e-5)
    timed = ["bench", str(copy), "--versus", "torch", "--weights", str(both), "--weights-key", "swa"]
    assert main(timed) == 2
    assert "expected --weights-key to name one of state_dict, ema" in capfd.readouterr().err


#: As version 10 writes it, of two calls.
CALLS = [
    {"startEnqMs": 0.0, "endEnqMs": 0.2, "h2dMs": 0.1, "computeMs": 1.0, "d2hMs": 0.05, "latencyMs": 1.15},
    {"startEnqMs": 2.0, "endEnqMs": 2.4, "h2dMs": 0.1, "computeMs": 3.0, "d2hMs": 0.05, "latencyMs": 3.15},
]


def test_trtexecs_own_times_are_read(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx")
    package = tmp_path / "osnet-rtx"
    build_package(graph, package, target="rtx", golden_crops=sample_crops(2, 100, 40))
    program = tmp_path / "tensorrt_rtx"
    program.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\n"
        "given = dict(a[2:].split('=', 1) for a in sys.argv[1:])\n"
        "assert given['shapes'] == 'images:8x256x128x3' and pathlib.Path(given['loadEngine']).is_file()\n"
        f"pathlib.Path(given['exportTimes']).write_text({json.dumps(CALLS)!r})\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    runner = TrtexecRunner(str(package))
    found = runner.read_batch(8, 1.0)
    assert found.latency.p50_ms == pytest.approx(2.15)
    assert found.parts is not None
    assert (found.parts.enqueue_ms, found.parts.compute_ms) == pytest.approx((0.3, 2.0))
    assert found.transfers is True
    with pytest.raises(EngineFailedError, match="tensorrt_rtx ended with exit code 1"):
        runner.read_batch(4, 1.0)
    program.write_text(f"#!{sys.executable}\nimport time\nwhile True: time.sleep(60)\n")
    monkeypatch.setattr(trtexec, "_PATIENCE_S", 0.3)
    with pytest.raises(EngineFailedError, match="tensorrt_rtx hangs: it did not end within 0 s"):
        runner.read_batch(8, 0.0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnavailableError, match="tensorrt_rtx is not on the path"):
        TrtexecRunner(str(package))


@pytest.mark.parametrize("text", ["", "{}", "[]", '[{"latencyMs": 1}]', '[{"latencyMs": "x"}]'])
def test_times_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(EngineFailedError, match="its times cannot be read"):
        read_times(text, 1)
