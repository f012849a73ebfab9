"""The best package of a release for this device, and why the others do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from osnet_edge.runtime.backends.registry import backend_named
from osnet_edge.runtime.backends.tensorrt.library import same_version
from osnet_edge.ship.channel import Artifact
from osnet_edge.ship.device.facts import DeviceFacts
from osnet_edge.ship.requirements import Requirements

_UNKNOWN = float("inf")


def why_not(needs: Requirements, facts: DeviceFacts) -> str:
    """Return in a few words why a package does not fit a device; empty if it fits.

    Example:
        >>> jetson = DeviceFacts("jetson-orin-nano", "aarch64", "8.7", 7600, {"tensorrt": "10.3.0.30"})
        >>> why_not(Requirements("tensorrt", "10.3", models=("jetson-orin-nano",)), jetson)
        ''
        >>> why_not(Requirements("tensorrt", "10.30"), jetson)
        'needs tensorrt 10.30, has 10.3.0.30'
    """
    has = facts.backends.get(needs.backend, "")
    if needs.models and facts.model not in needs.models:
        return f"needs {' or '.join(needs.models)}, is {facts.model}"
    if needs.machine and needs.machine not in (facts.machine, *facts.processors):
        return f"needs {needs.machine}, is {facts.processors[-1] if facts.processors else facts.machine}"
    if not has:
        return f"needs {needs.backend}, has none"
    # As far as both tell: a plan's header has four numbers, JetPack's Python package three.
    if not same_version(has, needs.backend_version):
        return f"needs {needs.backend} {needs.backend_version}, has {has}"
    if needs.compute_capabilities and facts.compute_capability not in needs.compute_capabilities:
        listed = " or ".join(needs.compute_capabilities)
        return f"needs compute capability {listed}, has {facts.compute_capability or 'no GPU'}"
    if facts.memory_mb < needs.memory_mb:
        return f"needs {needs.memory_mb} MB of memory, has {facts.memory_mb}"
    return ""


def choose(
    offers: Iterable[Artifact], facts: DeviceFacts, prefer: Literal["fast", "accurate"]
) -> tuple[Artifact | None, str]:
    """Choose the best package that fits.

    The best is the fastest or the most accurate one by its bench result, as the device prefers; then by the
    other of the two; then one that need not be built here; then the smaller. Packages without a bench result
    come last.

    Returns:
        The package and an empty text, or None and the reason why no package fits.
    """
    fitting, reasons = [], []
    for artifact in offers:
        reason = why_not(artifact.needs, facts) or _no_int8(artifact, facts)
        if reason:
            reasons.append(f"{artifact.name} {reason}")
        else:
            fitting.append(artifact)
    if not fitting:
        return None, "; ".join(reasons) or "it has no packages"
    return min(fitting, key=_ORDERS[prefer]), ""


def _no_int8(artifact: Artifact, facts: DeviceFacts) -> str:
    """Return why INT8 for any processor does not fit; the library may not support it on this one."""
    kind = facts.processors[-1] if facts.processors else ""
    needed = backend_named(artifact.needs.backend).int8_from.get(kind)
    return f"needs {needed}, is {kind}" if needed and artifact.precision == "int8" else ""


def _slowness(artifact: Artifact) -> float:
    return _UNKNOWN if artifact.latency_ms is None else artifact.latency_ms


def _error(artifact: Artifact) -> float:
    return _UNKNOWN if artifact.mean_ap is None else -artifact.mean_ap


def _rest(artifact: Artifact) -> tuple[bool, int, str]:
    return artifact.kind == "recipe", artifact.bytes, artifact.name


_ORDERS: dict[str, Callable[[Artifact], tuple[object, ...]]] = {
    "fast": lambda artifact: (_slowness(artifact), _error(artifact), _rest(artifact)),
    "accurate": lambda artifact: (_error(artifact), _slowness(artifact), _rest(artifact)),
}
