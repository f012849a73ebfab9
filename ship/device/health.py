"""Watching a new engine before it is kept: by a probe, by the program's heartbeat, or by a person."""

from __future__ import annotations

import math
import time
from pathlib import Path

from osnet_edge.runtime.files import read_small
from osnet_edge.runtime.package.schema import parse_json
from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.passing import PassingError, says_passing
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.subprocess_limits import CommandError, run_limited

_PROBE_S, _PROBE_MB = 30.0, 1024.0
#: A heartbeat older than this, or than three looks, is of a program that hangs.
_STALE_S = 10.0
#: Of a heartbeat; ours have some 200.
_MOST_BYTES = 65_536


def watch(health: Health, package: Path, seconds: float) -> None:
    """Watch an engine until its window is over.

    Args:
        health: how it is judged.
        package: the folder of the new engine.
        seconds: how long to watch: the window, or what is left of it.

    Raises:
        RefusedError: the engine is not healthy; the reason is `health`.
        NobodyWatchesError: there was not one heartbeat, and none shortly before.
        PassingError: something was missing on the device, which says nothing about the engine.
    """
    # Seconds that pass, whatever the time of day does.
    until = time.monotonic() + seconds
    heartbeat = _Heartbeat(health, package)
    while True:
        left = until - time.monotonic()
        well = _look(health, heartbeat)
        # A program that has just started says nothing yet: its first call may end it.
        if left <= 0 and not (well and heartbeat.just_started):
            break
        time.sleep(min(health.interval_s, left) if left > 0 else health.interval_s)
    if not well:
        why = f"no program was using the new engine after {seconds:g} s (by {health.heartbeat})"
        if heartbeat.came or heartbeat.came_before:
            raise RefusedError("health", why)
        raise NobodyWatchesError(f"{why}, and none was before it")


def _look(health: Health, heartbeat: _Heartbeat) -> bool:
    """Check once; return whether the engine is healthy now."""
    if health.kind == "probe":
        _run_probe(health.probe)
    return health.kind != "heartbeat" or heartbeat.hear()


def _run_probe(command: tuple[str, ...]) -> None:
    try:
        run_limited(command, _PROBE_S, _PROBE_MB, "the health probe")
    except CommandError as error:
        raise RefusedError("health", f"the health probe {command[0]} failed: {error}") from None
    except PassingError:
        raise
    except RefusedError as error:
        # A probe that hangs or grows may do so by the engine.
        raise RefusedError("health", str(error)) from None
    except OSError as error:
        raise RefusedError("health", f"the health probe {command[0]} cannot run: {error.strerror}") from None


class NobodyWatchesError(RefusedError):
    """No program wrote a heartbeat before or during a trial, so nothing is known about the engine."""

    def __init__(self, message: str) -> None:
        super().__init__("unwatched", message)


class _Heartbeat:
    """A heartbeat file, which each beat replaces or touches.

    A beat is recognised by a change of the file and not by its time, since the clock may be set meanwhile. A
    program that crashes with the new engine, and that systemd restarts again and again, also beats once per
    start.

    Args:
        health: names the file, and the interval between checks.
        package: the folder of the new engine.
    """

    def __init__(self, health: Health, package: Path) -> None:
        self._file, self._package, self._health = Path(health.heartbeat), package, health
        # Seconds without a beat after which the program is taken to hang.
        self._stale_s = max(_STALE_S, 3 * health.interval_s)
        # What is there already is of before.
        self._seen, self._heard = self._mark(), -math.inf
        self._looked, self._starts = time.monotonic(), 0
        #: Whether a program was running when the trial began: one that falls silent then does so by the new
        #: engine. Where the clock was set meanwhile, it is taken for none: the next trial tells.
        self.came_before = self._seen is not None and (abs(time.time() - self._seen[1] / 1e9) < self._stale_s)
        #: Whether the last beat is of a program that has run for less than the time between two looks.
        self.just_started = False

    @property
    def came(self) -> bool:
        """Whether there was a beat at all, of any engine."""
        return self._heard > -math.inf

    def hear(self) -> bool:
        """Return whether the new engine's beat is there; an error in it counts against the engine."""
        mark, now, before = self._mark(), time.monotonic(), self._looked
        self._looked, is_new = now, mark != self._seen
        if is_new:
            self._seen, self._heard = mark, now
        if now - self._heard > self._stale_s:
            return False
        try:
            beat = parse_json(read_small(self._file, _MOST_BYTES), str(self._file), "it comes again")
        except (OSError, ValueError):
            # Not there yet, or being replaced by something else than our runtime.
            return False
        if not isinstance(beat, dict):
            return False
        package, failed, calls, errors = (beat.get(each) for each in ("package", "failed", "calls", "errors"))
        if not (isinstance(package, str) and isinstance(failed, str) and type(calls) is type(errors) is int):
            return False
        if package != str(self._package.resolve()):
            return False
        if failed:
            why = f"the program could not change to the new engine: {failed[:200]}"
            raise PassingError(why) if says_passing(failed) else RefusedError("health", why)
        if errors:
            raise RefusedError(
                "health", f"{errors} of {calls} calls of the new engine failed in the program that uses it"
            )
        if is_new:
            self._count_start(beat.get("up_s"), now - before)
        return True

    def _count_start(self, up_s: object, since_look_s: float) -> None:
        """Count the starts of the program that uses the new engine; older versions do not report them."""
        if not isinstance(up_s, (int, float)):
            return
        self.just_started = up_s < self._health.interval_s
        self._starts += up_s < since_look_s
        if self._starts > self._health.most_resumes:
            raise RefusedError(
                "health", f"the program was started {self._starts} times while the new engine was watched"
            )

    def _mark(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except (OSError, ValueError):
            return None
        return found.st_ino, found.st_mtime_ns
