"""Switching to a new engine, watching it, and rolling back: each step is journaled before it is done.

If the disk has no space for the journal, not even in the store's reserve, the link is still switched back,
since the link decides which engine runs. The next run finds that link and journal differ, and knows why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.health import NobodyWatchesError
from osnet_edge.ship.device.refused import Reason, RefusedError
from osnet_edge.ship.device.state import Event, Installed, State, Trial
from osnet_edge.ship.device.store import Store
from osnet_edge.ship.device.subprocess_limits import CommandError, run_limited
from osnet_edge.ship.device.uptime import Uptime
from osnet_edge.ship.times import format_time

_NOTIFY_S, _NOTIFY_MB = 30.0, 256.0
#: Watches an engine in a folder for some seconds; raises RefusedError where it does not do well.
Watcher = Callable[[Health, Path, float], None]


class Trials:
    """Starts new engines of a store, and keeps them or rolls back.

    Args:
        store: the camera's store.
        health: how an engine is judged.
        watcher: watches an engine.
        now: returns the time, for people.
        uptime: returns the uptime, by which the window is measured.
    """

    def __init__(
        self,
        store: Store,
        health: Health,
        watcher: Watcher,
        now: Callable[[], datetime],
        uptime: Callable[[], Uptime],
    ) -> None:
        self._store, self._health, self._watcher = store, health, watcher
        self._now, self._uptime = now, uptime

    def start(self, state: State, slot: str, holds: Installed) -> Event:
        """Switch to the verified engine in a slot, and watch it.

        Returns:
            How it ended: `installed`, `returned`, or `trial` if a person has yet to confirm.
        """
        trial = Trial(slot, self._store.active(), "starting", self._time())
        state = replace(state.with_slot(slot, holds), trial=trial)
        self._write(state)
        return self._serve(state, trial)

    def resume(self, state: State) -> Event:
        """Continue with the new engine in the journal, whatever its phase."""
        trial = state.trial
        if trial is None:
            raise RuntimeError("there is no trial")
        if trial.phase == "returning":
            return self._return(state, trial)
        if trial.phase == "watching" and self._store.active() != trial.slot:
            why = "the link was turned back meanwhile, by hand or as nothing could be written"
            return self.take_back(state, "disk", why)
        if not self._store.is_whole(trial.slot):
            return self.take_back(state, "corrupt", "a file of the new engine was damaged on the disk")
        if trial.phase == "starting":
            return self._serve(state, trial)
        if self._health.kind == "manual":
            now = self._uptime()
            trial = replace(trial, waited_s=trial.waited_s + now.since(trial.counted), counted=now)
        else:
            trial = replace(trial, resumed=trial.resumed + 1)
            if trial.resumed > self._health.most_resumes:
                why = f"the update was interrupted {trial.resumed} times while the new engine was watched"
                return self.take_back(state, "health", why)
        return self._watch(state, trial)

    def commit(self, state: State, why: str = "") -> Event:
        """Keep the new engine."""
        if state.trial is None:
            raise RuntimeError("there is no trial")
        event = Event("installed", self._time(), state.slots[state.trial.slot].release, why=why)
        self._write(replace(state, trial=None, failing=(), last=event, installed=state.installed + 1))
        return event

    def take_back(
        self, state: State, reason: Reason, why: str, to: str | None = None, *, fails: bool = True
    ) -> Event:
        """Roll back to the previous engine.

        Args:
            state: has a new engine that is watched, or two engines.
            reason: why, in one word.
            why: the same in one line.
            to: the slot to switch to, if no new engine is watched.
            fails: whether it counts against the engine.
        """
        trial = state.trial or Trial(self._store.active() or "a", to, "returning", self._time())
        trial = replace(trial, phase="returning", reason=reason, why=why, fails=fails)
        state = replace(state, trial=trial)
        with contextlib.suppress(OSError):
            self._write(state)
        return self._return(state, trial)

    def _serve(self, state: State, trial: Trial) -> Event:
        self._flip(trial.slot)
        return self._watch(state, replace(trial, phase="watching", counted=self._uptime()))

    def _watch(self, state: State, trial: Trial) -> Event:
        """Watch the engine, after the journal says so: a restart must find that it is not kept yet."""
        state = replace(state, trial=trial)
        try:
            self._write(state)
        except OSError as error:
            return self.take_back(state, "disk", f"the journal cannot be written: {error.strerror}")
        return self._judge(state, trial)

    def _judge(self, state: State, trial: Trial) -> Event:
        if self._health.kind == "manual":
            if trial.waited_s < self._health.window_s:
                return Event(
                    "trial", self._time(), state.slots[trial.slot].release, why="waits to be confirmed"
                )
            return self.take_back(state, "health", f"nobody confirmed it within {self._health.window_s:g} s")
        try:
            self._watcher(self._health, self._store.slot(trial.slot), self._window())
        except NobodyWatchesError as error:
            if trial.previous is not None:
                return self.take_back(state, error.reason, str(error))
            # The program may wait for this very engine to start with, and there is none to go back to.
            return self.commit(state, f"the first engine is kept unwatched: {error}")
        except RefusedError as error:
            return self.take_back(state, error.reason, str(error))
        return self.commit(state)

    def _window(self) -> float:
        return 0.0 if self._health.kind == "proof" else self._health.window_s

    def _return(self, state: State, trial: Trial) -> Event:
        self._flip(trial.previous)
        left = state.slots.get(trial.slot)
        event = Event("returned", self._time(), left.release if left else "", trial.reason, trial.why)
        if left and trial.fails:
            state = state.with_failure(left, trial.reason, trial.why, self._now())
        state = replace(
            state.with_slot(trial.slot, None), trial=None, last=event, returned=state.returned + 1
        )
        try:
            self._write(state)
        except OSError as error:
            return replace(event, why=f"{event.why} (not in the journal: {error.strerror})")
        return event

    def _flip(self, slot: str | None) -> None:
        self._store.flip(slot)
        if self._health.notify:
            # Whether it was heard is for the heartbeat or the probe to say.
            with contextlib.suppress(RefusedError, CommandError, OSError):
                run_limited(self._health.notify, _NOTIFY_S, _NOTIFY_MB, "telling of the new engine")

    def _write(self, state: State) -> None:
        self._store.reserve.spend_on(lambda: self._store.write_state(state))

    def _time(self) -> str:
        return format_time(self._now())
