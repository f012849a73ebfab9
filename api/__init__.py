"""OSNet person re-identification, from a checkpoint to a measured engine on a camera.

Example:
    from osnet_edge import Embedder

    embedder = Embedder.load("osnet-cpu")       # a package made by `osnet-edge build`
    embeddings = embedder(crops)                # H x W x 3 uint8 arrays, or PIL images, to (N, 512)

Where things are:
    osnet_edge.runtime   a package to embeddings: Embedder, FollowingEmbedder, read_manifest, the errors
    osnet_edge.export    a checkpoint to ONNX: export_onnx
    osnet_edge.engines   ONNX to a package: build_package, tune
    osnet_edge.bench     scores, latencies and reports
    osnet_edge.track     identities through a camera's frames, and their scores
    osnet_edge.train     the networks and their training: load_osnet, save_osnet, train
    osnet_edge.ship      signed releases, and the agent that installs them
    osnet_edge.cli       the command `osnet-edge`

All but `osnet_edge.bench` need no library until a name is used. docs/RUNTIME.md goes from a checkpoint to
embeddings in Python.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime since 1.29 tells Microsoft of its sessions, unless this is there when it is imported. Nothing
# leaves a camera unasked; and the thread that tells makes a forked child hang at its end. Python runs this
# file before any other of the package, so that it holds for each of them, and for the processes they start.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from osnet_edge.runtime.lazy import hand_on

if TYPE_CHECKING:
    from osnet_edge.runtime import (
        BoxEmbeddings,
        CheckError,
        Embedder,
        FollowingEmbedder,
        InputError,
        Manifest,
        OsnetEdgeError,
        UnavailableError,
        read_manifest,
    )

    __version__: str

__all__ = [
    "BoxEmbeddings",
    "CheckError",
    "Embedder",
    "FollowingEmbedder",
    "InputError",
    "Manifest",
    "OsnetEdgeError",
    "UnavailableError",
    "__version__",
    "read_manifest",
]

# The runtime knows where each is.
_find, _names = hand_on(
    __name__, dict.fromkeys((name for name in __all__ if name != "__version__"), "runtime")
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("osnet-edge")
    return _find(name)


def __dir__() -> list[str]:
    return sorted({*_names(), "__version__"})
