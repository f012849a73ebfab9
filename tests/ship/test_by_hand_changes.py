"""What hands and power cuts leave in a store: links spelt otherwise, half a shipment, a recalled trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import Fleet, make_camera, serving, tiny_package, update

from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.store import Store


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
