"""Rows of `--versus`: what a user would pick instead, made of the packages' own checkpoint."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from osnet_edge.bench.measure.engine_process import Contender
from osnet_edge.bench.measure.subject import Subject
from osnet_edge.bench.versus.boxmot import load_boxmot
from osnet_edge.bench.versus.exported import load_onnxruntime, load_openvino
from osnet_edge.bench.versus.trtexec import PROGRAMS, load_trtexec
from osnet_edge.cli.versus_torch import load_torch
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package.manifest import Manifest, read_manifest
from osnet_edge.runtime.preprocessing import Preprocessing

#: What can be compared with, and its row's name; the names are a user's own words for them.
RIVALS = {
    "torch": "PyTorch eager",
    "ort": "usual export in ONNX Runtime",
    "openvino": "usual export in OpenVINO",
    "boxmot": "BoxMOT, ONNX",
    "trtexec": "trtexec",
}


@contextmanager
def rivals(
    names: str | None, weights: str | None, packages: Sequence[str], threads: int
) -> Iterator[list[Contender]]:
    """Give the rows; what they are made of lies in a folder that is removed after.

    Args:
        names: keys of `RIVALS`, with commas between them; None gives no row.
        weights: the checkpoint that the packages were made of.
        packages: to compare with; the first says which network it is and how pictures are prepared.
        threads: CPU threads of each.

    Raises:
        InputError: a name is none of them, or the checkpoint is another one.
    """
    wanted = _parse(names)
    if not wanted:
        yield []
        return
    manifest = read_manifest(packages[0])
    if weights is not None and sha256_of(Path(weights)) != manifest.model.checkpoint_sha256:
        raise InputError(
            f"expected --weights {manifest.model.checkpoint}, which {packages[0]} was made of; {weights} is "
            "another checkpoint, and figures of different weights do not compare"
        )
    with tempfile.TemporaryDirectory(prefix="osnet-edge-versus-") as folder:
        yield [_contender(name, weights, manifest, packages, threads, Path(folder)) for name in wanted]


def _parse(names: str | None) -> list[str]:
    wanted = list(dict.fromkeys(name.strip() for name in (names or "").split(",") if name.strip()))
    if wrong := [name for name in wanted if name not in RIVALS]:
        raise InputError(f"expected --versus of {', '.join(RIVALS)}, got {wrong[0]!r}")
    return wanted


def _contender(
    name: str,
    weights: str | None,
    manifest: Manifest,
    packages: Sequence[str],
    threads: int,
    folder: Path,
) -> Contender:
    variant = manifest.model.variant
    # Other tools normalise outside of the network.
    how = Preprocessing(manifest.preprocessing.height, manifest.preprocessing.width, normalize_in="host")
    if name == "trtexec":
        return _trtexec(packages)
    if weights is None:
        return _refused(name, "needs the packages' checkpoint: --weights CHECKPOINT")
    if name == "torch":
        return Contender(RIVALS[name], partial(load_torch, weights, how, threads), role="versus")
    if name == "boxmot":
        plain = _plain_checkpoint(weights, folder)
        return Contender(RIVALS[name], partial(load_boxmot, str(plain), variant, threads), role="versus")
    load = {"ort": load_onnxruntime, "openvino": load_openvino}[name]
    graph = _usual_export(weights, how, folder)
    return Contender(RIVALS[name], partial(load, str(graph), variant, how, threads), role="versus")


def _trtexec(packages: Sequence[str]) -> Contender:
    for package in packages:
        manifest = read_manifest(package)
        if manifest.target.backend in PROGRAMS:
            load = partial(load_trtexec, package)
            return Contender(f"trtexec on {Path(package).resolve().name}", load, role="versus")
    return _refused("trtexec", "none of the packages is a TensorRT plan")


def _refused(name: str, reason: str) -> Contender:
    return Contender(RIVALS[name], _nothing, role="versus", refused=reason)


def _nothing() -> Subject:
    raise AssertionError("a row that was refused is never loaded")


def _plain_checkpoint(weights: str, folder: Path) -> Path:
    """Write the weights as plain float32, since other tools do not know checkpoints of 8 bits."""
    from osnet_edge.train.checkpoint import load_osnet, save_osnet

    path = folder / "plain.pth"
    save_osnet(load_osnet(weights), path)
    return path


def _usual_export(weights: str, how: Preprocessing, folder: Path) -> Path:
    """Export the network as a torch user does: no folding, no simplifying, a free batch size."""
    path = folder / "usual.onnx"
    if path.exists():
        return path
    import torch

    from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
    from osnet_edge.train.checkpoint import load_osnet

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            load_osnet(weights).eval(),
            (torch.zeros(1, *how.input_shape),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: {0: "batch"}, OUTPUT_NAME: {0: "batch"}},
        )
    return path
