"""A new engine on trial: judged, confirmed, or taken back and remembered."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fleet import FACTS, Fleet, make_camera, serving, tiny_package, update, verify_here

from osnet_edge.runtime.errors import InputError
from osnet_edge.ship.device.by_hand import HandAgent
from osnet_edge.ship.device.config import Health, write_config
from osnet_edge.ship.device.health import watch
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.store import Store
from osnet_edge.ship.device.uptime import Uptime, uptime


def after(seconds: float) -> Uptime:
    """This moment, and some seconds more."""
    now = uptime()
    return replace(now, seconds=now.seconds + seconds)


def unwell(health: Health, package: Path, seconds: float) -> None:
    raise RefusedError("health", "the probe says no")


def test_an_engine_that_does_not_do_well_is_taken_back_and_remembered(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2))
    event = update(camera, watcher=unwell)
    assert (event.what, event.reason, event.release) == ("returned", "health", "r2")
    assert serving(camera) == "seed-1"
    assert update(camera).what == "current"
    fleet.publish("r3", tiny_package(3))
    assert update(camera).release == "r3"


def test_a_program_is_told_when_the_link_turns_either_way(fleet: Fleet, tmp_path: Path) -> None:
    link, told = tmp_path / "camera" / "current", tmp_path / "told"
    tell = ("sh", "-c", f"readlink {link} >> {told}")
    camera = make_camera(tmp_path / "camera", fleet, health=Health(notify=tell))
    update(camera)
    fleet.publish("r2", tiny_package(2))
    update(camera, watcher=unwell)
    assert told.read_text().splitlines() == ["slots/a", "slots/b", "slots/a"]
    # One that cannot be told is no reason to refuse: its heartbeat decides.
    fleet.publish("r3", tiny_package(3))
    write_config(camera.config_file, replace(camera.config(), health=Health(notify=("false",))))
    assert update(camera).release == "r3"


def test_a_first_engine_that_does_not_do_well_leaves_none(fleet: Fleet, tmp_path: Path) -> None:
    camera = make_camera(tmp_path / "new", fleet)
    assert update(camera, watcher=unwell).what == "returned"
    assert camera.active() is None
    assert not camera.link.is_symlink()


@pytest.mark.parametrize(
    ("sentence", "told", "ends"),
    [
        ("nobody watches it", None, ("installed", "")),
        ("its program fails with it", {"failed": "no such layer"}, ("returned", "health")),
        ("a program beats, and with another engine", {"package": "/other"}, ("returned", "health")),
    ],
)
def test_a_first_engine_has_nobody_to_watch_it_and_stays_unless_a_program_complains(
    sentence: str, told: dict[str, str] | None, ends: tuple[str, str], fleet: Fleet, tmp_path: Path
) -> None:
    beat = tmp_path / "beat"
    health = Health("heartbeat", 0.3, 0.05, heartbeat=str(beat))
    camera = make_camera(tmp_path / "new", fleet, health=health)
    document = {"package": str(camera.slot("a")), "calls": 1, "errors": 0, "failed": "", **(told or {})}

    def hears(*given: Any) -> None:
        timer = threading.Timer(0.1, beat.write_text, (json.dumps(document),))
        if told is not None:
            timer.start()
        watch(*given)

    event = update(camera, watcher=hears)
    assert (event.what, event.reason) == ends
    if told is None:
        assert event.why.startswith("the first engine is kept unwatched: no program was using the new engine")
        # There is one to go back to by now.
        fleet.publish("r2", tiny_package(2))
        assert update(camera).what == "returned"
        assert serving(camera) == "seed-1"


@pytest.mark.parametrize(
    ("sentence", "age_s", "reason", "then"),
    [
        ("it was not started yet", None, "unwatched", "installed"),
        ("it was stopped a while ago", 60.0, "unwatched", "installed"),
        ("it ran, and fell silent with the new engine", 0.0, "health", "current"),
    ],
)
def test_an_engine_is_not_to_blame_where_its_program_was_not_running(
    sentence: str, age_s: float | None, reason: str, then: str, fleet: Fleet, camera: Store, tmp_path: Path
) -> None:
    beat = tmp_path / "beat"
    health = Health("heartbeat", 0.3, 0.05, heartbeat=str(beat))
    write_config(camera.config_file, replace(camera.config(), health=health))
    if age_s is not None:
        beat.write_text(json.dumps({"package": str(camera.slot("a")), "calls": 1, "errors": 0, "failed": ""}))
        os.utime(beat, (time.time() - age_s,) * 2)
    fleet.publish("r2", tiny_package(2))
    event = update(camera)
    assert (event.what, event.reason, serving(camera)) == ("returned", reason, "seed-1")
    assert event.why.startswith("no program was using the new engine")
    # A later look, with the program there.
    assert update(camera, watcher=lambda *given: None).what == then


def test_a_device_that_does_not_stay_up_on_trial_goes_back(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2))

    def power_cut(*given: object) -> None:
        raise KeyboardInterrupt

    for _ in range(1 + camera.config().health.most_resumes):
        with pytest.raises(KeyboardInterrupt):
            update(camera, watcher=power_cut)
        assert serving(camera) == "seed-2"
    event = update(camera, watcher=power_cut)
    assert (event.what, event.reason) == ("returned", "health")
    assert serving(camera) == "seed-1"


def test_a_trial_by_hand_waits_to_be_confirmed_and_goes_back_where_nobody_does(
    fleet: Fleet, tmp_path: Path
) -> None:
    camera = make_camera(tmp_path / "c", fleet, health=Health("manual", window_s=60))
    hand = HandAgent(camera, verify=verify_here, facts=FACTS)
    assert hand.update().what == "trial"
    assert hand.update().what == "trial"
    assert hand.confirm().what == "installed"
    with pytest.raises(InputError, match="there is none"):
        hand.confirm()
    fleet.publish("r2", tiny_package(2))
    assert hand.update().what == "trial"
    assert serving(camera) == "seed-2"
    later = HandAgent(camera, verify=verify_here, facts=FACTS, uptime=lambda: after(61))
    assert later.update().what == "returned"
    assert serving(camera) == "seed-1"


@pytest.mark.parametrize(
    ("sentence", "steps", "what"),
    [
        ("the clock is set an hour ahead", [(10, 3600)], "trial"),
        ("the clock is set an hour back, and nobody confirms", [(10, -3600), (61, -3600)], "returned"),
        ("the clock jumps to and fro", [(10, 3600), (20, -3600), (30, 1e7), (40, 0)], "trial"),
        ("two looks make up the window", [(40, 0), (61, 0)], "returned"),
    ],
)
def test_a_trial_by_hand_is_as_long_as_it_is_whatever_is_done_to_the_clock(
    sentence: str, steps: list[tuple[float, float]], what: str, fleet: Fleet, tmp_path: Path
) -> None:
    camera = make_camera(tmp_path / "c", fleet, health=Health("manual", window_s=60))
    start, clock = uptime(), datetime.now(timezone.utc)
    assert update(camera, uptime=lambda: start).what == "trial"
    for passed, set_to in steps:
        moment = replace(start, seconds=start.seconds + passed)
        time = clock + timedelta(seconds=passed + set_to)
        event = update(camera, uptime=lambda moment=moment: moment, now=lambda time=time: time)
    assert event.what == what


def test_a_trial_by_hand_goes_on_where_a_restart_cut_it_short(fleet: Fleet, tmp_path: Path) -> None:
    camera = make_camera(tmp_path / "c", fleet, health=Health("manual", window_s=60))
    moments = [Uptime("1", 5000), Uptime("1", 5020), Uptime("2", 25), Uptime("3", 10), Uptime("3", 16)]
    ended = [update(camera, uptime=lambda moment=moment: moment).what for moment in moments]
    # 20 seconds before the restart, 25 after it, 10 after another one, and 6.
    assert ended == ["trial", "trial", "trial", "trial", "returned"]


def test_going_back_by_hand_stays(fleet: Fleet, camera: Store) -> None:
    hand = HandAgent(camera, verify=verify_here, facts=FACTS)
    with pytest.raises(InputError, match="expected an engine to go back to"):
        hand.rollback()
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert hand.rollback("boxes flicker").why == "boxes flicker"
    assert serving(camera) == "seed-1"
    assert update(camera).what == "current"
