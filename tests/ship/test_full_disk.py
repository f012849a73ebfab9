"""A disk that is full while a release is on trial: a bad engine goes back, whatever can be written of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fleet import FACTS, Fleet, make_camera, serving, small_disk, tiny_package, update, verify_here

from osnet_edge.ship.device.by_hand import HandAgent
from osnet_edge.ship.device.config import Health, write_config
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.state import Bad
from osnet_edge.ship.device.store import Store

#: A journal as large as it gets.
REMEMBERED = tuple(Bad(f"b{n}", f"{n:064}", "proof", "x" * 400, "2026-01-01T00:00:00Z") for n in range(64))


@pytest.fixture
def small(fleet: Fleet, tmp_path: Path) -> Iterator[Store]:
    """A camera on a small disk, which serves the first release, and to which a second is out."""
    with small_disk(tmp_path / "small", "size=1m,nr_inodes=120") as place:
        camera = make_camera(place / "camera", fleet)
        assert update(camera).what == "installed"
        fleet.publish("r2", tiny_package(2))
        camera.write_state(replace(camera.read_state(), bad=REMEMBERED))
        yield camera


def fill_bytes(camera: Store) -> None:
    """Leave no byte on the disk."""
    others = os.open(camera.root.parent / "bytes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    until_full(lambda: os.write(others, bytes(1024)))
    os.close(others)


def fill_inodes(camera: Store) -> None:
    """Leave no file on the disk."""
    others = camera.root.parent / "inodes"
    others.mkdir()
    until_full(lambda: tempfile.mkdtemp(dir=others))


def until_full(write: Callable[[], object]) -> None:
    """Write until the disk takes no more."""
    with contextlib.suppress(OSError):
        while True:
            write()


def fill_and_take_the_reserve(camera: Store) -> None:
    """Leave no byte, and nothing that could be given up for one."""
    shutil.rmtree(camera.root / "reserve")
    fill_bytes(camera)


def make_room(camera: Store) -> None:
    (camera.root.parent / "bytes").unlink(missing_ok=True)
    shutil.rmtree(camera.root.parent / "inodes", ignore_errors=True)


def then(camera: Store, fill: Callable[[Store], None], error: BaseException) -> Callable[..., None]:
    """A trial in which the disk fills up, and then something happens."""

    def watch(*given: object) -> None:
        fill(camera)
        raise error

    return watch


UNWELL = RefusedError("health", "it does not do well")


@pytest.mark.parametrize("fill", [fill_bytes, fill_inodes])
def test_a_bad_engine_goes_back_on_a_full_disk_and_is_remembered(
    fill: Callable[[Store], None], small: Store
) -> None:
    event = update(small, watcher=then(small, fill, UNWELL))
    assert (event.what, event.reason, event.why) == ("returned", "health", "it does not do well")
    assert serving(small) == "seed-1"
    state = small.read_state()
    assert (state.trial, state.last, state.bad[-1].release) == (None, event, "r2")
    # Still full, it looks as before, and puts by what it spent once there is room.
    update(small)
    assert serving(small) == "seed-1"
    make_room(small)
    assert update(small).what == "current"
    assert {path.stat().st_size for path in (small.root / "reserve").iterdir()} == {8192}
    assert len(list((small.root / "reserve").iterdir())) == 8


def test_a_bad_engine_goes_back_where_nothing_can_be_written_at_all(small: Store) -> None:
    event = update(small, watcher=then(small, fill_and_take_the_reserve, UNWELL))
    assert (event.what, event.reason) == ("returned", "health")
    assert event.why == "it does not do well (not in the journal: No space left on device)"
    assert serving(small) == "seed-1"
    # The journal has it on trial still: no run turns the link forth again, or counts it as installed.
    assert update(small).what == "returned"
    assert serving(small) == "seed-1"
    make_room(small)
    assert (update(small).reason, small.read_state().trial) == ("disk", None)
    assert serving(small) == "seed-1"
    assert "r2" not in {bad.release for bad in small.read_state().bad}


def test_a_trial_that_is_cut_short_on_a_full_disk_goes_back(small: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        update(small, watcher=then(small, fill_and_take_the_reserve, KeyboardInterrupt()))
    assert serving(small) == "seed-2"
    # Its restarts cannot be counted.
    event = update(small, watcher=lambda *given: None)
    assert (event.what, event.reason) == ("returned", "disk")
    assert serving(small) == "seed-1"


@pytest.mark.parametrize("fill", [fill_bytes, fill_inodes, fill_and_take_the_reserve])
def test_a_hand_can_take_an_engine_back_on_a_full_disk(fill: Callable[[Store], None], small: Store) -> None:
    write_config(small.config_file, replace(small.config(), health=Health("manual", window_s=3600)))
    hand = HandAgent(small, verify=verify_here, facts=FACTS)
    assert hand.update().what == "trial"
    fill(small)
    assert hand.rollback().what == "returned"
    assert serving(small) == "seed-1"


@pytest.mark.parametrize(
    ("sentence", "fill", "successor", "what", "why"),
    [
        ("no byte is left", fill_bytes, False, "installed", ""),
        ("no inode is left", fill_inodes, False, "installed", ""),
        ("and the release that repairs it does not fit", fill_bytes, True, "returned", "r3 is yet to come"),
    ],
)
def test_a_recall_is_followed_on_a_full_disk(
    sentence: str,
    fill: Callable[[Store], None],
    successor: bool,
    what: str,
    why: str,
    fleet: Fleet,
    small: Store,
) -> None:
    assert update(small).release == "r2"
    fill(small)
    if successor:
        fleet.publish("r3", tiny_package(3))
    fleet.decide("r2", recalled="boxes flicker")
    event = update(small)
    assert (event.what, serving(small)) == (what, "seed-1")
    assert why in event.why
    # It was seen, for good: what the repository said before is not believed again.
    assert small.read_state().seen["targets"] == 3 + successor
    update(small)
    assert serving(small) == "seed-1"
    make_room(small)
    assert update(small).what == ("installed" if successor else "current")
    assert serving(small) == ("seed-3" if successor else "seed-1")


def test_a_good_engine_stays_on_a_full_disk(small: Store) -> None:
    def fills_up(*given: object) -> None:
        fill_bytes(small)

    assert update(small, watcher=fills_up).what == "installed"
    assert serving(small) == "seed-2"
    assert small.read_state().trial is None
