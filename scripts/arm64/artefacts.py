"""What the host makes for the camera: graphs, packages and a frame, by the project's own commands."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from osnet_edge.cli.progress import step
from osnet_edge.runtime import Embedder
from osnet_edge.runtime.errors import CheckError
from osnet_edge.train.checkpoint import save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import draw_frame
from osnet_edge.train.variants import variant_named

#: Targets of `osnet-edge build`, by the libraries that run them.
_BACKENDS = {"cpu": "onnxruntime", "openvino": "openvino"}
#: OpenVINO compiles for 2 and for 1, which golden pairs then run by; for 8 it takes many times as long here.
_BATCH = "1,2,32"
#: Drawn people to take ranges from.
_PEOPLE, _PICTURES = 64, 128


@dataclass(frozen=True)
class Package:
    """A package to be built.

    Attributes:
        network: the graph's name.
        target: of `osnet-edge build`.
        precision: fp32 or int8.
        kind: `--processor` of INT8; empty where the command does not have it yet.
    """

    network: str
    target: str
    precision: str
    kind: str = ""

    @property
    def backend(self) -> str:
        """The library that runs it."""
        return _BACKENDS[self.target]

    @property
    def name(self) -> str:
        """What its folder is called."""
        return "-".join(filter(None, (self.network, self.backend, self.precision, self.kind)))


class Artefacts:
    """A folder of graphs, calibration sets and packages; what is there is used again.

    Args:
        folder: the camera's root sees it too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def golden_graph(self, variant: str) -> Path:
        """Export a variant with the weights that the golden embeddings were made with."""
        graph = self.folder / "graphs" / f"{variant}.onnx"
        if not graph.exists():
            checkpoint = graph.with_suffix(".pth")
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            save_osnet(golden_osnet(variant), checkpoint)
            self.export(checkpoint, graph)
        return graph

    def export(self, checkpoint: Path, graph: Path) -> Path:
        """Export a checkpoint, at 256x128."""
        if not graph.exists():
            graph.parent.mkdir(parents=True, exist_ok=True)
            osnet_edge("export", str(checkpoint), "-o", str(graph))
        return graph

    def drawn_people(self) -> Path:
        """Draw people, and a calibration set of them that holds nobody out: accuracy decides nothing."""
        people, chosen = self.folder / "drawn-people", self.folder / "drawn-people.json"
        if not people.exists():
            asked = (
                "--train-people",
                str(_PEOPLE),
                "--test-people",
                "2",
                "--cameras",
                "2",
                "--pictures",
                "2",
            )
            osnet_edge("data", "synthesize", *asked, "-o", str(people))
        return self.calibrate(people, chosen, _PICTURES)

    def calibrate(self, people: Path, chosen: Path, images: int) -> Path:
        """Draw a calibration set."""
        if not chosen.exists():
            drawn = ("--images", str(images), "--held-out", "0")
            osnet_edge("calibrate", "--data", str(people), *drawn, "-o", str(chosen))
        return chosen

    def build(self, package: Package, graph: Path, calibration: Path) -> Path:
        """Build a package.

        Raises:
            RefusedError: the build finds that its engine does not hold on this machine.
            CheckError: it fails otherwise.
        """
        place = self.folder / "packages" / package.name
        if not place.exists():
            step(f"building {package.name}")
            place.parent.mkdir(exist_ok=True)
            more = ["--calibration", str(calibration)] if package.precision == "int8" else []
            more += ["--processor", package.kind] if package.kind else []
            asked = ("--target", package.target, "--precision", package.precision, "--batch", _BATCH)
            osnet_edge("build", str(graph), *asked, *more, "-o", str(place))
        return place

    def frame(self, package: Path) -> Path:
        """Draw a frame with boxes, one over its edge and one outside, and embed them on this machine."""
        file = self.folder / f"frame-{package.name}.npz"
        if not file.exists():
            frame, boxes, _ = draw_frame(people=5, size=(640, 360), seed=3)
            width = frame.shape[1]
            edge = [[-20, 40, 50, 200], [width + 10, 10, width + 90, 180]]
            boxes = np.concatenate([boxes, np.array(edge, np.float32)])
            embeddings, valid = Embedder.load(package).embed_boxes(frame, boxes)
            np.savez(file, frame=frame, boxes=boxes, embeddings=embeddings, valid=valid)
        return file


def golden_osnet(variant: str) -> OSNet:
    """Draw the golden weights of a variant: by sorted name, from one generator, in float64, then rounded.

    They are those of the golden embeddings of the tests but for the classifier, which no package has.
    """
    model = OSNet(variant_named(variant), num_classes=751)
    rng = np.random.default_rng(20201)
    drawn = {}
    for name, tensor in sorted(model.state_dict().items()):
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            drawn[name] = torch.zeros(shape, dtype=torch.int64)
            continue
        if name.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif name.endswith(("running_mean", ".bias")):
            value = rng.normal(0, 0.1, shape)
        elif len(shape) == 1:
            value = rng.uniform(0.8, 1.2, shape)
        else:
            value = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        drawn[name] = torch.from_numpy(value.astype(np.float32))
    model.load_state_dict(drawn, strict=True)
    return model.eval()


def takes_processor() -> bool:
    """Whether `osnet-edge build` can be called with which processor INT8 is for."""
    return "--processor" in osnet_edge("build", "--help")


class RefusedError(CheckError):
    """A command that said in its own words that it could not do its job, such as to prove an engine."""


def osnet_edge(*words: str) -> str:
    """Run the project's command line on this machine; return what it printed.

    Raises:
        RefusedError: it could not do its job, by its own check; the message is its own.
        CheckError: it failed otherwise.
    """
    command = [sys.executable, "-m", "osnet_edge.cli.main", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if ran.returncode != 0:
        lines = ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"]
        said, refused = (
            lines[-1].removeprefix("error: "),
            ran.returncode == 1 and lines[-1].startswith("error: "),
        )
        raise (RefusedError if refused else CheckError)(f"osnet-edge {words[0]}: {said}")
    return ran.stdout
