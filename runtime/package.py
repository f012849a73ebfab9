"""An engine package on disk: a folder with a manifest, a model file and golden pairs."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.manifest import FileEntry, Manifest, Target, read_manifest
from osnet_edge.runtime.plan import TITLES
from osnet_edge.runtime.preprocessing import Picture


def open_package(package: Path) -> Manifest:
    """Read a package's manifest, and hold every file to its size and hash.

    Raises:
        InputError: it is no package, or a file is missing or was changed; the message names it.
    """
    manifest = read_manifest(package)
    check_files(package, manifest.files)
    return manifest


def check_files(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Hold files in a folder to their sizes and hashes.

    Raises:
        InputError: one is missing or was changed; the message names it.
    """
    for name, entry in files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{folder}: {name} is missing; copy the whole package again, or build it again")
        size = path.stat().st_size
        if size != entry.bytes or sha256_of(path) != entry.sha256:
            raise InputError(
                f"{folder}: {name} is not the file that was built (expected {entry.bytes} bytes of SHA-256 "
                f"{entry.sha256[:12]}..., got {size}); copy the whole package again, or build it again"
            )


def check_target(target: Target) -> None:
    """Hold a package to this machine, as far as it can be told before anything is loaded.

    Raises:
        InputError: it was built for another kind of processor.
    """
    if target.backend in TITLES and target.machine != platform.machine():
        raise InputError(
            f"this engine was built on {target.machine} and this machine is {platform.machine()}; "
            "a TensorRT plan runs on the kind of machine that it was built for: build it again here"
        )


def read_golden(package: Path, manifest: Manifest) -> tuple[Picture, NDArray[np.float32]]:
    """Read a package's golden pairs.

    Returns:
        Crops, uint8 (K, H, W, 3) RGB, and their embeddings, float32 (K, D), of length 1.

    Raises:
        InputError: the file is not what `osnet-edge build` writes.
    """
    path = package / manifest.golden.file
    try:
        with np.load(path, allow_pickle=False) as pairs:
            crops, embeddings = pairs["crops"], pairs["embeddings"]
    except Exception as error:
        # A damaged npz makes numpy and zipfile raise nearly anything.
        raise InputError(
            f"{path}: expected golden pairs (crops, embeddings), got {first_line(error)}; build it again"
        ) from None
    fits = (
        crops.dtype == np.uint8
        and crops.ndim == 4
        and crops.shape[3:] == (3,)
        and embeddings.dtype == np.float32
        and embeddings.shape == (len(crops), manifest.model.embedding_size)
        and len(crops) > 1
    )
    if not fits:
        raise InputError(
            f"{path}: crops {crops.shape} of {crops.dtype} and embeddings {embeddings.shape} of "
            f"{embeddings.dtype} are no golden pairs; build it again"
        )
    return crops, embeddings
