"""An engine package to embeddings, as it runs on a camera: numpy, Pillow and the package's own backend.

Example:
    from osnet_edge.runtime import Embedder

    embedder = Embedder.load("osnet-cpu")
    embeddings = embedder(crops)
"""

from osnet_edge.runtime.embedder import BoxEmbeddings, Embedder
from osnet_edge.runtime.errors import CheckError, InputError, OsnetEdgeError, UnavailableError
from osnet_edge.runtime.following import FollowingEmbedder
from osnet_edge.runtime.manifest import Manifest, read_manifest
from osnet_edge.runtime.preprocessing import Preprocessing

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
