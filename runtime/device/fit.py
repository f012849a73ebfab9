"""What a package's own manifest asks of a device: the publisher states it, and the device checks it again."""

from __future__ import annotations

from osnet_edge.runtime.device.channel import Needs
from osnet_edge.runtime.manifest import Manifest


def needs_of(manifest: Manifest) -> Needs:
    """Return what a package needs by its manifest.

    A plan runs on the exact version that built it, on the same kind of processor and GPU; a graph for a CPU
    on any of them.
    """
    target = manifest.target
    cuda = target.device == "cuda"
    return Needs(
        backend=target.backend,
        backend_version=target.backend_version if target.exact_version else "",
        machine=target.machine if cuda else "",
        compute_capabilities=target.compute_capabilities if cuda else (),
    )
