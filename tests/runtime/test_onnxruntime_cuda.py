"""The target `cuda`: built anywhere, run by ONNX Runtime's CUDA provider, never by the CPU in its place."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from cuda_in_memory import Exchanged, OnDevice

from osnet_edge.engines.build import build_package
from osnet_edge.runtime import Embedder, InputError, UnavailableError, read_manifest
from osnet_edge.runtime.backends import onnxruntime_cuda
from osnet_edge.runtime.backends.onnxruntime_cuda import OnnxRuntimeCudaEngine, import_with_cuda
from osnet_edge.runtime.cuda.probe import CudaDevice, probe
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.synthetic import sample_crops


def why_not() -> str:
    """Why the provider cannot run here; empty where it can."""
    try:
        import_with_cuda()
    except UnavailableError as error:
        return str(error)
    return probe().reason


def build(graph: Path, output: Path, precision: str = "fp32") -> None:
    build_package(
        graph,
        output,
        target="cuda",
        golden_crops=sample_crops(2, 100, 40),
        precision=precision,  # type: ignore
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_package_is_built_without_a_gpu(graph: Path, precision: Precision, tmp_path: Path) -> None:
    build(graph, tmp_path / "osnet-cuda", precision)
    target = read_manifest(tmp_path / "osnet-cuda").target
    assert (target.backend, target.device, target.exact_version) == ("onnxruntime_cuda", "cuda", False)
    types = {
        weight.data_type for weight in onnx.load(tmp_path / "osnet-cuda" / "model.onnx").graph.initializer
    }
    assert (onnx.TensorProto.FLOAT16 in types) == (precision == "fp16")


@pytest.mark.parametrize("precision", ["int8", "bf16", "auto"])
def test_other_precisions_are_refused_by_name(graph: Path, precision: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"expected --precision fp32 or fp16 for the target cuda, got {precision}"
    ):
        build(graph, tmp_path / "osnet-cuda", precision)


@pytest.mark.skipif(not why_not(), reason="tests a machine without the CUDA provider")
def test_without_the_provider_one_line_says_what_to_install(graph: Path, tmp_path: Path) -> None:
    build(graph, tmp_path / "osnet-cuda")
    with pytest.raises(UnavailableError) as error:
        Embedder.load(tmp_path / "osnet-cuda")
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in str(error.value) or "NVIDIA GPU" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "providers",
    [
        # Where the provider does not load, ONNX Runtime logs it and goes on with the CPU's.
        ["CPUExecutionProvider"],
        # Where it is told not to, it raises.
        None,
    ],
)
def test_a_provider_that_does_not_load_is_an_error_and_not_the_cpu(
    providers: list[str] | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entries: dict[str, str] = {}

    class Session:
        def __init__(self, model: str, options: object, providers: list[tuple[str, dict[str, int]]]) -> None:
            assert [name for name, _ in providers] == ["CUDAExecutionProvider"]
            if made is None:
                raise RuntimeError("nodes are assigned to the default CPU EP\nand more")

        def get_providers(self) -> list[str]:
            return made or []

    made = providers
    runtime = SimpleNamespace(
        __version__="1.31.1",
        InferenceSession=Session,
        SessionOptions=lambda: SimpleNamespace(add_session_config_entry=entries.__setitem__),
    )
    monkeypatch.setattr(onnxruntime_cuda, "import_with_cuda", lambda: runtime)
    monkeypatch.setattr(onnxruntime_cuda, "require_device", lambda _: CudaDevice("a GPU", "8.6"))
    with pytest.raises(
        UnavailableError, match=r"1\.31\.1 cannot run this engine by its CUDA provider .*install"
    ) as e:
        OnnxRuntimeCudaEngine(tmp_path / "model.onnx", Preprocessing(), 512)
    assert "\n" not in str(e.value)
    assert entries["session.disable_cpu_ep_fallback"] == "1"


def test_an_embedder_on_the_cpu_takes_nothing_from_a_gpu(package: Path) -> None:
    embedder = Embedder.load(package)
    frame = np.zeros((100, 60, 3), np.uint8)
    for kind in (OnDevice, Exchanged):
        with pytest.raises(UnavailableError, match=r"takes images from the host's memory; copy them there"):
            embedder([kind(frame)])
        with pytest.raises(UnavailableError, match=r"takes images from the host's memory; copy them there"):
            embedder.embed_boxes(kind(frame), [[0, 0, 20, 50]])
        with pytest.raises(UnavailableError, match=r"takes images from the host's memory; copy them there"):
            embedder.infer(kind(np.zeros((1, 256, 128, 3), np.uint8)))
    # A frame without a person needs no engine.
    assert embedder.embed_boxes(OnDevice(frame), [[90, 0, 99, 9]]).valid.tolist() == [False]


@pytest.mark.gpu
@pytest.mark.skipif(bool(why_not()), reason=f"needs the CUDA provider: {why_not()}")
def test_it_computes_what_the_cpu_does(graph: Path, package: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    build(graph, tmp_path / "osnet-cuda")
    embedder, crops = Embedder.load(tmp_path / "osnet-cuda"), sample_crops(5)
    np.testing.assert_allclose(embedder(crops), Embedder.load(package)(crops), atol=1e-4)
    on_gpu = embedder.infer(torch.from_numpy(crops).cuda())
    np.testing.assert_allclose(on_gpu, embedder.infer(crops), atol=1e-4)
