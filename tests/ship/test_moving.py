"""A camera that moves to another repository: its engine serves on, and nothing of the old one is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fleet import Fleet, Web, make_camera, serving, tiny_package, update
from securesystemslib.signer import CryptoSigner

from osnet_edge.ship.device import setup
from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.store import Store, remove
from osnet_edge.ship.publish.signed import sign


@pytest.fixture
def other(web: Web, request: pytest.FixtureRequest) -> Fleet:
    """Another repository, younger, with a release of the same name."""
    other = web.fleet(f"other-{abs(hash(request.node.nodeid))}")
    other.publish("r1", tiny_package(3))
    return other


def move(camera: Store, to: Fleet, root: int = 1) -> None:
    config = replace(camera.config(), url=to.url)
    setup.set_up(camera, config, to.folder / "metadata" / f"{root}.root.json")


def rotate(fleet: Fleet) -> None:
    """Replace every root key, and have the old ones sign it."""
    before, fleet.root = fleet.root, tuple(CryptoSigner.generate_ed25519() for _ in range(3))
    draft = fleet.repository.draft_root(fleet.signers())
    sign(draft, [*before[:2], *fleet.root[:2]])
    fleet.repository.install_root(draft)


def test_a_camera_moves_to_a_younger_repository_and_back(fleet: Fleet, camera: Store, other: Fleet) -> None:
    for number in (2, 4):
        fleet.publish(f"r{number}", tiny_package(number))
        assert update(camera).what == "installed"
    move(camera, other)
    assert serving(camera) == "seed-4"
    event = update(camera)
    # Of the same name as one that it had, and another engine.
    assert (event.what, event.release, serving(camera)) == ("installed", "r1", "seed-3")
    assert camera.read_state().seen["targets"] == 1
    move(camera, fleet)
    assert (update(camera).release, serving(camera)) == ("r4", "seed-4")


def test_what_was_bad_there_says_nothing_of_the_same_name_here(
    fleet: Fleet, camera: Store, other: Fleet
) -> None:
    from test_trials import unwell

    fleet.publish("r2", tiny_package(2))
    assert update(camera, watcher=unwell).what == "returned"
    other.publish("r2", tiny_package(5))
    move(camera, other)
    assert (update(camera).release, serving(camera)) == ("r2", "seed-5")


def test_a_move_that_is_cut_short_is_done_by_the_next(
    fleet: Fleet, camera: Store, other: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(*given: object) -> None:
        raise KeyboardInterrupt

    for name in ("write_file", "write_config"):
        with monkeypatch.context() as cut:
            cut.setattr(setup, name, power_cut)
            with pytest.raises(KeyboardInterrupt):
                move(camera, other)
        assert serving(camera) == "seed-1"
    move(camera, other)
    assert (update(camera).release, serving(camera)) == ("r1", "seed-3")


def test_a_move_that_is_cut_short_does_not_let_the_old_repository_be_served_from_before(
    fleet: Fleet, camera: Store, other: Fleet
) -> None:
    metadata, stamp = fleet.folder / "metadata", "timestamp.json"
    before = (metadata / stamp).read_bytes()
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    (metadata / stamp).write_bytes(before)
    # What the move cannot delete ends it half-way.
    remove(camera.channel_file)
    camera.channel_file.mkdir()
    with pytest.raises(OSError, match="directory"):
        move(camera, other)
    event = update(camera)
    assert (event.what, event.reason, serving(camera)) == ("refused", "corrupt", "seed-2")
    assert "osnet-edge device init with --root again" in event.why
    move(camera, other)
    assert (update(camera).release, serving(camera)) == ("r1", "seed-3")


def test_a_trial_ends_where_it_began_after_a_move(fleet: Fleet, other: Fleet, tmp_path: Path) -> None:
    camera = make_camera(tmp_path / "c", fleet, health=Health("manual", window_s=3600))
    assert update(camera).what == "trial"
    move(camera, other)
    assert update(camera).what == "trial"
    assert serving(camera) == "seed-1"


@pytest.mark.parametrize(
    ("sentence", "rotations", "given"),
    [
        ("the same root", 0, 1),
        ("the next one", 1, 2),
        ("one that it knows by those in between", 2, 3),
        ("one from before", 1, 1),
    ],
)
def test_a_root_of_the_same_repository_forgets_nothing(
    sentence: str, rotations: int, given: int, fleet: Fleet, camera: Store
) -> None:
    for _ in range(rotations):
        rotate(fleet)
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    before = camera.read_state()
    move(camera, fleet, given)
    assert camera.read_state() == before
    assert update(camera).what == "current"


def test_a_recall_on_trial_can_be_taken_back(fleet: Fleet, tmp_path: Path) -> None:
    camera = make_camera(tmp_path / "c", fleet, health=Health("manual", window_s=3600))
    assert update(camera).what == "trial"
    fleet.decide("r1", recalled="boxes flicker")
    assert update(camera).what == "returned"
    assert update(camera).what != "trial"
    fleet.decide("r1", recalled="")
    assert update(camera).what == "trial"


def test_more_than_64_roots_after_the_anchor_are_followed(fleet: Fleet, camera: Store) -> None:
    for _ in range(70):
        rotate(fleet)
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert camera.read_state().seen["root"] == 71
