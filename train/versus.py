"""The alternatives to a package for `bench --versus`, made from the package's own checkpoint.

torch is imported only where it is used: trtexec, and rows that say what is missing, do not need it.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from osnet_edge.bench.measure.engine_process import BenchTarget
from osnet_edge.bench.measure.runners import BareRunner, Batch, Runner, RunnerFacts
from osnet_edge.bench.metrics.distances import FloatArray
from osnet_edge.bench.result.machine import version_of
from osnet_edge.bench.versus.boxmot import BoxMotRunner
from osnet_edge.bench.versus.exported import load_onnxruntime, load_openvino
from osnet_edge.bench.versus.trtexec import PROGRAMS, TrtexecRunner
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.package.manifest import Manifest, read_manifest
from osnet_edge.runtime.preprocessing import Preprocessing

#: What can be compared with, and its name in the result; the keys are a user's own words for them.
RIVALS = {
    "torch": "PyTorch eager",
    "ort": "usual export in ONNX Runtime",
    "openvino": "usual export in OpenVINO",
    "boxmot": "BoxMOT, ONNX",
    "trtexec": "trtexec",
}


@contextmanager
def rivals(
    names: str | None,
    weights: str | None,
    packages: Sequence[str],
    threads: int,
    weights_key: str | None = None,
) -> Iterator[list[BenchTarget]]:
    """Yield the alternatives; their files are in a temporary folder.

    Args:
        names: keys of `RIVALS`, separated by commas; None for none.
        weights: the checkpoint that the packages were made from.
        packages: the packages to compare with; the first decides network and input.
        threads: number of CPU threads of each.
        weights_key: the network to take from a checkpoint that holds several.

    Raises:
        InputError: a name is unknown, or the checkpoint is another one.
    """
    chosen = _parse(names)
    if not chosen:
        yield []
        return
    manifest = read_manifest(packages[0])
    if weights is not None and sha256_of(Path(weights)) != manifest.model.checkpoint_sha256:
        raise InputError(
            f"expected --weights {manifest.model.checkpoint}, which {packages[0]} was made of; {weights} is "
            "another checkpoint, and figures of different weights do not compare"
        )
    with tempfile.TemporaryDirectory(prefix="osnet-edge-versus-") as folder:
        place = Path(folder)
        yield [_rival(name, weights, weights_key, manifest, packages, threads, place) for name in chosen]


def _parse(names: str | None) -> list[str]:
    chosen = list(dict.fromkeys(name.strip() for name in (names or "").split(",") if name.strip()))
    if wrong := [name for name in chosen if name not in RIVALS]:
        raise InputError(f"expected --versus of {', '.join(RIVALS)}, got {wrong[0]!r}")
    return chosen


def _rival(
    name: str,
    weights: str | None,
    weights_key: str | None,
    manifest: Manifest,
    packages: Sequence[str],
    threads: int,
    folder: Path,
) -> BenchTarget:
    variant = manifest.model.variant
    # Other tools normalise outside of the network.
    preprocessing = Preprocessing(
        manifest.preprocessing.height, manifest.preprocessing.width, normalize_in="host"
    )
    if name == "trtexec":
        return _trtexec(packages)
    if weights is None:
        return _refused(name, "needs the packages' checkpoint: --weights CHECKPOINT")
    if name == "torch":
        load_torch = partial(TorchRunner, weights, weights_key, preprocessing, threads)
        return BenchTarget(RIVALS[name], load_torch, role="versus")
    if name == "boxmot":
        plain = _plain_checkpoint(weights, weights_key, folder)
        return BenchTarget(RIVALS[name], partial(BoxMotRunner, str(plain), variant, threads), role="versus")
    load = {"ort": load_onnxruntime, "openvino": load_openvino}[name]
    graph = _usual_export(weights, weights_key, preprocessing, folder)
    return BenchTarget(
        RIVALS[name], partial(load, str(graph), variant, preprocessing, threads), role="versus"
    )


def _trtexec(packages: Sequence[str]) -> BenchTarget:
    for package in packages:
        manifest = read_manifest(package)
        if manifest.target.backend in PROGRAMS:
            load = partial(TrtexecRunner, package)
            return BenchTarget(f"trtexec on {Path(package).resolve().name}", load, role="versus")
    return _refused("trtexec", "none of the packages is a TensorRT plan")


def _refused(name: str, reason: str) -> BenchTarget:
    return BenchTarget(RIVALS[name], _nothing, role="versus", refused=reason)


def _nothing() -> Runner:
    raise AssertionError("what was refused is never loaded")


class TorchRunner(BareRunner):
    """PyTorch as most people use it: in eval mode, with crops normalised in NumPy, without compilation.

    Args:
        weights: a checkpoint.
        weights_key: the network to take from a checkpoint that holds several.
        preprocessing: input size and normalisation.
        threads: number of CPU threads of torch.

    Raises:
        InputError: the file is no checkpoint.
        ModuleNotFoundError: torch is not installed.
    """

    def __init__(
        self, weights: str, weights_key: str | None, preprocessing: Preprocessing, threads: int
    ) -> None:
        import torch

        from osnet_edge.train.checkpoint import load_osnet

        torch.set_num_threads(threads)
        started = time.perf_counter()
        model = load_osnet(weights, weights_key=weights_key).eval()
        seconds = time.perf_counter() - started

        def infer(batch: Batch) -> FloatArray:
            with torch.inference_mode():
                rows: FloatArray = model(torch.from_numpy(np.asarray(batch, np.float32))).numpy()
            return rows

        facts = RunnerFacts(
            variant=model.variant.name,
            precision="fp32",
            target="torch eager",
            size_bytes=Path(weights).stat().st_size,
            package_bytes=None,
            load_seconds=seconds,
            versions={"torch": version_of("torch")},
        )
        super().__init__(facts, infer, preprocessing)


def _plain_checkpoint(weights: str, weights_key: str | None, folder: Path) -> Path:
    """Write the weights as plain float32, since other tools do not know checkpoints of 8 bits."""
    from osnet_edge.train.checkpoint import load_osnet, save_osnet

    path = folder / "plain.pth"
    save_osnet(load_osnet(weights, weights_key=weights_key), path)
    return path


def _usual_export(weights: str, weights_key: str | None, preprocessing: Preprocessing, folder: Path) -> Path:
    """Export the network as a torch user does: not folded, not simplified, with a dynamic batch size."""
    path = folder / "usual.onnx"
    if path.exists():
        return path
    import torch

    from osnet_edge.train.checkpoint import load_osnet

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            load_osnet(weights, weights_key=weights_key).eval(),
            (torch.zeros(1, *preprocessing.input_shape),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: {0: "batch"}, OUTPUT_NAME: {0: "batch"}},
        )
    return path
