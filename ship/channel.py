"""A channel's document, a signed TUF target: its releases, and which devices install them when.

The publisher signs a new document for every decision, so a pause or a recall is as trustworthy as a release.
A camera decides from this document alone, without asking a server.
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
        bytes: size when unpacked.
        variant: name of the network, such as `osnet_x0_25`.
        precision: of the arithmetic, such as `fp16`.
        needs: what it requires of a device.
        mean_ap: mAP measured by `osnet-edge bench`, in [0, 1]; None if it was not measured.
        rank1: Rank-1, as above.
        latency_ms: median latency of a call with one image, in milliseconds; None if it was not measured.
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
        """Refuse names that are not plain: they become parts of paths and URLs."""
        check_name("package", self.name)
        if not all(PLAIN_NAME.fullmatch(part) for part in self.target.split("/")):
            raise InputError(f"expected a target of plain names, got {self.target[:120]!r}")
        if self.bytes < 1:
            raise InputError(f"expected a package of 1 byte or more, got {self.bytes}")


@dataclass(frozen=True)
class Rollout:
    """Which devices install a release, and when: the part of a release that changes.

    Attributes:
        share: percentage of the devices that install it, 0 to 100.
        rings: different shares for some rings, by the ring's name.
        not_before: start time, ISO 8601 with a time zone; empty for at once.
        paused: whether no further device installs it.
        recalled: why devices must give it up; empty unless it is recalled.
        back_to: after a recall, the release that devices return to; empty for the newest that is not
            recalled.
    """

    share: float = _PERCENT
    rings: dict[str, float] = field(default_factory=dict)
    not_before: str = ""
    paused: bool = False
    recalled: str = ""
    back_to: str = ""

    def __post_init__(self) -> None:
        """Refuse shares outside 0 to 100, and a start time that is none."""
        for share in (self.share, *self.rings.values()):
            if not 0 <= share <= _PERCENT:
                raise InputError(f"expected a share of 0 to 100 percent, got {share:g}")
        for ring in self.rings:
            check_name("ring", ring)
        if self.not_before:
            parse_time(self.not_before)


@dataclass(frozen=True)
class Release:
    """Packages that are published together, and their rollout.

    Attributes:
        name: of the release.
        number: its place in the order of releases, from 1.
        published: time of publication, ISO 8601.
        offers: its packages.
        rollout: which devices install it, and when.
    """

    name: str
    number: int
    published: str
    offers: tuple[Artifact, ...]
    rollout: Rollout = field(default_factory=Rollout)

    def __post_init__(self) -> None:
        """Refuse a name that is not plain, and two packages of one name."""
        check_name("release", self.name)
        names = [artifact.name for artifact in self.offers]
        if len(set(names)) != len(names):
            raise InputError(f"expected packages of different names in {self.name}, got {', '.join(names)}")


@dataclass(frozen=True)
class Channel:
    """The whole document; releases are in order of their numbers."""

    schema_version: int
    channel: str
    releases: tuple[Release, ...]

    def __post_init__(self) -> None:
        """Refuse releases whose numbers do not rise or whose names repeat."""
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
        InputError: it is not a document that `osnet-edge publish` writes.
    """
    return parse_document(Channel, content, where, SCHEMA_VERSION, "publish it again")


def dump_channel(channel: Channel) -> bytes:
    """Return the document's bytes."""
    return (json.dumps(to_json(channel), indent=1, ensure_ascii=False) + "\n").encode()
