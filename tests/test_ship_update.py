"""A camera against a repository that nginx serves: what an update does, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bad_packages import ruined
from fleet import FACTS, Fleet, Web, make_camera, prove_here, serving, tiny_package, update
from securesystemslib.signer import CryptoSigner

from osnet_edge.engines.fleet.publish import Measured, draft_release, read_channel
from osnet_edge.engines.fleet.signed import sign
from osnet_edge.runtime.device.agent import Agent
from osnet_edge.runtime.device.by_hand import HandAgent
from osnet_edge.runtime.device.channel import Needs, Rollout, dump_channel
from osnet_edge.runtime.device.config import Health, Limits, write_config
from osnet_edge.runtime.device.download import download
from osnet_edge.runtime.device.lock import hold_lock
from osnet_edge.runtime.device.refused import RefusedError
from osnet_edge.runtime.device.state import State
from osnet_edge.runtime.device.store import Store
from osnet_edge.runtime.errors import InputError

NO_RESERVE = Limits(reserve_mb=0)


@pytest.fixture
def fleet(web: Web, request: pytest.FixtureRequest) -> Fleet:
    """A fleet with one release."""
    fleet = web.fleet(f"update-{abs(hash(request.node.nodeid))}")
    fleet.publish("r1", tiny_package(1))
    return fleet


@pytest.fixture
def camera(fleet: Fleet, tmp_path: Path) -> Store:
    """A camera of that fleet, with that release."""
    store = make_camera(tmp_path / "camera", fleet)
    assert update(store).what == "installed"
    return store


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


def engines_but(package: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A package whose manifest was changed, before it was published."""
    copy = Path(shutil.copytree(package, folder / "changed"))
    document = json.loads((copy / "manifest.json").read_text())
    change(document)
    (copy / "manifest.json").write_text(json.dumps(document))
    return copy


def archive_of(fleet: Fleet, release: str) -> Path:
    (archive,) = (fleet.folder / "targets" / "packages" / release).iterdir()
    return archive


def publish_good(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2))


def publish_ruined(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", ruined(camera.root.parent))


def publish_for_others(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2), wanted="another-camera")


def publish_mislabelled(fleet: Fleet, camera: Store) -> None:
    """The index says that it fits, its manifest that it is a plan for a Jetson's GPU."""

    def for_a_jetson(document: dict[str, Any]) -> None:
        document["target"].update(
            backend="tensorrt", device="cuda", machine="aarch64", backend_version="10.3.0", exact_version=True
        )

    package = engines_but(tiny_package(2), camera.root.parent, for_a_jetson)
    draft = draft_release(fleet.repository, "stable", "r2", {package: Measured()})
    fleet.install(draft)
    relabel(fleet)


def relabel(fleet: Fleet) -> None:
    """Sign an index that says `onnxruntime`, whatever the package is."""
    channel = read_channel(fleet.repository, "stable")
    last = channel.releases[-1]
    offers = tuple(replace(offer, needs=Needs("onnxruntime")) for offer in last.offers)
    channel = replace(channel, releases=(*channel.releases[:-1], replace(last, offers=offers)))
    document = fleet.folder.with_name("index.json")
    document.write_bytes(dump_channel(channel))
    fleet.install(fleet.repository.draft_targets([fleet.repository.put("channels/stable.json", document)]))


