"""Turning the link to a new engine, judging it, and turning back: each step journaled before it is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from osnet_edge.ship.channel import format_time, parse_time
from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.refused import Reason, RefusedError
from osnet_edge.ship.device.state import Event, Installed, State, Trial
from osnet_edge.ship.device.store import Store
from osnet_edge.ship.device.subprocess_limits import CommandError, run_limited

_NOTIFY_S, _NOTIFY_MB = 30.0, 256.0
#: Watches an engine in a folder for some seconds; raises RefusedError where it does not do well.
Watcher = Callable[[Health, Path, float], None]


class Trials:
    """The trials of a store's engines.

    Args:
        store: whose.
        health: how an engine is judged.
        watcher: watches.
        now: the time.
    """

    def __init__(self, store: Store, health: Health, watcher: Watcher, now: Callable[[], datetime]) -> None:
        self._store, self._health, self._watcher, self._now = store, health, watcher, now

    def start(self, state: State, slot: str, holds: Installed) -> Event:
        """Let the proven engine in a slot serve, on trial.

        Returns:
            How it ended: `installed`, `returned`, or `trial` where a person has yet to confirm.
        """
        trial = Trial(slot, self._store.active(), "starting", self._time())
        return self._serve(self._write(replace(state.with_slot(slot, holds), trial=trial)), trial)

    def resume(self, state: State) -> Event:
        """Go on with the trial that the journal tells of, wherever it stands."""
        trial = state.trial
        if trial is None:
            raise RuntimeError("there is no trial")
        if trial.phase == "returning":
            return self._return(state, trial)
        if not self._store.is_whole(trial.slot):
            return self.take_back(state, "corrupt", "a file of the new engine was damaged on the disk")
        if trial.phase == "starting":
            return self._serve(state, trial)
        if self._health.kind != "manual":
            trial = replace(trial, resumed=trial.resumed + 1)
            state = self._write(replace(state, trial=trial))
            if trial.resumed > self._health.most_resumes:
                why = f"the trial was cut short {trial.resumed} times: the device does not stay up with it"
                return self.take_back(state, "health", why)
        return self._judge(state, trial)

    def commit(self, state: State) -> Event:
        """Keep the engine that is on trial."""
        if state.trial is None:
            raise RuntimeError("there is no trial")
        event = Event("installed", self._time(), state.slots[state.trial.slot].release)
        self._write(replace(state, trial=None, last=event, installed=state.installed + 1))
        return event

    def take_back(self, state: State, reason: Reason, why: str, to: str | None = None) -> Event:
        """Go back to the engine before, and remember why.

        Args:
            state: with a trial, or with two engines.
            reason: in one word.
            why: in one line.
            to: the slot to go to, where there is no trial.
        """
        trial = state.trial or Trial(self._store.active() or "a", to, "returning", self._time())
        trial = replace(trial, phase="returning", reason=reason, why=why)
        return self._return(self._write(replace(state, trial=trial)), trial)

    def _serve(self, state: State, trial: Trial) -> Event:
        self._flip(trial.slot)
        trial = replace(trial, phase="watching")
        return self._judge(self._write(replace(state, trial=trial)), trial)

    def _judge(self, state: State, trial: Trial) -> Event:
        if self._health.kind == "manual":
            waited = (self._now() - parse_time(trial.since)).total_seconds()
            if waited < self._health.window_s:
                return Event(
                    "trial", self._time(), state.slots[trial.slot].release, why="waits to be confirmed"
                )
            return self.take_back(state, "health", f"nobody confirmed it within {self._health.window_s:g} s")
        try:
            self._watcher(self._health, self._store.slot(trial.slot), self._window())
        except RefusedError as error:
            return self.take_back(state, error.reason, str(error))
        return self.commit(state)

    def _window(self) -> float:
        return 0.0 if self._health.kind == "proof" else self._health.window_s

    def _return(self, state: State, trial: Trial) -> Event:
        self._flip(trial.previous)
        left = state.slots.get(trial.slot)
        event = Event("returned", self._time(), left.release if left else "", trial.reason, trial.why)
        if left:
            state = state.with_bad(left, trial.reason, trial.why, event.when)
        state = replace(
            state.with_slot(trial.slot, None), trial=None, last=event, returned=state.returned + 1
        )
        self._write(state)
        return event

    def _flip(self, slot: str | None) -> None:
        self._store.flip(slot)
        if self._health.notify:
            # Whether it was heard is for the heartbeat or the probe to say.
            with contextlib.suppress(RefusedError, CommandError, OSError):
                run_limited(self._health.notify, _NOTIFY_S, _NOTIFY_MB, "telling of the new engine")

    def _write(self, state: State) -> State:
        self._store.write_state(state)
        return state

    def _time(self) -> str:
        return format_time(self._now())
