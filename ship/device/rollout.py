"""Which release a device should have: decided on the device, from the signed channel and its own name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from osnet_edge.ship.channel import Channel, Release
from osnet_edge.ship.times import parse_time

_PERCENT = 100.0


@dataclass(frozen=True)
class Decision:
    """What a device should do.

    Attributes:
        release: the release to have; None for the one that it has, or for none at all.
        why: in a few words.
        waits: whether something newer is out, and not for this device yet.
    """

    release: Release | None
    why: str
    waits: bool = False


def bucket(device: str, release: str) -> float:
    """Return where in [0, 100) a device stands in the queue for a release.

    A hash of both: the same on every run, without a server, another order for each release, and whoever is
    within 10 percent is within 50.

    Example:
        >>> bucket("camera-7", "2026.11") == bucket("camera-7", "2026.11")
        True
    """
    digest = hashlib.sha256(f"{device}\0{release}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * _PERCENT


def why_not_yet(release: Release, device: str, ring: str, now: datetime) -> str:
    """Say why a device may not take a release yet; empty where it may."""
    rollout = release.rollout
    if rollout.recalled:
        return f"{release.name} was recalled: {rollout.recalled}"
    if rollout.paused:
        return f"{release.name} is paused"
    if rollout.not_before and now < parse_time(rollout.not_before):
        return f"{release.name} begins at {rollout.not_before}"
    share = rollout.rings.get(ring, rollout.share)
    if not bucket(device, release.name) < share:
        return f"{release.name} is for {share:g} % of the ring {ring}, and this device is not among them yet"
    return ""


def decide(channel: Channel, device: str, ring: str, has: str, now: datetime) -> Decision:
    """Decide on the release of a device.

    The newest that it may take; never an older one than it has, lest a share that is lowered undoes what was
    proven. But a recall does: back to the release that it names, or to the newest that stands.

    Args:
        channel: as signed.
        device: the device's name.
        ring: which part of the fleet it is in.
        has: the release that it has; empty for none.
        now: the time.
    """
    installed = channel.named(has)
    if installed and installed.rollout.recalled:
        back = _fallback(channel, installed, device, ring, now)
        why = f"{has} was recalled: {installed.rollout.recalled}"
        return Decision(back, why if back else f"{why}; but nothing else stands", waits=back is None)
    reasons = []
    for release in reversed(channel.releases):
        if release.name == has:
            break
        reason = why_not_yet(release, device, ring, now)
        if not reason:
            return Decision(release, f"{release.name} is the newest for this device")
        if not release.rollout.recalled:
            reasons.append(reason)
    return Decision(None, reasons[0] if reasons else "nothing newer is published", waits=bool(reasons))


def _fallback(channel: Channel, recalled: Release, device: str, ring: str, now: datetime) -> Release | None:
    """Return what a device goes to from a recalled release.

    What the recall names; else what is for this device; else the newest before it, whatever its share is now.
    """
    named = channel.named(recalled.rollout.back_to)
    if named and not named.rollout.recalled:
        return named
    standing = [release for release in reversed(channel.releases) if not release.rollout.recalled]
    for release in standing:
        if not why_not_yet(release, device, ring, now):
            return release
    return next((release for release in standing if release.number < recalled.number), None)
