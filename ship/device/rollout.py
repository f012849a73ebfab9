"""Which release a device should have; decided on the device, by the signed channel and the device's name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from osnet_edge.ship.channel import Channel, Release
from osnet_edge.ship.times import parse_time

_PERCENT = 100.0


@dataclass(frozen=True)
class Decision:
    """The release that a device should have.

    Attributes:
        release: the release to install; None to keep the present one, or none.
        why: the reason in a few words.
        waits: whether a newer release is published, but not yet for this device.
    """

    release: Release | None
    why: str
    waits: bool = False


def bucket(device: str, release: str) -> float:
    """Return a device's place in a rollout, in [0, 100): it installs the release once its share is larger.

    It is a hash of both names. So it is the same at every check and needs no server, each release begins with
    other devices, and a device that is within 10 percent is also within 50.

    Example:
        >>> bucket("camera-7", "2026.11") == bucket("camera-7", "2026.11")
        True
    """
    digest = hashlib.sha256(f"{device}\0{release}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * _PERCENT


def why_not_yet(release: Release, device: str, ring: str, now: datetime) -> str:
    """Return why a device may not install a release yet; empty if it may."""
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
    """Decide which release a device should have.

    It is the newest that the device may install, and never an older one than it has, so that lowering a share
    undoes nothing. Only a recall leads back: to the release that it names, or else to the newest that is not
    recalled.

    Args:
        channel: the signed document.
        device: the device's name.
        ring: the part of the fleet that it belongs to.
        has: the release that it has; empty for none.
        now: the present time.
    """
    installed = channel.named(has)
    if installed and installed.rollout.recalled:
        back = _fallback(channel, installed, device, ring, now)
        why = f"{has} was recalled: {installed.rollout.recalled}"
        return Decision(back, why if back else f"{why}; no other is left", waits=back is None)
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
    """Return the release that replaces a recalled one on a device.

    It is the one that the recall names; else the newest for this device; else the newest earlier one,
    whatever its share.
    """
    named = channel.named(recalled.rollout.back_to)
    if named and not named.rollout.recalled:
        return named
    standing = [release for release in reversed(channel.releases) if not release.rollout.recalled]
    for release in standing:
        if not why_not_yet(release, device, ring, now):
            return release
    return next((release for release in standing if release.number < recalled.number), None)
