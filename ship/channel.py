"""A channel's document, signed as a TUF target: which releases there are, for whom, and who takes them when.

The publisher writes it anew for every decision, so that a pause or a recall is a signature like a release,
and a camera decides from it alone, without asking a server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import PLAIN_NAME
from osnet_edge.runtime.package.schema import parse_document, to_json
from osnet_edge.ship.device.config import check_name
from osnet_edge.ship.requirements import Requirements
from osnet_edge.ship.times import parse_time

SCHEMA_VERSION = 1
#: Of `channels/NAME.json`: some ten thousand packages.
LARGEST = 8_000_000
_PERCENT = 100.0


@dataclass(frozen=True)
class Artifact:
    """One package of a release.

    Attributes:
        name: of the package, unique in its release.
        target: the TUF target that holds its archive.
        kind: an engine as it will run, or a recipe that the device builds it by.
        bytes: what it takes unpacked.
        variant: the network.
        precision: of the arithmetic.
        needs: what a device must be.
        mean_ap: mAP of the bench, in [0, 1]; None where it was not measured.
        rank1: Rank-1 of the bench, in [0, 1]; None where it was not measured.
        latency_ms: p50 of a call with one image; None where it was not measured.
    """

    name: str
    target: str
    kind: Literal["engine", "recipe"]
    bytes: int
    variant: str
    precision: str
    needs: Requirements
    mean_ap: float | None = None
    rank1: float | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        """Hold the name and the target to plain ones: they become parts of paths and addresses."""
        check_name("package", self.name)
        if not all(PLAIN_NAME.fullmatch(part) for part in self.target.split("/")):
            raise InputError(f"expected a target of plain names, got {self.target[:120]!r}")
        if self.bytes < 1:
            raise InputError(f"expected a package of 1 byte or more, got {self.bytes}")


@dataclass(frozen=True)
class Rollout:
    """Who takes a release when: the part of it that changes.

    Attributes:
        share: percent of the devices that take it.
        rings: other shares for some rings, by name.
        not_before: when it begins, ISO 8601 with a time zone; empty begins at once.
        paused: whether no further device takes it.
        recalled: why no device may keep it; empty where it stands.
        back_to: for a recall, the release that devices go to; empty for the newest one that stands.
    """

    share: float = _PERCENT
    rings: dict[str, float] = field(default_factory=dict)
    not_before: str = ""
    paused: bool = False
    recalled: str = ""
    back_to: str = ""

    def __post_init__(self) -> None:
        """Hold shares to percents, and the time to a time."""
        for share in (self.share, *self.rings.values()):
            if not 0 <= share <= _PERCENT:
                raise InputError(f"expected a share of 0 to 100 percent, got {share:g}")
        for ring in self.rings:
            check_name("ring", ring)
        if self.not_before:
            parse_time(self.not_before)


@dataclass(frozen=True)
class Release:
    """Some packages that go out together, and the decision about them.

    Attributes:
        name: of the release.
        number: its place in the order of releases, from 1.
        published: when, ISO 8601.
        offers: its packages.
        rollout: who takes it when.
    """

    name: str
    number: int
    published: str
    offers: tuple[Artifact, ...]
    rollout: Rollout = field(default_factory=Rollout)

    def __post_init__(self) -> None:
        """Hold the name to a plain one, and packages to names of their own."""
        check_name("release", self.name)
        names = [artifact.name for artifact in self.offers]
        if len(set(names)) != len(names):
            raise InputError(f"expected packages of different names in {self.name}, got {', '.join(names)}")


@dataclass(frozen=True)
class Channel:
    """The whole of the document; releases in their order."""

    schema_version: int
    channel: str
    releases: tuple[Release, ...]

    def __post_init__(self) -> None:
        """Hold releases to an order without doubt."""
        numbers = [release.number for release in self.releases]
        names = [release.name for release in self.releases]
        if numbers != sorted(set(numbers)) or len(set(names)) != len(names):
            raise InputError(
                f"expected releases of rising numbers and different names, got {numbers}, {names}"
            )

    def named(self, name: str) -> Release | None:
        """Return a release by its name."""
        return next((release for release in self.releases if release.name == name), None)


def target_of(channel: str) -> str:
    """Return the TUF target of a channel's document."""
    return f"channels/{channel}.json"


def parse_channel(content: bytes, where: str) -> Channel:
    """Read a channel's document.

    Raises:
        InputError: it is not what `osnet-edge publish` writes.
    """
    return parse_document(Channel, content, where, SCHEMA_VERSION, "publish it again")


def dump_channel(channel: Channel) -> bytes:
    """Return the document's bytes."""
    return (json.dumps(to_json(channel), indent=1, ensure_ascii=False) + "\n").encode()
