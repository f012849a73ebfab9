"""Every wrong input ends in one line that helps, exit code 2, and nothing written."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from osnet_edge.cli.main import main
from osnet_edge.runtime.files import sha256_of
from osnet_edge.train.checkpoint import read_state
from osnet_edge.train.placement_file import PUBLISHED
from osnet_edge.train.synthetic import sample_crops


@dataclass(frozen=True)
class Bench:
    """Good things to spoil, and a folder to spoil them in."""

    folder: Path
    checkpoint: Path
    graph: Path
    package: Path

    def state(self, change: Callable[[dict[str, torch.Tensor]], Any], name: str = "x.pth") -> str:
        state = read_state(self.checkpoint)
        torch.save(change(state), self.folder / name)
        return str(self.folder / name)

    def file(self, content: bytes, name: str = "x.pth") -> str:
        (self.folder / name).write_bytes(content)
        return str(self.folder / name)

    def edited_graph(self, change: Callable[[onnx.ModelProto], None]) -> str:
        graph = onnx.load(self.graph)
        change(graph)
        (self.folder / "x.onnx").write_bytes(graph.SerializeToString())
        return str(self.folder / "x.onnx")

    def edited_package(self, change: Callable[[dict[str, Any]], None]) -> str:
        copy = Path(shutil.copytree(self.package, self.folder / "package"))
        document = json.loads((copy / "manifest.json").read_text())
        change(document)
        (copy / "manifest.json").write_text(json.dumps(document))
        return str(copy)

    def picture(self, name: str = "0001_c1s1_000001_00.png") -> str:
        Image.fromarray(sample_crops(1)[0]).save(self.folder / name)
        return str(self.folder / name)

    def folder_of(self, **folders: dict[str, bytes]) -> str:
        root = self.folder / "set"
        for folder, files in folders.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (root / folder / name).write_bytes(content)
        return str(root)


@pytest.fixture
def bench(tmp_path: Path, checkpoint: Path, graph: Path, package: Path) -> Bench:
    folder = tmp_path / "given"
    folder.mkdir()
    return Bench(folder, checkpoint, graph, package)


Arguments = Callable[[Bench], list[str]]
GALLERY = {"bounding_box_test": {"0001_c2s1_000001_00.jpg": b"x"}}


def zipped(bench: Bench) -> str:
    with zipfile.ZipFile(bench.folder / "x.pth", "w") as archive:
        archive.writestr("a.txt", "x")
    return str(bench.folder / "x.pth")


def given(bench: Bench, path: Path) -> str:
    return shutil.copy(path, bench.folder)


def deep_picture(bench: Bench) -> str:
    path = bench.folder / "deep.png"
    Image.fromarray(np.full((9, 9), 30_000, np.uint16)).save(path)
    return str(path)


def with_golden(bench: Bench, embeddings: np.ndarray | None) -> str:
    """A package whose golden file was replaced, hash and all."""
    package = bench.edited_package(lambda document: None)
    path = Path(package) / "golden.npz"
    path.write_bytes(b"")
    if embeddings is not None:
        np.savez(path, crops=sample_crops(2), embeddings=embeddings)
    document = json.loads((Path(package) / "manifest.json").read_text())
    document["files"]["golden.npz"] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    (Path(package) / "manifest.json").write_text(json.dumps(document))
    return package


def exported(checkpoint: Callable[[Bench], str], *options: str) -> Arguments:
    return lambda b: ["export", checkpoint(b), "-o", "out.onnx", *options]


def built(graph: Callable[[Bench], str], *options: str) -> Arguments:
    return lambda b: ["build", graph(b), "-o", "out", *(options or ("--target", "cpu"))]


def people(bench: Bench) -> str:
    """A set of two people, to train on."""
    picture = Path(bench.picture()).read_bytes()
    return bench.folder_of(bounding_box_train={f"000{k}_c1s1_1_00.png": picture for k in (1, 2)})


def street_of(bench: Bench, where: str) -> Path:
    """A set of one person to look for, in a folder called street."""
    picture = Path(bench.picture()).read_bytes()
    bench.folder_of(**{f"{where}/street/query": {"0001_c1s1_1_00.png": picture}})
    bench.folder_of(**{f"{where}/street/bounding_box_test": {"0001_c2s1_1_00.png": picture}})
    return bench.folder / "set" / where / "street"


def trained(bench: Bench, *options: str, output: str = "run") -> list[str]:
    small = ["--size", "64x32", "--set", "batches.size=2", "--workers", "0"]
    return ["train", "quick", "--data", people(bench), "-o", output, *small, *options]


def searched(*options: str) -> Arguments:
    return lambda b: ["search", "--data", people(b), "-o", "out", "--batch", "2", *options]


def calibrated(*options: str) -> Arguments:
    return lambda b: ["calibrate", "--data", people(b), "-o", "calib.json", *options]


def framed(bench: Bench, **folders: dict[str, bytes]) -> list[str]:
    """A calibration set from frames with these files."""
    return ["calibrate", "-o", "x", "--frames", bench.folder_of(**folders)]


def evaluated(
    checkpoint: Callable[[Bench], str], data: str | Callable[[Bench], str] = "x", *options: str
) -> Arguments:
    def arguments(bench: Bench) -> list[str]:
        given = data if isinstance(data, str) else data(bench)
        return ["eval", checkpoint(bench), "--data", given, "--threads", "1", *options]

    return arguments


def good_checkpoint(bench: Bench) -> str:
    return str(bench.checkpoint)


def good_graph(bench: Bench) -> str:
    return str(bench.graph)


def half_of(path: Callable[[Bench], str], name: str) -> Callable[[Bench], str]:
    def cut(bench: Bench) -> str:
        content = Path(path(bench)).read_bytes()
        return bench.file(content[: len(content) // 2], name)

    return cut


def without_metadata(graph: onnx.ModelProto) -> None:
    del graph.metadata_props[:]


def with_other_metadata(graph: onnx.ModelProto) -> None:
    graph.metadata_props[0].value = '{"model": 3}'


def with_broken_metadata(graph: onnx.ModelProto) -> None:
    graph.metadata_props[0].value = "{"


def with_other_input(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].name = "data"
    graph.graph.node[0].input[0] = "data"


CASES: list[tuple[str, Arguments, str]] = [
    # Checkpoints
    ("no such checkpoint", exported(lambda b: "missing.pth"), "there is no file missing.pth"),
    ("a folder for a checkpoint", exported(lambda b: str(b.folder)), "is a folder; name the .pth in it"),
    ("an empty file", exported(lambda b: b.file(b"")), "is empty; download"),
    ("a web page saved as .pth", exported(lambda b: b.file(b"\n<!DOCTYPE html>")), "is a web page"),
    ("plain text", exported(lambda b: b.file(b"hello")), "begins with b'hello'"),
    ("a truncated checkpoint", exported(half_of(good_checkpoint, "x.pth")), "may be truncated"),
    ("another zip", exported(zipped), "cannot be read as a torch checkpoint"),
    ("a pickle of a list", exported(lambda b: b.file(pickle.dumps([1]))), "cannot be read as tensors alone"),
    ("a pickle of code", exported(lambda b: b.state(lambda s: {"a": Path("x")})), "would run code"),
    ("a tensor alone", exported(lambda b: b.state(lambda s: torch.zeros(2))), "expected a state dict"),
    ("no tensors at all", exported(lambda b: b.state(lambda s: {})), "holds no tensors"),
    ("numbers for tensors", exported(lambda b: b.state(lambda s: {"a": 1})), "expected tensors by name"),
    (
        "another network",
        exported(lambda b: b.state(lambda s: {"a": torch.zeros(2)})),
        "fits no OSNet variant",
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
        "expected dense floats",
    ),
    (
        "weights that are NaN",
        exported(lambda b: b.state(lambda s: {**s, "fc.0.bias": s["fc.0.bias"] * np.nan})),
        "holds NaN or infinite weights",
    ),
    # Options of export
    ("a variant nobody knows", exported(good_checkpoint, "--arch", "osnet_x2_0"), "choose one of osnet_x1_0"),
    (
        "a variant that is not this",
        exported(good_checkpoint, "--arch", "osnet_x1_0"),
        "is no osnet_x1_0",
    ),
    ("a size in words", exported(good_checkpoint, "--size", "large"), "expected --size HEIGHTxWIDTH"),
    ("a size of no picture", exported(good_checkpoint, "--size", "8x8"), "32 to 4096 pixels a side"),
    ("an opset too old", exported(good_checkpoint, "--opset", "9"), "expected an opset from 13 to 20, got 9"),
    ("an opset in words", exported(good_checkpoint, "--opset", "new"), "'new' is not a valid integer"),
    ("an input of another kind", exported(good_checkpoint, "--input", "int4"), "'int4' is not one of"),
    ("an option nobody knows", exported(good_checkpoint, "--fast"), "No such option"),
    ("no output", lambda b: ["export", good_checkpoint(b)], "Missing option '-o'"),
    (
        "a folder that is not there",
        lambda b: ["export", good_checkpoint(b), "-o", "none/x.onnx"],
        "the folder none does not exist",
    ),
    ("a folder as output", lambda b: ["export", good_checkpoint(b), "-o", str(b.folder)], "is a folder"),
    # Placements
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
    (
        "a placement that the graph has not",
        built(good_graph, "--target", "cpu", "--placement", str(PUBLISHED / "ibn.json")),
        "got npppppp",
    ),
    # Graphs
    ("no such graph", built(lambda b: "missing.onnx"), "found nothing at missing.onnx"),
    ("a folder for a graph", built(lambda b: str(b.folder)), "found a folder at"),
    ("a checkpoint for a graph", built(good_checkpoint), "is no ONNX graph"),
    ("an empty graph", built(lambda b: b.file(b"", "x.onnx")), "is no ONNX graph"),
    ("a truncated graph", built(half_of(good_graph, "x.onnx")), "is no ONNX graph"),
    ("a graph of a peer", built(lambda b: b.edited_graph(without_metadata)), "does not say how its pictures"),
    ("metadata cut short", built(lambda b: b.edited_graph(with_broken_metadata)), "its metadata is not JSON"),
    ("metadata of another kind", built(lambda b: b.edited_graph(with_other_metadata)), "expected an object"),
    ("an input of another name", built(lambda b: b.edited_graph(with_other_input)), "expected one input"),
    # Options of build
    ("a target nobody knows", built(good_graph, "--target", "npu"), "expected a target of cpu"),
    ("a GPU spelt oddly", built(good_graph, "--target", "rtx:ampere"), "GPU generations such as sm86"),
    ("a GPU for the CPU", built(good_graph, "--target", "cpu:sm86"), "expected a target of cpu"),
    (
        "half precision on the CPU",
        built(good_graph, "--target", "cpu", "--precision", "fp16"),
        "fp16 is for rtx and tensorrt",
    ),
    (
        "bf16 in ONNX Runtime",
        built(good_graph, "--target", "cpu", "--precision", "bf16"),
        "expected --precision fp32 or int8 for the target cpu, got bf16; bf16 is for openvino",
    ),
    (
        "bf16 for whichever library is faster",
        built(good_graph, "--target", "cpu:fastest", "--precision", "bf16"),
        "bf16 is for openvino",
    ),
    (
        "bf16 on a GPU",
        built(good_graph, "--target", "rtx", "--precision", "bf16"),
        "expected --precision fp32 or fp16 or int8 for the target rtx",
    ),
    (
        "fp16 in OpenVINO",
        built(good_graph, "--target", "openvino", "--precision", "fp16"),
        "expected --precision fp32 or bf16 or int8 for the target openvino",
    ),
    (
        "a calibration set that is not there",
        built(good_graph, "--target", "rtx", "--precision", "fp16", "--calibration", "none.json"),
        "expected a calibration set, found nothing at none.json",
    ),
    (
        "a graph for a calibration set",
        lambda b: [
            *built(good_graph, "--target", "rtx", "--precision", "fp16")(b),
            "--calibration",
            good_graph(b),
        ],
        "as a calibration set in JSON, got something else",
    ),
    ("the slowest", built(good_graph, "--target", "cpu:slowest"), "expected a target of cpu"),
    (
        "a precision nobody knows",
        built(good_graph, "--target", "cpu", "--precision", "fp4"),
        "'fp4' is not one of",
    ),
    ("batches that fall", built(good_graph, "--target", "cpu", "--batch", "8,4,2"), "1 <= min <= opt <= max"),
    ("a batch of nothing", built(good_graph, "--target", "cpu", "--batch", "0"), "expected --batch as whole"),
    ("two batches", built(good_graph, "--target", "cpu", "--batch", "1,2"), "expected --batch min,opt,max"),
    (
        "an output that is there",
        lambda b: ["build", good_graph(b), "--target", "cpu", "-o", str(b.folder)],
        "--force",
    ),
    (
        "a folder of something else to replace",
        lambda b: ["build", good_graph(b), "--target", "cpu", "--force", "-o", str(b.folder)],
        "is no engine package, so it is not replaced",
    ),
    (
        "a demo over a folder of something else",
        lambda b: ["demo", "--force", "-o", str(b.folder)],
        "was not made by a demo",
    ),
    # Packages
    ("no such package", lambda b: ["inspect", "missing"], "found nothing at missing"),
    ("a file for a package", lambda b: ["inspect", good_graph(b)], "found a file at"),
    ("a folder of something else", lambda b: ["inspect", str(b.folder)], "it has no manifest.json"),
    (
        "a manifest of the future",
        lambda b: ["inspect", b.edited_package(lambda d: d.update(schema_version=9))],
        "expected schema_version 1, got 9",
    ),
    (
        "a manifest that lacks a field",
        lambda b: ["inspect", b.edited_package(lambda d: d.pop("batch"))],
        "'batch' is missing",
    ),
    (
        "a manifest that names a path",
        lambda b: [
            "inspect",
            b.edited_package(lambda d: d["files"].update({"/etc/x": d["files"]["model.onnx"]})),
        ],
        "expected plain file names",
    ),
    (
        "a model that was changed",
        lambda b: ["inspect", b.edited_package(lambda d: d["files"]["model.onnx"].update(sha256="0" * 64))],
        "is not the file that was built",
    ),
    # Pictures
    (
        "no such picture",
        lambda b: ["embed", str(b.package), "missing.jpg", "-o", "out.npz"],
        "found nothing at missing.jpg",
    ),
    (
        "a folder without pictures",
        lambda b: ["embed", str(b.package), str(b.folder), "-o", "out.npz"],
        "holds no picture",
    ),
    (
        "text as a picture",
        lambda b: ["embed", str(b.package), b.file(b"hello", "x.jpg"), "-o", "out.npz"],
        "is no picture that Pillow can read",
    ),
    (
        "a truncated picture",
        lambda b: ["embed", str(b.package), half_of(Bench.picture, "x.png")(b), "-o", "out.npz"],
        "cannot be decoded",
    ),
    (
        "no picture at all",
        lambda b: ["embed", str(b.package), "-o", "out.npz"],
        "Missing argument 'PICTURES...'",
    ),
    (
        "an output of another kind",
        lambda b: ["embed", str(b.package), b.picture(), "-o", "out.csv"],
        "ending in .npz",
    ),
    (
        "no thread",
        lambda b: ["embed", str(b.package), b.picture(), "-o", "out.npz", "--threads", "0"],
        "expected 1 to 512 threads, got 0",
    ),
    # Benches and their pictures
    ("a bench without a package", lambda b: ["bench"], "Missing argument 'PACKAGES...'"),
    ("a batch in words", lambda b: ["bench", str(b.package), "--batch", "big"], "expected --batch as whole"),
    ("no time", lambda b: ["bench", str(b.package), "--duration", "0"], "expected --duration in seconds"),
    ("one name twice", lambda b: ["bench", str(b.package), str(b.package)], "of different folder names"),
    (
        "a set nobody has",
        lambda b: ["bench", str(b.package), "--data", "nowhere"],
        "found nothing called nowhere",
    ),
    (
        "a set without splits",
        lambda b: ["bench", str(b.package), "--data", str(b.folder)],
        "bounding_box_test",
    ),
    (
        "a set without a gallery",
        lambda b: ["bench", str(b.package), "--data", b.folder_of(query={"0001_c1s1_1_00.jpg": b"x"})],
        "has query/ but no bounding_box_test/",
    ),
    (
        "a picture of no pattern",
        lambda b: ["bench", str(b.package), "--data", b.folder_of(query={"a.jpg": b"x"}, **GALLERY)],
        "a.jpg",
    ),
    (
        "a result in a folder that is not there",
        lambda b: ["bench", str(b.package), "--json", "none/r.json"],
        "the folder none does not exist",
    ),
    (
        "a reference that is a checkpoint",
        lambda b: ["bench", str(b.package), "--reference", str(b.checkpoint)],
        "is no graph for ONNX Runtime",
    ),
    # Sets
    (
        "a set to check that is nowhere",
        lambda b: ["data", "check", "nowhere"],
        "found nothing called nowhere",
    ),
    ("nothing to check", lambda b: ["data", "check"], "Missing argument 'SET'"),
    ("a folder of no layout", lambda b: ["data", "check", str(b.folder)], "bounding_box_train"),
    ("an archive for a set", lambda b: ["data", "check", b.file(b"PK", "set.zip")], "unpack an archive"),
    (
        "another layout than was named",
        lambda b: ["data", "check", f"msmt17={b.folder}"],
        "expected msmt17 with list_*.txt",
    ),
    ("an empty table", lambda b: ["data", "check", b.file(b"", "x.csv")], "is empty; its first line must be"),
    (
        "a table without a column",
        lambda b: ["data", "check", b.file(b"path,camera\na.jpg,1\n", "x.csv")],
        "identity cannot be left out",
    ),
    (
        "a table with a split nobody knows",
        lambda b: ["data", "check", b.file(b"path,identity,camera,split\nx.csv,1,1,val\n", "x.csv")],
        "got 'val' in line 2",
    ),
    (
        "a table that names a missing picture",
        lambda b: ["train", "quick", "--data", b.file(b"path,identity\nno.jpg,1\n", "x.csv"), "-o", "run"],
        "found none there",
    ),
    (
        "a pattern without an identity",
        lambda b: ["data", "check", f"{b.folder}::*.jpg"],
        "with {identity} and perhaps",
    ),
    (
        "a pattern that nothing fits",
        lambda b: ["data", "check", f"{b.folder_of(a={'x.jpg': b''})}::{{identity}}_{{camera}}.jpg"],
        "the first is a/x.jpg",
    ),
    (
        "a split too far",
        lambda b: ["data", "check", b.folder_of(query={"0001_c1.jpg": b"x"}, **GALLERY), "--split", "1"],
        "from 0 to 0, got 1",
    ),
    (
        "a list of MSMT17 that is none",
        lambda b: ["data", "check", b.folder_of(train={}, test={}, **{".": {"list_train.txt": b"x"}})],
        "such as 0000/0000_000_01",
    ),
    (
        "a sheet of another kind",
        lambda b: ["data", "check", str(b.folder), "--sheet", "x.pdf"],
        "ending in .png, got x.pdf",
    ),
    (
        "sources with a name missing",
        lambda b: ["train", "quick", "--data", "market1501,,msmt17", "-o", "run"],
        "expected sets such as market1501,msmt17",
    ),
    (
        "a style nobody knows",
        lambda b: ["data", "synthesize", "-o", "out", "--style", "noir"],
        "expected a style of plain, dusk",
    ),
    # Calibration sets
    ("calibration from nothing", lambda b: ["calibrate", "-o", "x"], "expected --data with a re-ID set, or"),
    ("calibration without an output", lambda b: ["calibrate", "--data", "x"], "Missing option '-o'"),
    ("no picture to calibrate with", calibrated("--images", "0"), "expected --images of 1 or more"),
    ("a drawing of no seed", calibrated("--seed", "-1"), "--seed of 0 or more, got 512 and -1"),
    ("too few people to hold out", calibrated("--held-out", "31"), "expected 32 held-out people or more"),
    ("people held out below none", calibrated("--held-out", "-1"), "or 0 for none"),
    ("calibration on a set nobody has", calibrated("--data", "nowhere"), "found nothing called nowhere"),
    ("exclusion of a set nobody has", calibrated("--exclude", "nowhere"), "found nothing called nowhere"),
    (
        "exclusion of a set without tests",
        lambda b: [*calibrated()(b), "--exclude", f"{b.folder}/set"],
        "expected query or gallery pictures in",
    ),
    (
        "a set to calibrate with that has no training pictures",
        lambda b: ["calibrate", "-o", "x", "--data", b.folder_of(query={"0001_c1.jpg": b"x"}, **GALLERY)],
        "expected pictures to train on",
    ),
    (
        "a training picture that is text",
        lambda b: [
            "calibrate",
            "-o",
            "x",
            "--data",
            b.folder_of(bounding_box_train={"0001_c1s1_000001_00.jpg": b"x"}),
        ],
        "is no picture that Pillow can read",
    ),
    (
        "a calibration set in a folder that is not there",
        lambda b: ["calibrate", "-o", "none/x", "--data", people(b)],
        "the folder none does not exist",
    ),
    ("frames that are none", lambda b: framed(b, frames={}), "expected frames in img1/ with boxes"),
    ("frames without boxes", lambda b: framed(b, img1={"1.jpg": b"x"}), "with boxes in gt/gt.txt in"),
    (
        "boxes in words",
        lambda b: framed(b, img1={"1.jpg": b"x"}, gt={"gt.txt": b"1,1,2,3,4,5\nleft,top\n"}),
        "more numbers in line 2 of",
    ),
    (
        "boxes of frames that are not there",
        lambda b: framed(b, img1={"1.jpg": b"x"}, gt={"gt.txt": b"2,1,2,3,4,5\n"}),
        "found none in gt/gt.txt for its 1 pictures",
    ),
    (
        "a frame that is text",
        lambda b: framed(b, img1={"1.jpg": b"x"}, gt={"gt.txt": b"1,1,2,3,4,5\n"}),
        "is no picture that Pillow can read",
    ),
    # Evaluation
    ("an evaluation of nothing", lambda b: ["eval", "--data", "x"], "Missing argument 'CHECKPOINTS...'"),
    ("an evaluation on nothing", lambda b: ["eval", good_checkpoint(b)], "Missing option '--data'"),
    ("a folder for a checkpoint", evaluated(lambda b: str(b.folder)), "is a folder; name the .pth in it"),
    ("a graph for a checkpoint", evaluated(good_graph), "is no torch checkpoint"),
    ("a test set nobody has", evaluated(good_checkpoint, "nowhere"), "found nothing called nowhere"),
    ("a test set without a name", evaluated(good_checkpoint, "a,,b"), "expected sets such as"),
    ("no queries", evaluated(good_checkpoint, lambda b: b.folder_of(**GALLERY)), "but no query/"),
    (
        "people that nobody looks for",
        evaluated(good_checkpoint, lambda b: b.folder_of(query={"0002_c1s1_000001_00.jpg": b"x"}, **GALLERY)),
        "to have its identity in the gallery under another camera, but none of 1 has",
    ),
    (
        "pictures of one camera",
        evaluated(good_checkpoint, lambda b: b.folder_of(query={"0001_c2s1_000001_00.jpg": b"x"}, **GALLERY)),
        "expected pictures of 2 cameras or more in set, but all are of camera 2",
    ),
    (
        "a test picture that is text",
        evaluated(good_checkpoint, lambda b: b.folder_of(query={"0001_c1s1_000001_00.jpg": b"x"}, **GALLERY)),
        "is no picture that Pillow can read",
    ),
    (
        "one set twice",
        evaluated(
            good_checkpoint,
            lambda b: ",".join(
                [b.folder_of(query={"0001_c1s1_000001_00.jpg": b"x"}, **GALLERY), f"{b.folder}/set"]
            ),
        ),
        "got set twice",
    ),
    (
        "one checkpoint twice",
        lambda b: ["eval", good_checkpoint(b), good_checkpoint(b), "--data", "x"],
        "expected checkpoints of different file names",
    ),
    ("a distance nobody knows", evaluated(good_checkpoint, "x", "--distance", "l1"), "'l1' is not one of"),
    ("no picture to look at", evaluated(good_checkpoint, "x", "--queries", "0"), "--queries from 1 to 200"),
    ("a batch of no picture", evaluated(good_checkpoint, "x", "--batch", "0"), "--batch from 1 to 1024"),
    ("scoring without a thread", evaluated(good_checkpoint, "x", "--threads", "0"), "1 to 512 threads"),
    ("an input of no size", evaluated(good_checkpoint, "x", "--size", "1x1"), "32 to 4096 pixels"),
    (
        "a page over a checkpoint",
        lambda b: ["eval", good_checkpoint(b), "--data", "x", "--pictures", good_checkpoint(b)],
        "a file ending in .html",
    ),
    (
        "a page in a folder that is not there",
        evaluated(good_checkpoint, "x", "--pictures", "none/page.html"),
        "the folder none does not exist",
    ),
    # Training and drawing
    (
        "nothing to train on",
        lambda b: ["train", "quick", "--data", str(b.folder), "-o", "run"],
        "bounding_box_train",
    ),
    (
        "a recipe that there is not",
        lambda b: ["train", "slow", "--data", str(b.folder), "-o", "run"],
        "there is no recipe 'slow'; give a .toml file or one of adapt",
    ),
    (
        "a recipe that is no TOML",
        lambda b: ["train", b.file(b"[batches", "x.toml"), "--data", str(b.folder), "-o", "run"],
        "is not TOML",
    ),
    (
        "a fit of no epoch",
        lambda b: ["train", "quick", "--data", str(b.folder), "-o", "run", "--epochs", "0"],
        "expected epochs of 1 or more",
    ),
    (
        "a seed below zero",
        lambda b: ["train", "quick", "--data", str(b.folder), "-o", "run", "--seed", "-1"],
        "expected a seed",
    ),
    (
        "a rate that is no number",
        lambda b: trained(b, "--set", "optimizer.learning_rate=nan"),
        "learning_rate: expected a finite number",
    ),
    (
        "a field of a recipe that there is not",
        lambda b: trained(b, "--set", "optimizer.rate=1"),
        "unknown field 'rate'",
    ),
    (
        "weights of another network than the one to train",
        lambda b: trained(b, "--weights", str(b.checkpoint), "--arch", "osnet_x1_0"),
        "expected weights of osnet_x1_0, got osnet_x0_25",
    ),
    (
        "weights that are not there",
        lambda b: trained(b, "--weights", "none.pth"),
        "there is no file none.pth",
    ),
    (
        "a placement that is none",
        lambda b: trained(b, "--placement", b.file(b"{}", "p.json")),
        "is no placement file",
    ),
    (
        "a value of a recipe nested without end",
        lambda b: trained(b, "--set", "schedule.milestones=" + "[" * 5_000),
        "milestones: expected a list",
    ),
    (
        "a recipe nested without end",
        lambda b: ["train", b.file(b"a = " + b"[" * 5_000, "x.toml"), "--data", str(b.folder), "-o", "run"],
        "is not TOML",
    ),
    (
        "two test sets of one name",
        lambda b: trained(b, "--test", f"{street_of(b, 'a')},{street_of(b, 'b')}"),
        "expected --test sets of different names, since scores go by them, got two of 'street'",
    ),
    (
        "a test set that is not there",
        lambda b: trained(b, "--test", "nowhere"),
        "nowhere",
    ),
    (
        "scores every no epoch",
        lambda b: trained(b, "--test", "nowhere", "--test-every", "0"),
        "expected --test-every of 1 epoch",
    ),
    (
        "no run to resume",
        lambda b: trained(b, "--resume"),
        "found no last.ckpt there",
    ),
    (
        "a run folder that is taken",
        lambda b: trained(b, output=str(b.folder)),
        "is already there and holds other things (0001_c1s1_000001_00.png)",
    ),
    (
        "a run folder in a folder that is not there",
        lambda b: trained(b, output="none/run"),
        "the folder none does not exist",
    ),
    (
        "a negative number of workers",
        lambda b: trained(b, "--workers", "-1"),
        "expected 0 to 256 workers",
    ),
    (
        "nothing to search on",
        lambda b: ["search", "--data", str(b.folder), "-o", "x"],
        "bounding_box_train",
    ),
    ("a search of no set", lambda b: ["search", "-o", "x"], "Missing option '--data'"),
    ("a search of no epoch", searched("--epochs", "0"), "expected epochs and a rate above 0"),
    ("a search of no rate", searched("--learning-rate", "inf"), "a rate above 0"),
    ("a search whose shares stand still", searched("--share-rate", "0"), "a rate above 0 for the shares"),
    ("a search in a batch of one", searched("--batch", "1"), "a batch of 2 or more"),
    ("a search in a batch past the set", searched("--batch", "99"), "ask for a smaller batch"),
    ("a search at no temperature", searched("--temperature", "nan"), "expected temperatures above 0"),
    ("a temperature that rises", searched("--lowest", "20"), "the lowest no higher than the first"),
    ("halvings before now", searched("--halve-every", "-1"), "halvings 1 epoch apart or more"),
    ("a search at a width nobody knows", searched("--width", "x2_0"), "expected a width of x1_0"),
    ("a search at a size of no picture", searched("--size", "8x8"), "32 to 4096 pixels a side"),
    ("a search on a device nobody knows", searched("--device", "tpu"), "'tpu' is not one of"),
    ("a search with less than no workers", searched("--workers", "-1"), "0 to 256 workers"),
    ("a search with a seed below zero", searched("--seed", "-1"), "expected a seed"),
    (
        "a search into a folder that is there",
        lambda b: ["search", "--data", people(b), "-o", str(b.folder), "--batch", "2"],
        "is already there",
    ),
    ("a name too long", lambda b: ["export", good_checkpoint(b), "-o", "x" * 300], "choose another path"),
    ("a batch past the engine's", lambda b: ["bench", str(b.package), "--batch", "64"], "batches of 1 to 32"),
    (
        "a manifest nested without end",
        lambda b: ["inspect", b.folder_of(x={"manifest.json": b"[" * 100_000}) + "/x"],
        "is not JSON",
    ),
    (
        "cameras without end",
        lambda b: ["data", "synthesize", "-o", "out", "--cameras", "9" * 9],
        "at most 100",
    ),
    (
        "a frame that no file holds",
        lambda b: ["data", "synthesize", "-o", "out", "--frames", "1", "--frame-size", "120x99999"],
        "at most 8192",
    ),
    (
        "the checkpoint as output",
        lambda b: ["export", given(b, b.checkpoint), "-o", str(b.folder / "osnet.pth")],
        "is the checkpoint itself",
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
    ("a device as output", lambda b: ["bench", str(b.package), "--json", "/dev/full"], "device, pipe"),
    (
        "an output inside a package",
        lambda b: ["bench", str(b.package), "--report", f"{b.package}/model.onnx"],
        "is an engine package",
    ),
    (
        "one file for two outputs",
        lambda b: ["bench", str(b.package), "--json", "x", "--report", "x"],
        "to name two files",
    ),
    ("threads without end", lambda b: ["bench", str(b.package), "--threads", "9" * 9], "1 to 512 threads"),
    (
        "a picture of 16 bits",
        lambda b: ["embed", str(b.package), deep_picture(b), "-o", "out.npz"],
        "more than 8 bits a channel",
    ),
    (
        "golden pairs of another kind",
        lambda b: ["inspect", "--prove", with_golden(b, np.array(["a"]))],
        "are no golden pairs",
    ),
    (
        "golden pairs that are empty",
        lambda b: ["inspect", "--prove", with_golden(b, None)],
        "expected golden pairs",
    ),
    ("a set of one camera", lambda b: ["data", "synthesize", "-o", "out", "--cameras", "1"], "camera"),
    (
        "less than no frames",
        lambda b: ["data", "synthesize", "-o", "out", "--frames", "-1"],
        "expected --frames",
    ),
    ("a command nobody knows", lambda b: ["compile"], "No such command"),
]


@pytest.mark.parametrize(("sentence", "arguments", "message"), CASES, ids=[case[0] for case in CASES])
def test_bad_input_ends_in_one_line_and_exit_code_2(
    sentence: str,
    arguments: Arguments,
    message: str,
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    given = arguments(bench)
    before = {path: path.stat().st_size for path in bench.folder.rglob("*")}
    assert main(given) == 2
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if not re.match(r"  .* \.\.\.$", line)]
    assert out == ""
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert list(work.iterdir()) == []
    assert {path: path.stat().st_size for path in bench.folder.rglob("*")} == before


def test_there_are_at_least_fifty_cases() -> None:
    assert len({sentence for sentence, _, _ in CASES}) >= 50
