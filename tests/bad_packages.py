"""Packages that no publisher of ours would make, for the tests of what refuses them."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fleet import tiny_package

from osnet_edge.runtime.files import sha256_of


def rewritten(package: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a package with another manifest, signed and shipped by an insider."""
    copy = Path(shutil.copytree(package, folder / "tiny"))
    _rewrite(copy, change)
    return copy


def _rewrite(package: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((package / "manifest.json").read_text())
    change(document)
    (package / "manifest.json").write_text(json.dumps(document))


def archive_anyway(package: Path, archive: Path) -> None:
    """Pack whatever is there, as our publisher would not."""
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as opened:
        for path in sorted(package.iterdir()):
            opened.add(path, path.name)


def ruined(folder: Path) -> Path:
    """A package whose golden pairs are another network's."""
    copy = Path(shutil.copytree(tiny_package(2), folder / "ruined"))
    with np.load(copy / "golden.npz") as pairs:
        np.savez_compressed(copy / "golden.npz", crops=pairs["crops"], embeddings=pairs["embeddings"][::-1])
    entry = {"sha256": sha256_of(copy / "golden.npz"), "bytes": (copy / "golden.npz").stat().st_size}
    _rewrite(copy, lambda document: document["files"].update({"golden.npz": entry}))
    return copy
