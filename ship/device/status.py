"""A camera's status: one line of JSON, or Prometheus text for node_exporter."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass

from osnet_edge.ship.device.config import DeviceConfig
from osnet_edge.ship.device.refused import REASONS
from osnet_edge.ship.device.state import Bad, Event, Failing, State, Trial
from osnet_edge.ship.device.store import Store

_PREFIX = "osnet_edge_device_"


@dataclass(frozen=True)
class Status:
    """A camera's status.

    Attributes:
        device: its name.
        model: device model.
        channel: whose releases it installs.
        ring: the part of the fleet that it belongs to.
        release: the release that is in use; empty for none.
        package: the package of that release.
        slot: the slot that it is in.
        fallback: the release in the other slot; empty for none.
        trial: the new engine that is watched and not kept yet; None if there is none.
        proof: results of the verification on this device, such as distance and latency.
        last: how the agent's last run ended.
        bad: archives that are never tried again.
        failing: archives that failed temporarily: why, how often, and when they are tried again.
        seen: the highest version of each metadata role that was verified.
        signed: signing time of the newest metadata, ISO 8601.
        installed: number of engines kept so far.
        returned: number of engines rolled back so far.
        free_mb: free space on the store's disk, in megabytes (10^6 bytes).
    """

    device: str
    model: str
    channel: str
    ring: str
    release: str
    package: str
    slot: str
    fallback: str
    trial: Trial | None
    proof: dict[str, float]
    last: Event | None
    bad: tuple[Bad, ...]
    failing: tuple[Failing, ...]
    seen: dict[str, int]
    signed: str
    installed: int
    returned: int
    free_mb: int


def read_status(store: Store) -> Status:
    """Read a camera's status; nothing is loaded, locked or written.

    Raises:
        InputError: the store was not made by `osnet-edge device init`.
    """
    config: DeviceConfig = store.config()
    state: State = store.peek_state()
    active = store.active()
    serves = state.slots.get(active or "")
    other = state.slots.get(store.spare())
    return Status(
        device=config.device,
        model=config.model,
        channel=config.channel,
        ring=config.ring,
        release=serves.release if serves else "",
        package=serves.package if serves else "",
        slot=active or "",
        fallback=other.release if other else "",
        trial=state.trial,
        proof=serves.proof if serves else {},
        last=state.last,
        bad=state.bad,
        failing=state.failing,
        seen=state.seen,
        signed=state.signed,
        installed=state.installed,
        returned=state.returned,
        free_mb=shutil.disk_usage(store.root).free // 1_000_000,
    )


def to_line(status: Status) -> str:
    """Return the status as one line of JSON."""
    return json.dumps(asdict(status), separators=(",", ":"))


def to_prometheus(status: Status) -> str:
    r"""Return the status in Prometheus' text format 0.0.4.

    Example:
        >>> _sample("up", 1, ring='a"b')
        'osnet_edge_device_up{ring="a\\"b"} 1'
    """
    names = {"device": status.device, "channel": status.channel, "ring": status.ring}
    last = status.last
    lines = [
        *_metric("info", "The release that serves."),
        _sample("info", 1, **names, model=status.model, release=status.release, package=status.package),
        *_metric("trial", "Whether a new engine is being watched, and not yet kept."),
        _sample("trial", int(status.trial is not None), **names),
        *_metric("installed_total", "Engines committed so far.", "counter"),
        _sample("installed_total", status.installed, **names),
        *_metric("returned_total", "Engines taken back so far.", "counter"),
        _sample("returned_total", status.returned, **names),
        *_metric("bad_releases", "Archives never to be tried again here."),
        _sample("bad_releases", len(status.bad), **names),
        *_metric("failing_releases", "Archives that failed for want of something, and are tried again."),
        _sample("failing_releases", len(status.failing), **names),
        *_metric("free_bytes", "Free on the store's disk."),
        _sample("free_bytes", status.free_mb * 1_000_000, **names),
        *_metric("refused", "Whether the last run refused an update, or took one back, by reason."),
        *(
            _sample("refused", int(last is not None and last.reason == reason), **names, reason=reason)
            for reason in REASONS
        ),
    ]
    for name, value in status.proof.items():
        lines += [
            *_metric(f"proof_{name}", "Of the engine that serves, as proven here."),
            _sample(f"proof_{name}", value, **names),
        ]
    return "\n".join(lines) + "\n"


def _metric(name: str, words: str, kind: str = "gauge") -> tuple[str, str]:
    return f"# HELP {_PREFIX}{name} {words}", f"# TYPE {_PREFIX}{name} {kind}"


def _sample(sample: str, value: float, /, **labels: str) -> str:
    escaped = (
        (key, text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\""))
        for key, text in labels.items()
    )
    pairs = ",".join(f'{key}="{text}"' for key, text in escaped)
    return f"{_PREFIX}{sample}{{{pairs}}} {value:.10g}"
