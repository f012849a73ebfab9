"""Watching a new engine through its trial: by a probe, by the heartbeat of the program, or by a person."""

from __future__ import annotations

import time
from pathlib import Path

from osnet_edge.runtime.package.schema import parse_json
from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.subprocess_limits import CommandError, run_limited

_PROBE_S, _PROBE_MB = 30.0, 1024.0
#: A heartbeat older than this, or than three looks, is of a program that hangs.
_STALE_S = 10.0


def watch(health: Health, package: Path, seconds: float) -> None:
    """Watch an engine until its window is over.

    Args:
        health: how it is judged.
        package: the folder of the new engine.
        seconds: how long to look; the window, or what is left of it.

    Raises:
        RefusedError: the engine does not do well; the reason is `health`.
    """
    # Seconds that pass, whatever the time of day does; a heartbeat's file has the latter.
    until, began = time.monotonic() + seconds, time.time()
    while True:
        left = until - time.monotonic()
        well = _look(health, package, began)
        if left <= 0:
            break
        time.sleep(min(health.interval_s, left))
    if not well:
        raise RefusedError(
            "health", f"no program was using the new engine after {seconds:g} s (by {health.heartbeat})"
        )


def _look(health: Health, package: Path, began: float) -> bool:
    """Look once; return whether the engine is seen to do well just now."""
    if health.kind == "probe":
        _run_probe(health.probe)
    if health.kind == "heartbeat":
        fresh = max(began, time.time() - max(_STALE_S, 3 * health.interval_s))
        return _hear(Path(health.heartbeat), package, fresh)
    return True


def _run_probe(command: tuple[str, ...]) -> None:
    try:
        run_limited(command, _PROBE_S, _PROBE_MB, "the health probe")
    except CommandError as error:
        raise RefusedError("health", f"the health probe {command[0]} says no: {error}") from None
    except RefusedError as error:
        raise RefusedError("health", str(error)) from None
    except OSError as error:
        raise RefusedError("health", f"the health probe {command[0]} cannot run: {error.strerror}") from None


def _hear(file: Path, package: Path, since: float) -> bool:
    """Return whether a heartbeat of the new engine is there; an error that it tells of is the engine's."""
    try:
        if file.stat().st_mtime < since:
            return False
        beat = parse_json(file.read_bytes(), str(file), "it comes again")
        failed, calls, errors = str(beat["failed"]), int(beat["calls"]), int(beat["errors"])
        same = Path(beat["package"]) == package.resolve()
    except (OSError, ValueError, KeyError, TypeError):
        # Not there yet, or being replaced by something else than our runtime.
        return False
    if failed and same:
        raise RefusedError("health", f"the program could not change to the new engine: {failed[:200]}")
    if same and errors:
        raise RefusedError(
            "health", f"{errors} of {calls} calls of the new engine failed in the program that uses it"
        )
    return same
