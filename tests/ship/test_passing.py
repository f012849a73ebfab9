"""Releases that fail for want of something: tried again with growing pauses, and the status tells of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fleet import FACTS, Fleet, serving, tiny_package, update, verify_here

from osnet_edge.ship.device.agent import Agent
from osnet_edge.ship.device.config import Limits
from osnet_edge.ship.device.passing import PassingError
from osnet_edge.ship.device.status import read_status, to_line
from osnet_edge.ship.device.store import Store

START = datetime.now(timezone.utc).replace(microsecond=0)


def lacks(*given: object) -> Any:
    raise PassingError("proving the engine lacked something on this device: MemoryError")


def has_no_room(package: Path, limits: Limits) -> dict[str, float]:
    raise OSError(28, "No space left on device", str(package))


@pytest.mark.parametrize(
    ("sentence", "parts", "reason"),
    [
        ("its proof lacks memory", {"verify": lacks}, "limit"),
        ("the disk is full of it", {"verify": has_no_room}, "disk"),
        ("the probe of its trial was killed", {"watcher": lacks}, "limit"),
    ],
)
def test_a_passing_failure_is_tried_again_after_pauses_that_grow_to_a_day(
    sentence: str, parts: dict[str, Callable[..., Any]], reason: str, fleet: Fleet, camera: Store
) -> None:
    fleet.publish("r2", tiny_package(2))
    tried, told = [], set()
    # Every half hour for three days.
    for half in range(6 * 24):
        event = update(camera, now=lambda half=half: START + half * timedelta(minutes=30), **parts)
        if event.what != "waiting":
            tried.append(half / 2)
        told.add((event.what in ("refused", "returned", "waiting"), event.reason))
    assert tried == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 55.5]
    assert told == {(True, reason)}
    status = json.loads(to_line(read_status(camera)))
    (failing,) = status["failing"]
    assert (failing["release"], failing["reason"], failing["times"]) == ("r2", reason, 8)
    assert failing["next"] == (START + timedelta(hours=79.5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert failing["why"] in status["last"]["why"]
    assert (status["last"]["what"], status["bad"], serving(camera)) == ("waiting", [], "seed-1")


@pytest.mark.parametrize(
    ("sentence", "hours", "retry", "what"),
    [
        ("too early", 1.4, False, "waiting"),
        ("it is time", 1.6, False, "installed"),
        ("a person asks", 0.6, True, "installed"),
        ("the clock was set back a year", -8760, False, "refused"),
        ("the clock was set back an hour", -0.6, False, "installed"),
    ],
)
def test_the_next_try_comes_whatever_is_done_to_the_clock(
    sentence: str, hours: float, retry: bool, what: str, fleet: Fleet, camera: Store
) -> None:
    fleet.publish("r2", tiny_package(2))
    for half in range(2):
        update(camera, verify=lacks, now=lambda half=half: START + half * timedelta(minutes=30))
    agent = Agent(camera, verify=verify_here, facts=FACTS, now=lambda: START + timedelta(hours=hours))
    event = agent.update(retry=retry)
    # A year back the clock itself is refused.
    assert (event.what, event.reason) == (what, {"refused": "clock", "waiting": "limit"}.get(what, ""))
    if what == "installed":
        assert camera.read_state().failing == ()


def test_what_rests_keeps_no_other_release_back(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2))
    fleet.publish("r3", tiny_package(3))
    for _ in range(2):
        with contextlib.suppress(PassingError):
            assert update(camera, verify=lacks).reason == "limit"
    assert update(camera).release == "r2"
    assert update(camera).release == "r3"
