"""Wrong inputs: good things to spoil, and tables of what was spoilt with what is said of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from PIL import Image

from osnet_edge.train.checkpoint import read_state
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


#: Makes the arguments of a command from good things.
Arguments = Callable[[Bench], list[str]]
#: What is wrong, in a sentence; how it is given; words of the line that says so.
Case = tuple[str, Arguments, str]
#: Holds a case to what it says: the fixture of this name.
Refused = Callable[[Case], None]
GALLERY = {"bounding_box_test": {"0001_c2s1_000001_00.jpg": b"x"}}


def each(*cases: Case) -> pytest.MarkDecorator:
    """Run a test on each case."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in cases])


def good_checkpoint(bench: Bench) -> str:
    return str(bench.checkpoint)


def good_graph(bench: Bench) -> str:
    return str(bench.graph)


def half_of(path: Callable[[Bench], str], name: str) -> Callable[[Bench], str]:
    def cut(bench: Bench) -> str:
        content = Path(path(bench)).read_bytes()
        return bench.file(content[: len(content) // 2], name)

    return cut


def people(bench: Bench) -> str:
    """A set of two people, to train on."""
    picture = Path(bench.picture()).read_bytes()
    return bench.folder_of(bounding_box_train={f"000{k}_c1s1_1_00.png": picture for k in (1, 2)})
