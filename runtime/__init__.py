"""An engine package to embeddings, as it runs on a camera: numpy, Pillow and the package's own backend.

Example:
    from osnet_edge.runtime import Embedder

    embedder = Embedder.load("osnet-cpu")
    embeddings = embedder(crops)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from osnet_edge.runtime.lazy import hand_on

if TYPE_CHECKING:
    from osnet_edge.runtime.embedder import BoxEmbeddings, Embedder
    from osnet_edge.runtime.errors import CheckError, InputError, OsnetEdgeError, UnavailableError
    from osnet_edge.runtime.following import FollowingEmbedder
    from osnet_edge.runtime.package.manifest import Manifest, read_manifest
    from osnet_edge.runtime.preprocessing import Preprocessing

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

__getattr__, __dir__ = hand_on(__name__, _HOMES)
