"""The camera's journal, `state.json`: the content of each slot, the engine that is watched, and what failed.

Every change is written to a temporary file, synced and renamed before the step that it announces. So after a
power cut at any moment, the next run reads what was going on, and finishes or undoes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import read_small, write_json
from osnet_edge.runtime.package.schema import parse_document, to_json
from osnet_edge.ship.device.passing import RETRIED, is_due, next_try
from osnet_edge.ship.device.refused import LASTING
from osnet_edge.ship.device.uptime import Uptime
from osnet_edge.ship.times import format_time, parse_time

SCHEMA_VERSION = 1
#: Older ones are forgotten, oldest first: the file stays small for ever.
_MOST_BAD, _MOST_FAILING = 64, 8
_MOST_BYTES = 1_000_000
_MOST = 2**53
SLOTS = ("a", "b")

#: `starting`: the link is about to be turned. `watching`: it leads to the new engine. `returning`: the new
#: engine failed, and the link is about to be turned back.
Phase = Literal["starting", "watching", "returning"]


@dataclass(frozen=True)
class Installed:
    """The content of a slot: a complete engine that was verified on this device.

    Attributes:
        release: its release.
        package: its name in the release.
        sha256: of its archive.
        proof: results of the verification, such as distance and latency.
    """

    release: str
    package: str
    sha256: str
    proof: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A new engine that runs but is not kept yet: it is started, watched, and may be rolled back.

    Attributes:
        slot: where it is.
        previous: the slot to return to; None for a device's first engine.
        phase: the present step.
        since: when it began, ISO 8601.
        resumed: how many times the agent was interrupted meanwhile.
        reason: why it is rolled back, in one word.
        why: the same in one line.
        fails: whether the rollback counts against the engine; a recall does not, since it may be withdrawn.
        waited_s: seconds that it is known to have run for, summed up at each check.
        counted: uptime at the last check; the clock is not used, since it may be set meanwhile.
    """

    slot: str
    previous: str | None
    phase: Phase
    since: str
    resumed: int = 0
    reason: str = ""
    why: str = ""
    fails: bool = True
    waited_s: float = 0.0
    counted: Uptime = field(default_factory=Uptime)


@dataclass(frozen=True)
class Bad:
    """An archive that is never tried again on this device."""

    release: str
    sha256: str
    reason: str
    why: str
    when: str


@dataclass(frozen=True)
class Failing:
    """An archive that failed temporarily, and is tried again.

    Attributes:
        release: its release.
        sha256: of the archive.
        reason: of the last failure, in one word.
        why: the same in one line.
        when: time of the last failure, ISO 8601.
        times: number of failures in a row.
        next: when it may be tried again, at the first check after that.
    """

    release: str
    sha256: str
    reason: str
    why: str
    when: str
    times: int
    next: str

    def rests(self, now: datetime) -> bool:
        """Return whether it is too early for another try."""
        return not is_due(parse_time(self.when), parse_time(self.next), now)


@dataclass(frozen=True)
class Event:
    """How the last run of the agent ended: `installed`, `current`, `waiting`, `refused` or `returned`."""

    what: str
    when: str
    release: str = ""
    reason: str = ""
    why: str = ""


@dataclass(frozen=True)
class State:
    """The content of `state.json`.

    Attributes:
        schema_version: of this document.
        slots: the engine in each slot; a slot without a complete engine is missing.
        trial: the new engine that is watched and not kept yet; None if there is none.
        bad: archives never to try again, oldest first.
        failing: archives to try again, oldest first; cleared once a new engine is kept.
        seen: the highest version of each metadata role that was ever verified, by name.
        signed: the latest signing time in verified metadata, ISO 8601; a correct clock is never earlier.
        last: how the last run ended.
        installed: number of engines that were kept so far.
        returned: number of engines that were rolled back so far.
    """

    schema_version: int = SCHEMA_VERSION
    slots: dict[str, Installed] = field(default_factory=dict)
    trial: Trial | None = None
    bad: tuple[Bad, ...] = ()
    failing: tuple[Failing, ...] = ()
    seen: dict[str, int] = field(default_factory=dict)
    signed: str = ""
    last: Event | None = None
    installed: int = 0
    returned: int = 0

    def __post_init__(self) -> None:
        """Check what types cannot express, so that a damaged journal is set aside when it is read."""
        trial, slots = self.trial, set(SLOTS)
        if not slots.issuperset(self.slots):
            raise InputError(f"expected slots of {', '.join(SLOTS)}, got {', '.join(self.slots)}")
        if trial and (trial.slot not in slots or trial.previous not in {*slots, None}):
            raise InputError(f"expected slots a and b under trial, got {trial.slot!r} and {trial.previous!r}")
        if trial and trial.phase != "returning" and trial.slot not in self.slots:
            raise InputError(f"expected an engine in the slot under trial, and {trial.slot} holds none")
        for time in (self.signed, *(time for each in self.failing for time in (each.when, each.next))):
            if time:
                parse_time(time)
        if not (0 <= self.installed < _MOST and 0 <= self.returned < _MOST):
            raise InputError("expected counts of engines that a camera may come to")

    def with_slot(self, slot: str, holds: Installed | None) -> State:
        """Return the state with a new content of a slot; None empties it."""
        others = {name: each for name, each in self.slots.items() if name != slot}
        return replace(self, slots=others if holds is None else {**others, slot: holds})

    def with_failure(self, left: Installed, reason: str, why: str, now: datetime) -> State:
        """Return the state with a failure of an archive: `bad` if another try cannot help, else `failing`."""
        if reason in LASTING:
            kept = [each for each in self.bad if each.sha256 != left.sha256]
            bad = Bad(left.release, left.sha256, reason, why, format_time(now))
            return replace(self, bad=(*kept, bad)[-_MOST_BAD:])
        if reason not in RETRIED:
            return self
        before = next((each for each in self.failing if each.sha256 == left.sha256), None)
        times = before.times + 1 if before else 1
        again = format_time(next_try(times, now))
        failing = Failing(left.release, left.sha256, reason, why, format_time(now), times, again)
        others = (each for each in self.failing if each is not before)
        return replace(self, failing=(*others, failing)[-_MOST_FAILING:])


def read_state(path: Path) -> State:
    """Read the journal; a store without one has a fresh state.

    Raises:
        InputError: it is damaged.
    """
    try:
        content = read_small(path, _MOST_BYTES)
    except FileNotFoundError:
        return State()
    return parse_document(State, content, str(path), SCHEMA_VERSION, "set it aside")


def write_state(path: Path, state: State) -> None:
    """Write the journal atomically; it is on the disk when this returns."""
    write_json(path, to_json(state))
