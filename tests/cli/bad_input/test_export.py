"""Checkpoints, and options, that `export` refuses."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import shutil
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bad_input.cases import Arguments, Bench, Case, Refused, each, good_checkpoint, half_of
from osnet_edge.train.variants import PUBLISHED


def zipped(bench: Bench) -> str:
    with zipfile.ZipFile(bench.folder / "x.pth", "w") as archive:
        archive.writestr("a.txt", "x")
    return str(bench.folder / "x.pth")


def zip_of(name: str) -> Callable[[Bench], str]:
    def make(bench: Bench) -> str:
        with zipfile.ZipFile(bench.folder / "x.zip", "w") as archive:
            archive.writestr(name, "x")
        return str(bench.folder / "x.zip")

    return make


def tarred(bench: Bench) -> str:
    with tarfile.open(bench.folder / "x.pth", "w") as archive:
        archive.add(bench.checkpoint, "osnet.pth")
    return str(bench.folder / "x.pth")


def zipped_checkpoint(bench: Bench) -> str:
    with zipfile.ZipFile(bench.folder / "x.zip", "w") as archive:
        archive.write(bench.checkpoint, "osnet.pth")
    return str(bench.folder / "x.zip")


def compressed(bench: Bench) -> str:
    """As `zip -r` packs an unpacked checkpoint."""
    out = zipfile.ZipFile(bench.folder / "x.pth", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(bench.checkpoint) as archive, out:
        for name in archive.namelist():
            out.writestr(name, archive.read(name))
    return str(bench.folder / "x.pth")


def only_pickle(bench: Bench) -> str:
    with zipfile.ZipFile(bench.checkpoint) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return bench.file(archive.read(name), "data.pkl")


def given(bench: Bench, path: Path) -> str:
    return shutil.copy(path, bench.folder)


def torch_quantised(as_zip: bool) -> Callable[[Bench], str]:
    def make(bench: Bench) -> str:
        with warnings.catch_warnings():
            # torch warns that it will lose this kind, of which files are left.
            warnings.simplefilter("ignore")
            weight = torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8)
        path = bench.folder / "x.pth"
        torch.save({"fc.0.weight": weight}, path, _use_new_zipfile_serialization=as_zip)
        return str(path)

    return make


def exported(checkpoint: Callable[[Bench], str], *options: str) -> Arguments:
    return lambda b: ["export", checkpoint(b), "-o", "out.onnx", *options]


def other(content: bytes) -> Arguments:
    return exported(lambda b: b.file(content))


@each(
    (
        "no such checkpoint",
        exported(lambda b: "missing.pth"),
        "a checkpoint or ONNX file of OSNet, found nothing at missing.pth",
    ),
    ("a folder for a checkpoint", exported(lambda b: str(b.folder)), "given; name a file in it"),
    ("an empty file", exported(lambda b: b.file(b"")), "is empty; download"),
    ("a web page saved as .pth", exported(lambda b: b.file(b"\n<!DOCTYPE html>")), "is a web page"),
    ("weights that torch quantised", exported(torch_quantised(True)), "that torch quantised to integers"),
    ("the same, of an older torch", exported(torch_quantised(False)), "that torch quantised to integers"),
    ("plain text", exported(lambda b: b.file(b"hello")), "begins with b'hello'"),
    ("a truncated checkpoint", exported(half_of(good_checkpoint, "x.pth")), "it is truncated"),
    ("another zip", exported(zipped), "is a zip archive without a checkpoint; it holds a.txt"),
    ("a pickle of a list", exported(lambda b: b.file(pickle.dumps([1]))), "holds no tensors (list)"),
    ("a pickle of code", exported(lambda b: b.state(lambda s: {"a": Path("x")})), "holds no tensors (dict)"),
    ("a tensor alone", exported(lambda b: b.state(lambda s: torch.zeros(2))), "holds no tensors (Tensor)"),
    ("no tensors at all", exported(lambda b: b.state(lambda s: {})), "holds no tensors"),
    ("numbers for tensors", exported(lambda b: b.state(lambda s: {"a": 1})), "holds no tensors (dict)"),
    # Other kinds of file, each with what to do.
    ("a Git LFS pointer", other(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    (
        "a file that gzip packed, whose name a shell would part",
        exported(lambda b: b.file(gzip.compress(b"x"), "my osnet.pth")),
        "my osnet.pth', or tar -xzf '/",
    ),
    ("a file that gzip packed", other(gzip.compress(b"x")), "gunzip"),
    ("a file that bzip2 packed", other(bz2.compress(b"x")), "bunzip2"),
    ("a file that xz packed", other(lzma.compress(b"x")), "xz -dk"),
    ("a tar archive", exported(tarred), "tar -xf"),
    ("a zip of the checkpoint", exported(zipped_checkpoint), "holds osnet.pth; unpack it: unzip"),
    ("a zip of a name in two lines", exported(zip_of("a\nb.pth")), "holds a\\nb.pth; unpack it"),
    ("a zip of a name that a terminal obeys", exported(zip_of("\x1b[2Ja.txt")), "it holds \\x1b[2Ja.txt"),
    ("a checkpoint zipped with compression", exported(compressed), "zip -0 -r"),
    ("the pickle of an unpacked one", exported(only_pickle), "is the data.pkl of an unpacked checkpoint"),
    ("JSON", other(b'{"a": 1}'), "is JSON"),
    ("safetensors cut short", other(b"\x10\0\0\0\0\0\0\0{"), "it is truncated"),
    ("a TensorFlow Lite model", other(b"\x1c\0\0\0TFL3"), "is a TensorFlow Lite model"),
    ("a TensorRT engine", other(b"ftrt\0\0"), "is a TensorRT engine"),
)
def test_files_that_are_no_checkpoint(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "another network",
        exported(lambda b: b.state(lambda s: {"a": torch.zeros(2)})),
        "expected names such as conv1.conv.weight",
    ),
    (
        "a weight missing",
        exported(lambda b: b.state(lambda s: {k: v for k, v in s.items() if k != "fc.0.bias"})),
        "nearest is osnet_x0_25, but fc.0.bias is missing",
    ),
    (
        "a weight of another shape",
        exported(lambda b: b.state(lambda s: {**s, "fc.0.bias": torch.zeros(9)})),
        "fc.0.bias is (9,), expected (512,)",
    ),
    (
        "weights of whole numbers",
        exported(lambda b: b.state(lambda s: {**s, "fc.0.bias": torch.zeros(512, dtype=torch.int8)})),
        "'fc.0.bias' is torch.int8",
    ),
    (
        "weights that are sparse",
        exported(lambda b: b.state(lambda s: {**s, "fc.0.bias": torch.zeros(512).to_sparse()})),
        "'fc.0.bias' is what torch._utils._rebuild_sparse_tensor makes, expected a tensor of floats",
    ),
    (
        "weights that are NaN",
        exported(lambda b: b.state(lambda s: {**s, "fc.0.bias": s["fc.0.bias"] * np.nan})),
        "holds NaN or infinite weights",
    ),
    (
        "weights that embed nothing",
        exported(lambda b: b.state(lambda s: {k: v * 0 for k, v in s.items()})),
        "zero or no numbers",
    ),
    (
        "variances below zero",
        exported(lambda b: b.state(lambda s: {k: -v if "running_var" in k else v for k, v in s.items()})),
        "negative variances",
    ),
)
def test_weights_that_fit_no_network_or_embed_nothing(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("a variant nobody knows", exported(good_checkpoint, "--arch", "osnet_x2_0"), "choose one of osnet_x1_0"),
    ("a variant that is not this", exported(good_checkpoint, "--arch", "osnet_x1_0"), "is no osnet_x1_0"),
    ("a size in words", exported(good_checkpoint, "--size", "large"), "expected --size HEIGHTxWIDTH"),
    ("a size of no image", exported(good_checkpoint, "--size", "8x8"), "32 to 4096 pixels a side"),
    ("an opset too old", exported(good_checkpoint, "--opset", "9"), "expected an opset from 13 to 20, got 9"),
    ("an opset in words", exported(good_checkpoint, "--opset", "new"), "'new' is not a valid integer"),
    ("an input of another kind", exported(good_checkpoint, "--input", "int4"), "'int4' is not one of"),
    ("an option nobody knows", exported(good_checkpoint, "--fast"), "No such option"),
    (
        "a variant of a code that nearly fits",
        exported(good_checkpoint, "--arch", "osnet_siipii_x0_25"),
        "osnet_CODE_WIDTH with the code of a placement",
    ),
    (
        "no such placement file",
        exported(good_checkpoint, "--placement", "missing.json"),
        "found nothing at missing.json",
    ),
    (
        "a placement file that is something else",
        lambda b: ["export", good_checkpoint(b), "-o", "x.onnx", "--placement", b.file(b"[]", "p.json")],
        "is no placement file",
    ),
    (
        "a placement that the checkpoint has not",
        exported(good_checkpoint, "--placement", str(PUBLISHED / "ain.json")),
        "to have the placement siipiip",
    ),
)
def test_options(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("no output", lambda b: ["export", good_checkpoint(b)], "Missing option '-o'"),
    (
        "a folder that is not there",
        lambda b: ["export", good_checkpoint(b), "-o", "none/x.onnx"],
        "the folder none does not exist",
    ),
    ("a folder as output", lambda b: ["export", good_checkpoint(b), "-o", str(b.folder)], "is a folder"),
    ("a name too long", lambda b: ["export", good_checkpoint(b), "-o", "x" * 300], "at most 255 bytes"),
    (
        "the checkpoint as output",
        lambda b: ["export", given(b, b.checkpoint), "-o", str(b.folder / "osnet.pth")],
        "to replace, found a zip archive",
    ),
    (
        "the checkpoint as output, by all means",
        lambda b: ["export", given(b, b.checkpoint), "-o", str(b.folder / "osnet.pth"), "--force"],
        "is the checkpoint itself",
    ),
)
def test_outputs(case: Case, refused: Refused) -> None:
    refused(case)
