"""Packages that `inspect` refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from bad_input.cases import Bench, Case, Refused, each, good_graph
from osnet_edge.runtime.files import sha256_of
from osnet_edge.train.synthetic import sample_crops


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


@each(
    ("no such package", lambda b: ["inspect", "missing"], "found nothing at missing"),
    ("a file for a package", lambda b: ["inspect", good_graph(b)], "found a file at"),
    ("a folder of something else", lambda b: ["inspect", str(b.folder)], "it has no manifest.json"),
)
def test_packages(case: Case, refused: Refused) -> None:
    refused(case)


@each(
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
    (
        "a manifest nested without end",
        lambda b: ["inspect", b.folder_of(x={"manifest.json": b"[" * 100_000}) + "/x"],
        "is not JSON",
    ),
)
def test_manifests_and_the_files_that_they_name(case: Case, refused: Refused) -> None:
    refused(case)


@each(
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
)
def test_golden_pairs(case: Case, refused: Refused) -> None:
    refused(case)
