"""Updates that a camera refuses: each with its reason, and the old engine serves on."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bad_packages import rewritten, ruined
from fleet import (
    FACTS,
    Fleet,
    archive_of,
    make_camera,
    serving,
    small_disk,
    tiny_package,
    update,
    verify_here,
)

from osnet_edge.ship.channel import dump_channel
from osnet_edge.ship.device.agent import Agent
from osnet_edge.ship.device.config import Limits
from osnet_edge.ship.device.download import download
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.setup import set_up
from osnet_edge.ship.device.store import Store
from osnet_edge.ship.publish.releases import Measured, draft_release, read_channel
from osnet_edge.ship.requirements import Requirements

NO_RESERVE = Limits(reserve_mb=0)


def publish_good(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2))


def publish_ruined(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", ruined(camera.root.parent))


def publish_for_others(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2), requirements="another-camera")


def publish_mislabelled(fleet: Fleet, camera: Store) -> None:
    """The index says that it fits, its manifest that it is a plan for a Jetson's GPU."""

    def for_a_jetson(document: dict[str, Any]) -> None:
        document["target"].update(
            backend="tensorrt", device="cuda", machine="aarch64", backend_version="10.3.0", exact_version=True
        )

    package = rewritten(tiny_package(2), camera.root.parent, for_a_jetson)
    draft = draft_release(fleet.repository, "stable", "r2", {package: Measured()})
    fleet.install(draft)
    relabel(fleet)


def relabel(fleet: Fleet) -> None:
    """Sign an index that says `onnxruntime`, whatever the package is."""
    channel = read_channel(fleet.repository, "stable")
    last = channel.releases[-1]
    offers = tuple(replace(artifact, needs=Requirements("onnxruntime")) for artifact in last.offers)
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
    monkeypatch.setattr("osnet_edge.ship.device.download._PAUSE_S", 0.0)
    happens(fleet, camera)
    limited(camera, limits)
    event = update(camera, **parts)
    assert (event.what, event.reason) == ("refused", reason), event.why
    assert serving(camera) == "seed-1"
    assert camera.read_state().last == event
    remembered = [bad.release for bad in camera.read_state().bad]
    assert remembered == (["r2"] if reason == "proof" or "index" in sentence else [])


def limited(camera: Store, limits: Limits) -> None:
    set_up(camera, replace(camera.config(), limits=limits), None)


def test_a_disk_that_fills_up_on_the_way_is_left_as_it_was(fleet: Fleet, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "size=240k") as place:
        camera = make_camera(place / "camera", fleet)
        assert update(camera).what == "installed"
        fleet.publish("r2", tiny_package(2))
        # As much as passes the check, and is not enough once the rest of the system has written a little.
        (place / "others").write_bytes(bytes(shutil.disk_usage(place).free - 64_000))
        event = update(camera, verify=fill_and_verify)
        assert (event.what, event.reason) == ("refused", "disk"), event.why
        assert serving(camera) == "seed-1"
        (place / "others").unlink()
        assert update(camera).release == "r2"


def fill_and_verify(package: Path, limits: Limits) -> dict[str, float]:
    """Let somebody else fill the disk while an engine is proven."""
    with contextlib.suppress(OSError), (package.parents[2] / "others").open("ab", buffering=0) as others:
        while others.write(bytes(4096)):
            pass
    return verify_here(package, limits)


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
                time.sleep(2)

        def log_message(self, *given: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(RefusedError, match="it took too long"):
            download(f"http://127.0.0.1:{server.server_port}/x", tmp_path / "x", 1000, seconds=0.5)
        server.shutdown()
    assert asked == ["/x"]


def test_what_failed_its_proof_is_not_tried_again_until_somebody_says_so(fleet: Fleet, camera: Store) -> None:
    publish_ruined(fleet, camera)
    assert update(camera).reason == "proof"
    assert update(camera).what == "current"
    assert Agent(camera, verify=verify_here, facts=FACTS).update(retry=True).reason == "proof"
    fleet.publish("r3", tiny_package(3))
    assert update(camera).release == "r3"


def test_what_the_system_refuses_is_told_whenever_it_happens(fleet: Fleet, camera: Store) -> None:
    shutil.rmtree(camera.root / "slots")
    event = update(camera)
    assert (event.what, event.reason) == ("refused", "disk")
    assert event.why == f"No such file or directory: {camera.root}/slots"
    assert camera.read_state().last == event


def test_the_proof_in_a_process_of_its_own_ends_with_its_limits(fleet: Fleet, camera: Store) -> None:
    fleet.publish("r2", tiny_package(2))
    limited(camera, Limits(reserve_mb=0, prove_s=0.01))
    assert Agent(camera, facts=FACTS).update().reason == "limit"
    limited(camera, Limits(reserve_mb=0, prove_mb=5))
    assert Agent(camera, facts=FACTS).update().reason == "limit"
    limited(camera, NO_RESERVE)
    # Tried again, and not downloaded again.
    archive_of(fleet, "r2").unlink()
    assert Agent(camera, facts=FACTS).update().release == "r2"
    assert not list(camera.downloads.iterdir())
