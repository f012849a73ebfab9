"""An engine package to embeddings, as it runs on a camera: numpy, Pillow and the package's own backend.

Example:
    from osnet_edge.runtime import Embedder

    embedder = Embedder.load("osnet-cpu")
    embeddings = embedder(crops)
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from osnet_edge.runtime.embedder import BoxEmbeddings, Embedder
    from osnet_edge.runtime.errors import CheckError, InputError, OsnetEdgeError, UnavailableError
    from osnet_edge.runtime.following import FollowingEmbedder
    from osnet_edge.runtime.package.manifest import Manifest, read_manifest
    from osnet_edge.runtime.preprocessing import Preprocessing

# ONNX Runtime since 1.29 tells Microsoft of its sessions, unless this is there when it is imported. Nothing
# leaves a camera unasked; and the thread that tells makes a forked child hang at its end.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

#: Where each name is; it is imported when it is asked for, so that what embeds nothing, as a camera's
#: `osnet-edge device status`, does not wait for numpy and Pillow.
_HOMES = {
    "BoxEmbeddings": "embedder",
    "CheckError": "errors",
    "Embedder": "embedder",
    "FollowingEmbedder": "following",
    "InputError": "errors",
    "Manifest": "package.manifest",
    "OsnetEdgeError": "errors",
    "Preprocessing": "preprocessing",
    "UnavailableError": "errors",
    "read_manifest": "package.manifest",
}

__all__ = [
    "BoxEmbeddings",
    "CheckError",
    "Embedder",
    "FollowingEmbedder",
    "InputError",
    "Manifest",
    "OsnetEdgeError",
    "Preprocessing",
    "UnavailableError",
    "read_manifest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
