"""Sets, and options, that `bench` refuses."""

from __future__ import annotations

from bad_input.cases import GALLERY, Case, Refused, each
from osnet_edge.runtime.backends.onnxruntime import allowed_cores


@each(
    ("a bench without a package", lambda b: ["bench"], "Missing argument 'PACKAGES...'"),
    ("one name twice", lambda b: ["bench", str(b.package), str(b.package)], "of different folder names"),
    (
        "a reference that is a checkpoint",
        lambda b: ["bench", str(b.package), "--reference", str(b.checkpoint)],
        "is no graph for ONNX Runtime",
    ),
)
def test_packages_and_references(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "a set nobody has",
        lambda b: ["bench", str(b.package), "--data", "nowhere"],
        "found nothing called nowhere",
    ),
    (
        "a set without splits",
        lambda b: ["bench", str(b.package), "--data", str(b.folder)],
        "is no re-ID set that is known by its folders",
    ),
    (
        "a set without a gallery",
        lambda b: ["bench", str(b.package), "--data", b.folder_of(query={"0001_c1s1_1_00.jpg": b"x"})],
        "has query/ but no bounding_box_test/",
    ),
    (
        "an image of no pattern",
        lambda b: ["bench", str(b.package), "--data", b.folder_of(query={"a.jpg": b"x"}, **GALLERY)],
        "a.jpg",
    ),
)
def test_sets(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("a batch in words", lambda b: ["bench", str(b.package), "--batch", "big"], "expected --batch as whole"),
    ("no time", lambda b: ["bench", str(b.package), "--duration", "0"], "expected --duration in seconds"),
    (
        "a batch past the engine's",
        lambda b: ["bench", str(b.package), "--batch", "64"],
        "takes batches of 1 to 32, and was asked for 64; ",
    ),
    (
        "threads without end",
        lambda b: ["bench", str(b.package), "--threads", "9" * 9],
        "; got 999999999",
    ),
    (
        "a thread more than there are cores",
        lambda b: ["bench", str(b.package), "--threads", str(allowed_cores() + 1)],
        "expected --threads of 1",
    ),
)
def test_numbers(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "a result in a folder that is not there",
        lambda b: ["bench", str(b.package), "--json", "none/r.json"],
        "the folder none does not exist",
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
)
def test_outputs(case: Case, refused: Refused) -> None:
    refused(case)
