"""Attacks on a repository: each is first shown to work where the defence is off, and then refused."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fleet import Fleet, Web, make_camera, make_fleet, serving, tiny_package, update
from naive import NaiveVerifier
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata
from web_server import counted

from osnet_edge.ship.device.store import Store
from osnet_edge.ship.publish.archive import write_archive
from osnet_edge.ship.publish.signed import sign
from osnet_edge.ship.publish.signers import Expiry

OLD, NEW, EVIL = "seed-1", "seed-2", "seed-66"


def forge(fleet: Fleet, served: Path, root: list[CryptoSigner], online: list[CryptoSigner]) -> None:
    """Write an attacker's release into what is served, signed by the keys that the attacker has."""
    attacker = replace(fleet, folder=served)
    attacker.publish("r9", tiny_package(66))
    metadata = served / "metadata"
    stamp = Metadata.from_file(str(metadata / "timestamp.json"))
    version = stamp.signed.snapshot_meta.version
    names = ("timestamp.json", f"{version}.snapshot.json", f"{version}.targets.json")
    for name, keys in zip(names, (online, online, root), strict=True):
        forged = Metadata.from_file(str(metadata / name))
        forged.signatures.clear()
        sign(forged, keys)
        forged.to_file(str(metadata / name))


def swap_the_archive(fleet: Fleet, served: Path) -> None:
    (archive,) = (served / "targets" / "packages" / "r2").iterdir()
    write_archive(tiny_package(66), archive)


def sign_with_other_keys(fleet: Fleet, served: Path) -> None:
    forge(fleet, served, [CryptoSigner.generate_ed25519()], [CryptoSigner.generate_ed25519()])


def steal_the_online_key(fleet: Fleet, served: Path) -> None:
    forge(fleet, served, [fleet.online], [fleet.online])


def steal_one_of_two_targets_keys(fleet: Fleet, served: Path) -> None:
    forge(fleet, served, [fleet.targets[0]], [fleet.online])


def steal_one_root_key(fleet: Fleet, served: Path) -> None:
    """Name other keys in a root that one of the two needed has signed, twice even."""
    mine = CryptoSigner.generate_ed25519()
    forged = replace(fleet, targets=(mine, mine), online=mine)
    signers = replace(
        fleet.signers(), targets=(mine.public_key,), targets_threshold=1, online=(mine.public_key,)
    )
    draft = forged.repository.draft_root(signers)
    sign(draft, [fleet.root[0], mine])
    forge(fleet, served, [mine], [mine])
    draft.to_file(str(served / "metadata" / f"{draft.signed.version}.root.json"))


def serve_the_first_day(fleet: Fleet, served: Path) -> None:
    shutil.rmtree(served)
    shutil.copytree(day_one(fleet), served)


def serve_the_first_day_after_it_expired(fleet: Fleet, served: Path) -> None:
    serve_the_first_day(fleet, served)
    replace(fleet, folder=served, expiry=Expiry(timestamp=-1)).repository.refresh([fleet.online])


def mix_old_targets_in(fleet: Fleet, served: Path) -> None:
    shutil.copy(served / "metadata" / "1.targets.json", served / "metadata" / "2.targets.json")


def mix_another_index_in(fleet: Fleet, served: Path) -> None:
    """The channel's document of day 1 at the address of day 2's."""
    old, new = sorted((served / "targets" / "channels").iterdir(), key=os.path.getsize)
    shutil.copy(old, new)


def took(name: str) -> Callable[[Store], bool]:
    return lambda store: serving(store) == name


def is_content(store: Store) -> bool:
    """With r1, though r2 is out."""
    last = store.read_state().last
    return last is not None and last.what == "current" and serving(store) == OLD


#: What is done, which release the camera has from an honest day, what shows that it worked on an updater
#: without defences, and the reason by which it is refused.
ATTACKS = [
    ("arbitrary install: another archive at the same address", swap_the_archive, "", took(EVIL), "corrupt"),
    (
        "wrong key: a release signed by keys that nobody named",
        sign_with_other_keys,
        "",
        took(EVIL),
        "signature",
    ),
    ("key compromise: the online key signs packages", steal_the_online_key, "r1", took(EVIL), "signature"),
    ("key compromise: one of two targets keys", steal_one_of_two_targets_keys, "r1", took(EVIL), "signature"),
    ("key compromise: one of two root keys", steal_one_root_key, "r1", took(EVIL), "signature"),
    (
        "rollback: an older day, to a camera that has seen a newer",
        serve_the_first_day,
        "r2",
        took(OLD),
        "replayed",
    ),
    ("freeze: an older day for ever", serve_the_first_day_after_it_expired, "r1", is_content, "expired"),
    ("replay after expiry, to a new camera", serve_the_first_day_after_it_expired, "", took(OLD), "expired"),
    ("mix and match: older targets, newer snapshot", mix_old_targets_in, "", took(OLD), "replayed"),
    ("mix and match: an older index, newer targets", mix_another_index_in, "", took(OLD), "corrupt"),
]


def day_one(fleet: Fleet) -> Path:
    return fleet.folder.with_name(f"{fleet.folder.name}-day-1")


def attack(fleet: Fleet, how: Callable[[Fleet, Path], None]) -> None:
    """Let the address lead to what the attacker made of the repository."""
    served = fleet.folder.with_name(f"{fleet.folder.name}-attacked")
    shutil.copytree(fleet.folder, served)
    how(fleet, served)
    shutil.rmtree(fleet.folder)
    shutil.move(served, fleet.folder)


