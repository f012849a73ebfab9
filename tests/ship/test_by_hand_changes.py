"""What hands and power cuts leave in a store: links spelt otherwise, half a shipment, a recalled trial."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fleet import FACTS, Fleet, make_camera, serving, tiny_package, update, verify_here

from osnet_edge.cli.main import main
from osnet_edge.ship.device.agent import Agent
from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.status import read_status
from osnet_edge.ship.device.store import Store, remove

ROLES = ("root", "timestamp", "snapshot", "targets")


@pytest.mark.parametrize("spelling", ["{root}/slots/a", "./slots/a", "slots/a/", "slots/../slots/a", "other"])
def test_a_link_that_a_hand_spelt_otherwise_leads_to_the_engine_that_serves(
    spelling: str, fleet: Fleet, camera: Store
) -> None:
    assert camera.active() == "a"
    (camera.root / "other").symlink_to("slots/a")
    camera.link.unlink()
    camera.link.symlink_to(spelling.format(root=camera.root))
    assert camera.active() == "a"
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert camera.active() == "b"
    assert camera.is_whole("a")


def test_what_a_shipment_left_in_a_power_cut_goes_and_a_link_is_not_followed(
    fleet: Fleet, camera: Store, tmp_path: Path
) -> None:
    half = camera.downloads / "tmpabc"
    half.mkdir()
    (half / "sent.tar").write_bytes(b"half")
    assert update(camera).what == "current"
    assert not list(camera.downloads.iterdir())
    others = tmp_path / "others"
    others.mkdir()
    (others / "file").write_bytes(b"of somebody else")
    camera.downloads.rmdir()
    camera.downloads.symlink_to(others)
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert (others / "file").read_bytes() == b"of somebody else"


def test_a_recall_is_heard_while_an_engine_waits_to_be_confirmed(fleet: Fleet, tmp_path: Path) -> None:
    camera = make_camera(tmp_path / "c", fleet, health=Health("manual", window_s=3600))
    assert update(camera).what == "trial"
    fleet.decide("r1", recalled="boxes flicker")
    event = update(camera)
    assert (event.what, event.reason, event.why) == ("returned", "operator", "r1 was recalled: boxes flicker")
    assert camera.active() is None


def test_a_link_that_leads_nowhere_serves_nothing(fleet: Fleet, camera: Store) -> None:
    camera.link.unlink()
    camera.link.symlink_to("current")
    assert camera.active() is None
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert serving(camera) == "seed-2"


_FAILING = {"release": "r2", "sha256": "0" * 64, "reason": "limit", "why": "", "times": 1}
_ON_TRIAL = {"slot": "b", "previous": "a", "phase": "watching", "since": ""}


@pytest.mark.parametrize(
    ("place", "content"),
    [
        # A time that is none would end every later run.
        ("signed", "soon"),
        # A day before the first day of the calendar, or another zone on its last, has no date.
        ("signed", "0001-01-01T00:00:00Z"),
        ("failing", [{**_FAILING, "when": "9999-12-31T23:59:59-23:00", "next": "later"}]),
        # A slot's name becomes a path that the link leads to.
        ("trial", {**_ON_TRIAL, "slot": "../../etc"}),
        ("trial", {**_ON_TRIAL, "previous": "../../etc", "phase": "returning"}),
        # What is on trial must be known, to be kept or taken back.
        ("trial", _ON_TRIAL),
        ("slots", {"c": {"release": "r1", "package": "tiny", "sha256": "0" * 64}}),
        # Prometheus has no such number.
        ("installed", 10**400),
        # JSON can spell half a character, and no file takes it.
        ("last", {"what": "current", "when": "", "why": "\ud800"}),
    ],
)
def test_a_journal_that_a_hand_made_senseless_is_set_aside(place: str, content: Any, camera: Store) -> None:
    document = json.loads(camera.state_file.read_text())
    camera.state_file.write_text(json.dumps({**document, place: content}))
    assert update(camera).what in ("current", "installed")
    assert camera.state_file.with_suffix(".damaged").is_file()
    assert serving(camera) == "seed-1"


@pytest.mark.parametrize(
    ("name", "put", "what"),
    [
        # The reserve is filled with random bytes, and deleted on a full disk.
        ("reserve", "link", "current"),
        ("reserve/3", "link", "current"),
        # Nobody reads from a pipe, or writes to it: opened as a file, it would be waited for.
        ("reserve/3", "pipe", "current"),
        ("channel.json", "pipe", "current"),
        ("channel.json", "link", "current"),
        ("state.json", "nowhere", "installed"),
        ("state.json", "folder", "installed"),
        ("download", "pipe", "current"),
        ("metadata/timestamp.json", "pipe", "current"),
        # Of a slot that somebody kept.
        ("slots/3", "link", "current"),
        ("root.json", "pipe", "refused"),
    ],
)
def test_what_stands_in_place_of_a_file_is_replaced_or_refused(
    name: str, put: str, what: str, camera: Store, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    others.mkdir()
    for each in ("3", "channel.json"):
        (others / each).write_text("of somebody else")
    path = camera.root / name
    remove(path)
    if put == "pipe":
        os.mkfifo(path)
    elif put == "folder":
        path.mkdir()
    else:
        path.symlink_to(
            tmp_path / "nowhere"
            if put == "nowhere"
            else others / ("" if name in ("reserve", "slots/3") else path.name)
        )
    assert update(camera).what == what
    assert {each.read_text() for each in others.iterdir()} == {"of somebody else"}
    assert len(list(others.iterdir())) == 2
    assert serving(camera) == "seed-1"


@pytest.mark.parametrize("command", ["update", "rollback", "confirm", "init --device camera-1"])
@pytest.mark.parametrize(
    ("sentence", "stands"),
    [
        ("a folder", Path.mkdir),
        ("a link that leads to no place", lambda lock: lock.symlink_to("/nowhere/lock")),
        ("a link to itself", lambda lock: lock.symlink_to(lock)),
    ],
)
def test_what_stands_in_place_of_the_lock_is_told_of_and_once_it_is_removed_all_is_well(
    sentence: str,
    stands: Callable[[Path], None],
    command: str,
    camera: Store,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock = camera.root / "lock"
    lock.unlink()
    stands(lock)
    assert main(["device", *command.split(), "--store", str(camera.root)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: expected a file or nothing at {lock}, which is for the store's lock, got")
    assert told.endswith("remove it, then try again\n")
    assert len(told.splitlines()) == 1
    remove(lock)
    assert update(camera).what == "current"


@pytest.mark.parametrize(
    ("sentence", "change", "reason"),
    [
        ("a version that is never reached", {"seen": {"root": 1, "targets": 10**12}}, "replayed"),
        (
            "such of every role",
            {"seen": dict.fromkeys(("root", "timestamp", "snapshot"), 10**30)},
            "replayed",
        ),
        ("a time of signing that is far ahead", {"signed": "2999-01-01T00:00:00Z"}, "clock"),
    ],
)
def test_a_journal_that_a_hand_set_ahead_says_how_to_recover_and_that_works(
    sentence: str, change: dict[str, Any], reason: str, fleet: Fleet, camera: Store
) -> None:
    right = camera.read_state()
    camera.write_state(replace(right, **change))
    fleet.publish("r2", tiny_package(2))
    event = update(camera)
    assert (event.what, event.reason) == ("refused", reason)
    status = read_status(camera)
    assert status.last is not None
    assert "osnet-edge device update --forget-versions" in status.last.why
    assert Agent(camera, verify=verify_here, facts=FACTS).update(forget=True).release == "r2"
    assert camera.read_state().seen == {**right.seen, "timestamp": 2, "snapshot": 2, "targets": 2}
    # It forgets nothing that was verified: the day before is not believed.
    metadata = fleet.folder / "metadata"
    now = (metadata / "timestamp.json").read_bytes()
    fleet.decide("r2", recalled="boxes flicker")
    assert update(camera).what == "installed"
    (metadata / "timestamp.json").write_bytes(now)
    event = Agent(camera, verify=verify_here, facts=FACTS).update(forget=True)
    assert (event.what, event.reason) == ("refused", "replayed")
