"""A camera's configuration, which `osnet-edge device init` writes: the schema of `device.json`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import PLAIN_NAME, read_small, write_json
from osnet_edge.runtime.package.schema import parse_document, to_json

SCHEMA_VERSION = 1
_MB = 1_000_000
_MOST_BYTES = 1_000_000
#: Of seconds and megabytes: more than a camera has, and little enough to count in the smaller units.
_MOST = 1e9
#: How the trial of a new engine is judged: a probe command, the heartbeat of the program that embeds, a
#: person's `osnet-edge device confirm`, or by its proof alone.
HealthKind = Literal["probe", "heartbeat", "manual", "proof"]


@dataclass(frozen=True)
class Limits:
    """Limits of an update; sizes in megabytes (10^6 bytes), times in seconds.

    Attributes:
        package_mb: largest archive.
        reserve_mb: disk space that stays free.
        metadata_s: time for one file of metadata, with all tries.
        download_s: time for one download, resumed or not.
        prove_s: time for loading and verifying an engine.
        prove_mb: resident memory for loading and verifying.
        build_s: time for building an engine on the device.
        build_mb: resident memory for building.
        latency_ms: largest median latency of a call with one image, in milliseconds; None for no limit.
    """

    package_mb: float = 256.0
    reserve_mb: float = 64.0
    metadata_s: float = 120.0
    download_s: float = 3600.0
    prove_s: float = 120.0
    prove_mb: float = 2048.0
    build_s: float = 3600.0
    build_mb: float = 4096.0
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that are not positive or not finite."""
        for name, value in vars(self).items():
            if value is None or (value == 0 and name == "reserve_mb"):
                continue
            if not 0 < value <= _MOST:
                raise InputError(f"expected a positive {name}, {_MOST:g} at most, got {value:g}")

    @property
    def package_bytes(self) -> int:
        """`package_mb` in bytes."""
        return int(self.package_mb * _MB)

    @property
    def reserve_bytes(self) -> int:
        """`reserve_mb` in bytes."""
        return int(self.reserve_mb * _MB)


@dataclass(frozen=True)
class Health:
    """How it is decided whether a new engine is healthy and may be kept.

    Attributes:
        kind: the kind of health check.
        window_s: how long the engine is watched, in seconds.
        interval_s: seconds between checks.
        probe: command and arguments; exit code 0 means healthy.
        notify: command to run after the link was switched, for a program that does not follow it by itself.
        heartbeat: the file that `osnet_edge.runtime.FollowingEmbedder` writes.
        most_resumes: how many restarts of the agent, or of the program that writes heartbeats, are taken for
            power cuts while an engine is watched; one more counts as a crash loop.
    """

    kind: HealthKind = "proof"
    window_s: float = 60.0
    interval_s: float = 5.0
    probe: tuple[str, ...] = ()
    heartbeat: str = ""
    notify: tuple[str, ...] = ()
    most_resumes: int = 3

    def __post_init__(self) -> None:
        """Check what types cannot express."""
        timed = 0 <= self.window_s <= _MOST and 0 < self.interval_s <= _MOST
        if not timed or self.most_resumes < 0:
            raise InputError(
                f"expected a health window and interval in seconds, got {self.window_s}, {self.interval_s}"
            )
        if (self.kind == "probe") != bool(self.probe) or (self.kind == "heartbeat") != bool(self.heartbeat):
            raise InputError(f"expected health by {self.kind} with what it needs, got probe {self.probe}")


@dataclass(frozen=True)
class DeviceConfig:
    """The content of `device.json`.

    Attributes:
        schema_version: of this document.
        device: its name in the fleet; a hash of it decides whether it is in a rollout's share.
        url: of the repository, which has `metadata/` and `targets/`; empty if engines come only by hand.
        model: device model, as `--for` of `osnet-edge publish` names it.
        channel: whose releases it installs.
        ring: the part of the fleet that it belongs to.
        prefer: how to choose among several packages that fit.
        limits: limits of an update.
        health: how a new engine is judged.
    """

    schema_version: int
    device: str
    url: str
    model: str
    channel: str = "stable"
    ring: str = "default"
    prefer: Literal["fast", "accurate"] = "fast"
    limits: Limits = field(default_factory=Limits)
    health: Health = field(default_factory=Health)

    def __post_init__(self) -> None:
        """Refuse names that cannot be part of file names and URLs."""
        for what in ("device", "model", "channel", "ring"):
            check_name(what, getattr(self, what))
        if self.url and not re.match(r"https?://[^\s/]", self.url):
            raise InputError(f"expected the repository's address as https://..., got {self.url!r}")


def split_command(option: str, text: str) -> tuple[str, ...]:
    """Split a command as a shell would.

    Raises:
        InputError: a quotation has no end.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"expected {option} as a command, got {text[:120]!r}: {error}") from None


def check_name(what: str, value: str) -> str:
    """Return `value` if it is a plain name.

    Raises:
        InputError: it is not.
    """
    if not PLAIN_NAME.fullmatch(value):
        raise InputError(
            f"expected the {what} as up to 100 letters, digits, dots, dashes and underscores, got "
            f"{value[:120]!r}"
        )
    return value


def read_config(path: Path) -> DeviceConfig:
    """Read `device.json`.

    Raises:
        InputError: it is missing, or not what `osnet-edge device init` writes.
    """
    try:
        content = read_small(path, _MOST_BYTES)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: make the store with osnet-edge device init") from None
    advice = "run osnet-edge device init again"
    return parse_document(DeviceConfig, content, str(path), SCHEMA_VERSION, advice)


def write_config(path: Path, config: DeviceConfig) -> None:
    """Write `device.json` atomically."""
    write_json(path, to_json(config))
