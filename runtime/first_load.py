"""An engine that rounds, on another kind of processor than it was built for: verified at its first load.

INT8 and bf16 engines compute by whatever kernels a library has for the processor at hand. Where that is of
the kind that the engine was built and proven for, nothing is left to check; elsewhere its golden pairs are
run once, and that they held is remembered in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from osnet_edge.runtime.backends.registry import backend_named
from osnet_edge.runtime.errors import OsnetEdgeError
from osnet_edge.runtime.files import MANIFEST_NAME, sha256_of, write_json
from osnet_edge.runtime.installed import installed_version
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.precisions import PRECISIONS
from osnet_edge.runtime.processor import ANY, this_processor


def must_be_verified(package: Path, manifest: Manifest) -> bool:
    """Whether the golden pairs of a package must hold here before it embeds anything."""
    rounds = manifest.target.device == "cpu" and PRECISIONS[manifest.precision].by_processor
    here = this_processor().kind
    # Of a processor that is of no kind nothing is known, but that it is not the one that it was built on.
    if not rounds or (manifest.target.processor == here and here != ANY):
        return False
    place = _place(package, manifest)
    try:
        return place is None or not place.is_file()
    except OSError:
        # A cache that this user may not enter, or whose name is too long, remembers nothing.
        return True


def remember_verified(package: Path, manifest: Manifest) -> None:
    """Remember that the golden pairs held, so that they are not run again at the next start.

    Where there is no place to remember it, as on a camera with a read-only disk, they are: it takes
    milliseconds.
    """
    place = _place(package, manifest)
    if place is None:
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, _what_it_depends_on(package, manifest))
    except (OSError, OsnetEdgeError):
        pass


def _place(package: Path, manifest: Manifest) -> Path | None:
    """Return the file that remembers: it exists where the golden pairs held."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        # A service may run as a user without a home.
        return None
    text = json.dumps(_what_it_depends_on(package, manifest), sort_keys=True)
    return Path(home) / "osnet-edge" / "verified" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _what_it_depends_on(package: Path, manifest: Manifest) -> dict[str, object]:
    here, backend = this_processor(), backend_named(manifest.target.backend)
    return {
        # Which has the hashes of all other files.
        "manifest_sha256": sha256_of(package / MANIFEST_NAME),
        "backend": f"{manifest.target.backend} {backend.version_here or ''}",
        "osnet-edge": installed_version("osnet-edge") or "",
        "processor": [here.architecture, *here.features],
    }
