"""What a camera says of itself: one line of JSON, or Prometheus text for node_exporter to pick up."""

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
    """A camera's state, as it leaves it.

    Attributes:
        device: its name.
        model: what kind of device it is.
        channel: whose releases it takes.
        ring: which part of the fleet it is in.
        release: the release that serves; empty for none.
        package: which package of it.
        slot: where that is.
        fallback: the release in the other slot; empty for none.
        trial: what is on trial.
        proof: distance and latency, as measured here.
        last: how the agent's last run ended.
        bad: what is never tried again.
        failing: what failed for want of something, why, how often, and when it is tried again.
        seen: the versions of metadata that were verified.
        signed: when the newest of it was signed.
        installed: engines committed so far.
        returned: engines taken back so far.
        free_mb: of the store's disk.
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