def cut_short(fleet: Fleet, camera: Store) -> None:
    publish_good(fleet, camera)
    archive = archive_of(fleet, "r2")
    os.truncate(archive, archive.stat().st_size // 2)


def flip_a_bit(fleet: Fleet, camera: Store) -> None:
    publish_good(fleet, camera)
    content = bytearray(archive_of(fleet, "r2").read_bytes())
    content[2000] ^= 1
    archive_of(fleet, "r2").write_bytes(content)


def vanish(fleet: Fleet, camera: Store) -> None:
    publish_good(fleet, camera)
    archive_of(fleet, "r2").unlink()


def take_the_web_away(fleet: Fleet, camera: Store) -> None:
    publish_good(fleet, camera)
    (fleet.folder / "metadata").rename(fleet.folder / "elsewhere")


def long_ago() -> datetime:
    return datetime(1970, 1, 1, 0, 1, tzinfo=timezone.utc)


REFUSALS: list[tuple[str, Callable[[Fleet, Store], None], dict[str, Any], Limits, str]] = [
    ("its proof fails", publish_ruined, {}, NO_RESERVE, "proof"),
    ("it is for another device", publish_for_others, {}, NO_RESERVE, "device"),
    ("it is for another device than its index says", publish_mislabelled, {}, NO_RESERVE, "device"),
    ("too slow for the limit", publish_good, {}, Limits(reserve_mb=0, latency_ms=1e-6), "proof"),
    ("too big for the limit", publish_good, {}, Limits(reserve_mb=0, package_mb=0.001), "limit"),
    ("a full disk", publish_good, {}, Limits(reserve_mb=1e9), "disk"),
    ("a clock set to 1970", publish_good, {"now": long_ago}, NO_RESERVE, "clock"),
    ("a download that ends early", cut_short, {}, NO_RESERVE, "network"),
    ("a download that was damaged", flip_a_bit, {}, NO_RESERVE, "corrupt"),
    ("an archive that is not there", vanish, {}, NO_RESERVE, "network"),
    ("a repository that is not there", take_the_web_away, {}, NO_RESERVE, "network"),
]


@pytest.mark.parametrize(
    ("sentence", "happens", "parts", "limits", "reason"), REFUSALS, ids=[row[0] for row in REFUSALS]
)
def test_an_update_is_refused_with_its_reason_and_the_old_engine_serves_on(
    sentence: str,
    happens: Callable[[Fleet, Store], None],
    parts: dict[str, Any],
    limits: Limits,
    reason: str,
    fleet: Fleet,
    camera: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("osnet_edge.runtime.device.download._PAUSE_S", 0.0)
    happens(fleet, camera)
    limited(camera, limits)
    event = update(camera, **parts)
    assert (event.what, event.reason) == ("refused", reason), event.why
    assert serving(camera) == "seed-1"
    assert camera.read_state().last == event
    remembered = [bad.release for bad in camera.read_state().bad]
    assert remembered == (["r2"] if reason == "proof" or "index" in sentence else [])


def limited(camera: Store, limits: Limits) -> None:
    write_config(camera.config_file, replace(camera.config(), limits=limits))


def test_a_disk_that_fills_up_on_the_way_is_left_as_it_was(fleet: Fleet, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs to mount a small disk, which root may")
    try:
        camera = make_camera(place / "camera", fleet)
        assert update(camera).what == "installed"
        fleet.publish("r2", tiny_package(2))
        # As much as passes the check, and is not enough once the rest of the system has written a little.
        (place / "others").write_bytes(bytes(shutil.disk_usage(place).free - 64_000))
        event = update(camera, prove=fill_and_prove)
        assert (event.what, event.reason) == ("refused", "disk"), event.why
        assert serving(camera) == "seed-1"
        (place / "others").unlink()
        assert update(camera).release == "r2"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_during_a_download_is_said_to_be_full(fleet: Fleet) -> None:
    archive = archive_of(fleet, "r1")
    url = f"{fleet.url}/targets/packages/r1/{archive.name}"
    # It opens, and takes nothing.
    with pytest.raises(RefusedError, match="cannot be written: No space left on device") as refused:
        download(url, Path("/dev/full"), archive.stat().st_size, 10)
    assert refused.value.reason == "disk"


def test_a_download_that_takes_too_long_is_not_begun_again(fleet: Fleet, tmp_path: Path) -> None:
    asked: list[str] = []

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(bytes(100))

        def log_message(self, *given: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(RefusedError, match="it took too long"):
            download(f"http://127.0.0.1:{server.server_port}/x", tmp_path / "x", 1000, seconds=0)
        server.shutdown()
    assert asked == ["/x"]


def fill_and_prove(package: Path, limits: Limits) -> dict[str, float]:
    """Let somebody else fill the disk while an engine is proven."""
    with contextlib.suppress(OSError), (package.parents[2] / "others").open("ab", buffering=0) as others:
        while others.write(bytes(4096)):
            pass
    return prove_here(package, limits)


def test_what_failed_its_proof_is_not_tried_again_until_somebody_says_so(fleet: Fleet, camera: Store) -> None:
    publish_ruined(fleet, camera)
    assert update(camera).reason == "proof"
    assert update(camera).what == "current"
    assert Agent(camera, prove=prove_here, facts=FACTS).update(retry=True).reason == "proof"
    fleet.publish("r3", tiny_package(3))
    assert update(camera).release == "r3"


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


def test_what_the_system_refuses_is_told_whenever_it_happens(fleet: Fleet, camera: Store) -> None:
    shutil.rmtree(camera.root / "slots")
    event = update(camera)
    assert (event.what, event.reason) == ("refused", "disk")
    assert event.why == f"No such file or directory: {camera.root}/slots"
    assert camera.read_state().last == event


def test_one_update_at_a_time(fleet: Fleet, camera: Store) -> None:
    with hold_lock(camera.lock_file), pytest.raises(RefusedError, match="another update"):
        update(camera)
    assert update(camera).what == "current"


def test_an_update_that_was_killed_leaves_no_lock(fleet: Fleet, camera: Store) -> None:
    code = (
        "import sys, time; from pathlib import Path; from osnet_edge.runtime.device.lock import hold_lock\n"
        "with hold_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(camera.lock_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RefusedError):
            update(camera)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert update(camera).what == "current"


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
    hand = HandAgent(camera, prove=prove_here, facts=FACTS)
    assert hand.update().what == "trial"
    assert hand.update().what == "trial"
    assert hand.confirm().what == "installed"
    with pytest.raises(InputError, match="there is none"):
        hand.confirm()
    fleet.publish("r2", tiny_package(2))
    assert hand.update().what == "trial"
    assert serving(camera) == "seed-2"
    later = HandAgent(
        camera,
        prove=prove_here,
        facts=FACTS,
        now=lambda: datetime.now(timezone.utc) + timedelta(seconds=61),
    )
    assert later.update().what == "returned"
    assert serving(camera) == "seed-1"


def test_going_back_by_hand_stays(fleet: Fleet, camera: Store) -> None:
    hand = HandAgent(camera, prove=prove_here, facts=FACTS)
    with pytest.raises(InputError, match="expected an engine to go back to"):
        hand.rollback()
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert hand.rollback("boxes flicker").why == "boxes flicker"
    assert serving(camera) == "seed-1"
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

    assert update(camera, prove=fails).reason == "proof"
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


def test_the_proof_in_a_process_of_its_own_ends_with_its_limits(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2))
    limited(camera, Limits(reserve_mb=0, prove_s=0.01))
    assert Agent(camera, facts=FACTS).update().reason == "limit"
    limited(camera, Limits(reserve_mb=0, prove_mb=5))
    assert Agent(camera, facts=FACTS).update().reason == "limit"
    limited(camera, NO_RESERVE)
    assert Agent(camera, facts=FACTS).update().release == "r2"
