"""A camera against a repository that nginx serves: what an update does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fleet import Fleet, Web, archive_of, serving, tiny_package, update
from securesystemslib.signer import CryptoSigner

from osnet_edge.ship.channel import Rollout
from osnet_edge.ship.device.config import Limits
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.state import State
from osnet_edge.ship.device.store import Store
from osnet_edge.ship.publish.signed import sign


def test_a_camera_takes_what_is_published_once_and_keeps_the_engine_before(
    fleet: Fleet, camera: Store
) -> None:
    before = camera.active()
    fleet.publish("r2", tiny_package(2))
    event = update(camera)
    assert (event.what, event.release) == ("installed", "r2")
    assert serving(camera) == "seed-2"
    assert camera.active() != before
    assert {each.release for each in camera.read_state().slots.values()} == {"r1", "r2"}
    assert not list(camera.downloads.iterdir())
    state = camera.state_file.read_bytes()
    assert update(camera).what == "current"
    assert update(camera).what == "current"
    # Looking wears no flash.
    assert json.loads(camera.state_file.read_bytes())["last"]["what"] == "current"
    assert camera.state_file.read_bytes() != state
    again = camera.state_file.stat().st_mtime_ns
    update(camera)
    assert camera.state_file.stat().st_mtime_ns == again


def test_kernels_that_an_engine_compiled_stay_beside_its_slot_and_go_with_it(
    fleet: Fleet, camera: Store
) -> None:
    # As TensorRT-RTX's are named, by the proof on the device or by the program.
    kernels = camera.root / "slots" / f"{camera.active()}.0123456789ab.1.7.1.116.GPU.kernels"
    kernels.write_bytes(b"kernels")
    assert update(camera).what == "current"
    fleet.publish("r2", tiny_package(2))
    assert update(camera).what == "installed"
    assert kernels.exists()
    fleet.publish("r3", tiny_package(3))
    assert update(camera).what == "installed"
    assert not kernels.exists()


def test_a_download_goes_on_where_it_broke_off(fleet: Fleet, camera: Store, web: Web) -> None:
    fleet.publish("r2", tiny_package(2))
    archive = archive_of(fleet, "r2")
    digest = archive.name.split(".")[0]
    partial = camera.downloads / f"{digest}.tar"
    partial.write_bytes(archive.read_bytes()[:20_000])
    (camera.downloads / "left-over.tar").write_bytes(b"of another release")
    log = web.folder.parent
    assert update(camera).release == "r2"
    sent = [
        line
        for path in log.parent.rglob("access.log")
        for line in path.read_text().splitlines()
        if archive.name in line and fleet.folder.name in line
    ]
    assert [line.split('" ')[1].split()[0] for line in sent] == ["206"]
    assert int(sent[0].split('" ')[1].split()[1]) == archive.stat().st_size - 20_000
    assert not list(camera.downloads.iterdir())


def test_a_beginning_that_is_not_of_this_archive_is_thrown_away_and_the_next_run_takes_it_whole(
    fleet: Fleet, camera: Store
) -> None:
    fleet.publish("r2", tiny_package(2))
    digest = archive_of(fleet, "r2").name.split(".")[0]
    (camera.downloads / f"{digest}.tar").write_bytes(b"x" * 20_000)
    assert update(camera).reason == "corrupt"
    assert update(camera).release == "r2"


def test_one_update_at_a_time(fleet: Fleet, camera: Store) -> None:
    with camera.lock(), pytest.raises(RefusedError, match="another update"):
        update(camera)
    assert update(camera).what == "current"


def test_an_update_that_was_killed_leaves_no_lock(fleet: Fleet, camera: Store) -> None:
    code = (
        "import sys, time; from pathlib import Path; from osnet_edge.ship.device.store import Store\n"
        "with Store(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(camera.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RefusedError):
            update(camera)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert update(camera).what == "current"


def test_a_recall_takes_a_camera_back_without_a_download(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2))
    update(camera)
    fleet.decide("r2", recalled="boxes flicker", back_to="r1")
    archive_of(fleet, "r1").unlink()
    assert update(camera).release == "r1"
    assert serving(camera) == "seed-1"
    assert update(camera).what == "current"


def test_an_engine_in_the_other_slot_that_fails_its_proof_now_is_remembered(
    fleet: Fleet, camera: Store
) -> None:
    fleet.publish("r2", tiny_package(2))
    update(camera)
    fleet.decide("r2", recalled="boxes flicker", back_to="r1")

    def fails(package: Path, limits: Limits) -> dict[str, float]:
        raise RefusedError("proof", "the driver is another one now")

    assert update(camera, verify=fails).reason == "proof"
    assert [bad.release for bad in camera.read_state().bad] == ["r1"]
    assert update(camera).what == "waiting"
    assert serving(camera) == "seed-2"


def test_a_paused_or_later_release_waits(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2), rollout=Rollout(not_before="2126-01-01T00:00:00Z"))
    assert update(camera).why == "r2 begins at 2126-01-01T00:00:00Z"
    fleet.decide("r2", not_before="", paused=True)
    assert update(camera).why == "r2 is paused"
    fleet.decide("r2", paused=False)
    assert update(camera).release == "r2"


def test_an_engine_that_was_damaged_on_the_disk_gives_way_to_the_other_slot(
    fleet: Fleet, camera: Store
) -> None:
    fleet.publish("r2", tiny_package(2))
    update(camera)
    os.truncate(camera.link / "model.onnx", 100)
    event = update(camera)
    assert (event.what, event.reason) == ("returned", "corrupt")
    assert serving(camera) == "seed-1"
    # Its flash was at fault, not the release.
    assert update(camera).release == "r2"
    for slot in ("a", "b"):
        os.truncate(camera.slot(slot) / "model.onnx", 100)
    assert update(camera).release == "r2"
    assert serving(camera) == "seed-2"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": 9}', b"\xff"])
def test_a_damaged_journal_is_set_aside_and_what_serves_serves_on(
    content: bytes, fleet: Fleet, camera: Store
) -> None:
    camera.state_file.write_bytes(content)
    assert camera.peek_state() == State()
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert serving(camera) == "seed-2"
    assert camera.state_file.with_suffix(".damaged").exists()


def test_root_keys_rotate_while_a_camera_sleeps(fleet: Fleet, camera: Store) -> None:
    old = fleet.root
    for _ in range(3):
        before = fleet.root
        fleet.root = (*before[1:], CryptoSigner.generate_ed25519())
        draft = fleet.repository.draft_root(fleet.signers())
        sign(draft, [*before[:2], *fleet.root[:2]])
        fleet.repository.install_root(draft)
    assert not set(old) & set(fleet.root)
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert camera.read_state().seen["root"] == 4