@pytest.mark.parametrize(
    ("number", "sentence", "how", "had", "worked", "reason"),
    [(number, *row) for number, row in enumerate(ATTACKS)],
    ids=[row[0] for row in ATTACKS],
)
def test_an_attack_works_on_an_updater_without_tuf_and_is_refused_by_ours(
    number: int,
    sentence: str,
    how: Callable[[Fleet, Path], None],
    had: str,
    worked: Callable[[Store], bool],
    reason: str,
    web: Web,
    tmp_path: Path,
) -> None:
    fleet = web.fleet(f"attack-{number}", targets=2)
    naive, ours = (make_camera(tmp_path / name, fleet) for name in ("naive", "ours"))
    for release, seed in (("r1", 1), ("r2", 2)):
        fleet.publish(release, tiny_package(seed))
        if release <= had:
            assert update(naive).release == update(ours).release == release
        if release == "r1":
            shutil.copytree(fleet.folder, day_one(fleet))
    attack(fleet, how)
    update(naive, metadata=NaiveVerifier(fleet.url))
    assert worked(naive)
    event = update(ours)
    assert (event.what, event.reason) == ("refused", reason), event.why
    if had:
        assert serving(ours) == {"r1": OLD, "r2": NEW}[had]
    else:
        assert ours.active() is None


def test_a_camera_that_lost_its_metadata_still_knows_what_it_has_seen(web: Web, tmp_path: Path) -> None:
    """A power cut may empty what TUF keeps, and an older day would be new again; the journal remembers."""
    fleet = web.fleet("lost")
    camera = make_camera(tmp_path / "camera", fleet)
    fleet.publish("r1", tiny_package(1))
    shutil.copytree(fleet.folder, day_one(fleet))
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    attack(fleet, serve_the_first_day)
    shutil.rmtree(camera.metadata)
    camera.make()
    event = update(camera)
    assert (event.what, event.reason) == ("refused", "replayed")
    assert serving(camera) == NEW


def drive_versions_up(fleet: Fleet, served: Path) -> None:
    """Fast-forward: with the online key, sign what is now as of a version that the owner will not reach."""
    metadata = served / "metadata"
    stamp = Metadata.from_file(str(metadata / "timestamp.json"))
    snapshot = Metadata.from_file(str(metadata / f"{stamp.signed.snapshot_meta.version}.snapshot.json"))
    snapshot.signed.version = stamp.signed.version = stamp.signed.snapshot_meta.version = 1000
    for made, name in ((snapshot, "1000.snapshot.json"), (stamp, "timestamp.json")):
        made.signatures.clear()
        sign(made, [fleet.online])
        made.to_file(str(metadata / name))


def test_versions_that_a_stolen_key_drove_up_count_no_longer_once_it_is_replaced(
    web: Web, tmp_path: Path
) -> None:
    fleet = web.fleet("driven-up")
    camera = make_camera(tmp_path / "camera", fleet)
    fleet.publish("r1", tiny_package(1))
    assert update(camera).what == "installed"
    shutil.copytree(fleet.folder, day_one(fleet))
    attack(fleet, drive_versions_up)
    assert update(camera).what == "current"
    attack(fleet, serve_the_first_day)
    assert update(camera).reason == "replayed"
    fleet.online = CryptoSigner.generate_ed25519()
    draft = fleet.repository.draft_root(fleet.signers())
    sign(draft, fleet.root[:2])
    fleet.repository.install_root(draft)
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    # And from now on they count again.
    assert camera.read_state().seen == {"root": 2, "timestamp": 2, "snapshot": 2, "targets": 2}


def test_a_signed_release_is_not_replaced_by_none(web: Web, tmp_path: Path) -> None:
    """A repository that forgets what it published, honestly signed, takes nothing away from a camera."""
    fleet = web.fleet("forgets")
    camera = make_camera(tmp_path / "camera", fleet)
    fleet.publish("r1", tiny_package(1))
    assert update(camera).what == "installed"
    nothing = fleet.repository.draft_targets([])
    nothing.signed.targets.clear()
    fleet.install(nothing)
    event = update(camera)
    assert (event.what, event.reason) == ("refused", "package")
    assert serving(camera) == OLD


class Endless(BaseHTTPRequestHandler):
    """Serves a repository, but sends what is asked for without end wherever the path has `endless` set."""

    folder: Path
    endless: str

    def do_GET(self) -> None:
        path = self.folder / self.path.lstrip("/")
        self.send_response(200 if path.is_file() else 404)
        self.end_headers()
        if not path.is_file():
            return
        self.wfile.write(path.read_bytes())
        if not self.path.endswith(self.endless):
            return
        # What a naive reader would take for ever; here until 40 MB, or until the reader hangs up.
        with contextlib.suppress(ConnectionError):
            for _ in range(40_000_000 >> 16):
                self.wfile.write(bytes(1 << 16))

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("endless", ["timestamp.json", "targets.json", "stable.json", ".tar"])
def test_data_without_end_is_cut_off_at_the_length_that_was_signed(
    endless: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = make_fleet(tmp_path / "repository")
    fleet.publish("r1", tiny_package(1))
    handler = type("Handler", (Endless,), {"folder": fleet.folder, "endless": endless})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fleet.url = f"http://127.0.0.1:{server.server_port}"
        naive, ours = (make_camera(tmp_path / name, fleet) for name in ("naive", "ours"))
        # Counted where it is read: what the server could send beyond it is up to the sockets' buffers.
        with counted(monkeypatch) as came, contextlib.suppress(ValueError):
            update(naive, metadata=NaiveVerifier(fleet.url))
        assert sum(came) >= 39_000_000
        with counted(monkeypatch) as came:
            event = update(ours)
        assert sum(came) < 3_000_000
        assert event.what == ("installed" if endless == ".tar" else "refused")
        held = sum(path.stat().st_size for path in ours.root.rglob("*") if path.is_file())
        assert held < 1_000_000
        server.shutdown()
