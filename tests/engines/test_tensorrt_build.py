"""Plans from graphs: every variant, every refusal, and what a machine without a GPU says."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from needs import needs_rtx
from tensorrt_graphs import (
    HEIGHT,
    WIDTH,
    cosine_distances,
    exported,
    manifest_for,
    pictures,
    rtx_target,
    tiny_graph,
)

from osnet_edge.cli.main import main
from osnet_edge.engines.backends.tensorrt.capabilities import resolve_capabilities
from osnet_edge.engines.backends.tensorrt.network import float32_layers, make_network
from osnet_edge.engines.backends.tensorrt.plan import build_plan
from osnet_edge.engines.graph.reading import Graph, read_onnx
from osnet_edge.runtime.backends.tensorrt.engine import TensorRTEngine
from osnet_edge.runtime.backends.tensorrt.library import load_library
from osnet_edge.runtime.backends.tensorrt.plan_file import read_plan_header
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.errors import InputError, OsnetEdgeError, UnavailableError
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.precisions import Precision
from osnet_edge.train.variants import VARIANTS

HAS_FULL = importlib.util.find_spec("tensorrt") is not None
without_gpu = pytest.mark.skipif(probe().available, reason="tests a machine without a GPU")
needs_gpu = pytest.mark.skipif(not probe().available, reason=f"needs a GPU: {probe().reason}")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    onnx.save(tiny_graph(), path)
    return path


def build(graph: Path, destination: Path, *capabilities: str, precision: Precision = "fp32", **more: object):
    return build_plan(
        read_onnx(graph),
        destination,
        library="tensorrt_rtx",
        capabilities=capabilities,
        precision=precision,
        **{"batch": BatchRange(1, 2, 4), **more},  # type: ignore[arg-type]
    )


@needs_rtx
@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_variant_builds_in_both_precisions(name: str, tmp_path: Path) -> None:
    sizes = {}
    # A second GPU takes as long again, and what it adds does not depend on the width.
    capabilities = ("8.6", "8.9") if name.endswith("x0_25") else ("8.6",)
    for precision in ("fp32", "fp16"):
        plan, said = tmp_path / f"{precision}.plan", []
        target = build(
            exported(name),
            plan,
            *capabilities,
            precision=precision,
            batch=BatchRange(1, 8, 32),
            progress=said.append,
        )
        sizes[precision] = plan.stat().st_size
        assert target == rtx_target(read_plan_header(plan).version, capabilities)
        assert f"building {precision} for {', '.join(capabilities)}, batches of 1 to 32" in said[1]
    assert sizes["fp16"] < sizes["fp32"]


@needs_rtx
@pytest.mark.parametrize(
    ("capabilities", "precision", "said"),
    [
        # Turing has no float32 matrix product in TensorRT-RTX; its own error names a layer and no way out.
        (("7.5",), "fp32", "has no float32 matrix product for compute capability 7.5"),
        # Hopper, Orin and Thor are not among its GPUs.
        (("8.6", "9.0"), "fp16", "cannot build for compute capability 9.0, only for 7.5, 8.0, 8.6, 8.9"),
        (("8.7",), "fp16", "build with TensorRT on the device itself"),
        # Names that people write instead.
        (("sm86",), "fp16", "expected a compute capability such as 8.6, or current; got 'sm86'"),
        (("86",), "fp16", "got '86'"),
    ],
)
def test_capabilities_that_cannot_be_built_are_refused(
    capabilities: tuple[str, ...], precision: Precision, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        build(exported("osnet_x0_25"), tmp_path / "model.plan", *capabilities, precision=precision)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@needs_rtx
def test_turing_builds_in_float16(tmp_path: Path) -> None:
    target = build(exported("osnet_x0_25"), tmp_path / "model.plan", "7.5", precision="fp16")
    assert target.compute_capabilities == ("7.5",)


@needs_rtx
def test_a_capability_that_is_named_twice_is_built_once() -> None:
    assert resolve_capabilities(load_library("tensorrt_rtx"), ("8.9", "8.6", "8.9")) == ("8.9", "8.6")
    assert {"7.5", "8.6", "12.0"} <= set(load_library("tensorrt_rtx").known_capabilities)


@needs_rtx
@without_gpu
def test_the_current_gpu_needs_a_gpu(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="building for the current GPU needs the GPU it is for, and "):
        build(tiny, tmp_path / "model.plan", "current")


@without_gpu
@pytest.mark.parametrize(
    "target",
    [
        pytest.param("rtx:current", marks=needs_rtx),
        pytest.param("tensorrt", marks=pytest.mark.skipif(HAS_FULL, reason="TensorRT is here")),
    ],
)
def test_what_cannot_be_built_here_is_refused_before_any_work(
    target: str, graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(graph), "--target", target, "-o", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


@pytest.mark.skipif(HAS_FULL, reason="tests a machine without TensorRT")
def test_a_missing_library_says_how_to_get_it_and_what_to_do_instead(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as error:
        build_plan(
            read_onnx(tiny),
            tmp_path / "model.plan",
            library="tensorrt",
            capabilities=(),
            precision="fp16",
            batch=BatchRange(1, 2, 4),
        )
    for part in ("TensorRT is not installed", "JetPack", "osnet-edge[tensorrt]", "rtx needs no GPU to build"):
        assert part in str(error.value)


def text(path: Path) -> Path:
    path.write_text("not a graph")
    return path


def saved(path: Path, model: onnx.ModelProto) -> Path:
    onnx.save(model, path)
    return path


@needs_rtx
@pytest.mark.parametrize(
    ("make", "more", "said"),
    [
        # The wrong file, or none.
        (lambda folder: folder / "none.onnx", {}, "found nothing at"),
        (lambda folder: text(folder / "a.onnx"), {}, "is no ONNX graph"),
        # A graph that takes one batch size only.
        (lambda folder: saved(folder / "a.onnx", tiny_graph(batch=2)), {}, "of a free batch size"),
        # An operator that TensorRT has not; the parser names it.
        (lambda folder: saved(folder / "a.onnx", tiny_graph(operator="Det")), {}, "Det"),
        # Float16 cannot hold it.
        (lambda folder: saved(folder / "a.onnx", tiny_graph(1e6)), {"precision": "fp16"}, "past float16's"),
        # A plan's memory is sized by its largest batch.
        (
            lambda folder: saved(folder / "a.onnx", tiny_graph()),
            {"batch": BatchRange(1, 2, None)},
            "largest batch",
        ),
        (lambda folder: saved(folder / "a.onnx", tiny_graph()), {"workspace_bytes": 0}, "workspace"),
        # A folder that is not there is said before, not after, the plan is lost.
        (
            lambda folder: saved(folder / "a.onnx", tiny_graph()),
            {"destination": Path("/nowhere/model.plan")},
            "does not exist",
        ),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(make, more, said: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    destination = more.pop("destination", tmp_path / "model.plan")
    with pytest.raises(InputError) as error:
        build(make(tmp_path), destination, "8.6", **more)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not destination.exists()


@needs_rtx
def test_a_failed_build_leaves_the_old_plan(tiny: Path, tmp_path: Path) -> None:
    plan = tmp_path / "model.plan"
    build(tiny, plan, "8.6")
    before = plan.read_bytes()
    with pytest.raises(OsnetEdgeError):
        build(exported("osnet_x0_25"), plan, "7.5")
    assert plan.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.plan", "tiny.onnx"]


@needs_rtx
def test_tensorrt_speaks_through_logging(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, "osnet_edge.tensorrt"), pytest.raises(InputError):
        build(exported("osnet_x0_25"), tmp_path / "model.plan", "7.5")
    levels = {record.levelno for record in caplog.records if record.name == "osnet_edge.tensorrt"}
    assert {logging.ERROR, logging.INFO} <= levels
    assert all("\n" not in record.getMessage() for record in caplog.records)
    # Nothing beside it: a program shows its user one line of its own.
    assert capfd.readouterr() == ("", "")


@needs_rtx
def test_weak_typing_holds_the_same_layers_to_float32() -> None:
    """Only TensorRT 8.6 is told so; the layers are found in a network of the library that is here."""
    library = load_library("tensorrt_rtx")
    builder = library.create("Builder")
    network, _parser = make_network(library, builder, Graph(onnx.load(exported("osnet_ain_x0_25"))), "fp32")
    held = [layer.type.name for layer in float32_layers(library, network)]
    assert held.count("NORMALIZATION") == 5
    # The means of 24 gates, and the one at the end.
    assert held.count("REDUCE") == 25
    assert set(held) == {"NORMALIZATION", "REDUCE", "ELEMENTWISE"}
    # The mean's subtraction; the 48 sums and products of the gates and residuals come after a convolution.
    assert held.count("ELEMENTWISE") == 1


@needs_rtx
@without_gpu
def test_loading_a_plan_without_a_gpu_is_one_line(tiny: Path, tmp_path: Path) -> None:
    """TensorRT itself may crash the process here, so it is not asked."""
    target = build(tiny, tmp_path / "model.plan", "8.6")
    manifest = manifest_for(target, BatchRange(1, 2, 4), size=4, height=8, width=8)
    with pytest.raises(UnavailableError) as error:
        TensorRTEngine(tmp_path / "model.plan", manifest)
    assert str(error.value).startswith("this TensorRT-RTX engine needs an NVIDIA GPU, and no NVIDIA driver")
    assert "\n" not in str(error.value)


@needs_rtx
def test_a_plan_that_is_not_its_manifests_is_refused_before_anything_loads(
    tiny: Path, tmp_path: Path
) -> None:
    target = build(tiny, tmp_path / "model.plan", "8.6")
    other = manifest_for(
        replace(target, backend_version="1.6.0.10"), BatchRange(1, 2, 4), size=4, height=8, width=8
    )
    with pytest.raises(
        InputError, match=r"is a plan of TensorRT-RTX 1\.7\..* and its manifest says .* 1\.6\.0\.10"
    ):
        TensorRTEngine(tmp_path / "model.plan", other)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("library", ["tensorrt_rtx", "tensorrt"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_engine_computes_what_onnx_runtime_does(
    library: str, precision: Precision, tmp_path: Path
) -> None:
    try:
        target = build_plan(
            read_onnx(exported("osnet_ain_x0_25")),
            tmp_path / "model.plan",
            library=library,  # type: ignore[arg-type]
            capabilities=("current",),
            precision=precision,
            batch=BatchRange(1, 4, 8),
        )
    except OsnetEdgeError as error:
        pytest.skip(str(error))
    manifest = manifest_for(target, BatchRange(1, 4, 8), size=512, height=HEIGHT, width=WIDTH)
    engine, batch = TensorRTEngine(tmp_path / "model.plan", manifest), pictures(8)
    session = onnxruntime.InferenceSession(
        str(exported("osnet_ain_x0_25")), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, {"images": batch})[0]
    assert float(cosine_distances(engine.infer(batch), expected).max()) < 2e-3
    # Sizes in any order, since buffers are those of the largest.
    for size in (1, 8, 3, 1):
        assert np.allclose(engine.infer(batch[:size]), engine.infer(batch)[:size], atol=2e-2)
