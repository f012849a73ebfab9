"""Attacks on a fleet: each is first shown to work where the defence is off, and then refused."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fleet import FACTS, Fleet, Web, make_camera, make_fleet, serving, tiny_package, update
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import NaiveTrust, naive_unpack
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from osnet_edge.engines.fleet.archive import write_archive
from osnet_edge.engines.fleet.roles import Expiry
from osnet_edge.engines.fleet.signed import sign
from osnet_edge.runtime.device.by_hand import HandAgent
from osnet_edge.runtime.device.host_code import refuse_host_code
from osnet_edge.runtime.device.prove import prove_here
from osnet_edge.runtime.device.refused import RefusedError
from osnet_edge.runtime.device.store import Store
from osnet_edge.runtime.device.unpack import unpack
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.manifest import Manifest

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
    update(naive, trust=NaiveTrust(fleet.url))
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


def test_a_signed_release_is_not_replaced_by_none(web: Web, tmp_path: Path) -> None:
    """A repository that forgets what it published, honestly signed, takes nothing away from a camera."""
    fleet = web.fleet("forgets")
    camera = make_camera(tmp_path / "camera", fleet)
    fleet.publish("r1", tiny_package(1))
    assert update(camera).what == "installed"
    fleet.install(fleet.repository.draft_targets([], remove=fleet.repository.files()))
    event = update(camera)
    assert (event.what, event.reason) == ("refused", "package")
    assert serving(camera) == OLD


class Endless(BaseHTTPRequestHandler):
    """Serves a repository, but sends what is asked for without end wherever the path has `endless` set."""

    folder: Path
    endless: str
    sent: int

    def do_GET(self) -> None:
        path = self.folder / self.path.lstrip("/")
        self.send_response(200 if path.is_file() else 404)
        self.end_headers()
        if not path.is_file():
            return
        self.wfile.write(path.read_bytes())
        if not self.path.endswith(type(self).endless):
            return
        # What a naive reader would take for ever; here until 40 MB, or until the reader hangs up.
        with contextlib.suppress(ConnectionError):
            while type(self).sent < 40_000_000:
                self.wfile.write(bytes(1 << 16))
                type(self).sent += 1 << 16

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("endless", ["timestamp.json", "targets.json", "stable.json", ".tar"])
def test_data_without_end_is_cut_off_at_the_length_that_was_signed(endless: str, tmp_path: Path) -> None:
    fleet = make_fleet(tmp_path / "repository")
    fleet.publish("r1", tiny_package(1))
    handler = type("Handler", (Endless,), {"folder": fleet.folder, "endless": endless, "sent": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fleet.url = f"http://127.0.0.1:{server.server_port}"
        naive, ours = (make_camera(tmp_path / name, fleet) for name in ("naive", "ours"))
        with contextlib.suppress(ValueError):
            update(naive, trust=NaiveTrust(fleet.url))
        assert handler.sent >= 40_000_000
        handler.sent = 0
        event = update(ours)
        # What the sockets' buffers take is sent before anybody hangs up.
        assert handler.sent < 10_000_000
        assert event.what == ("installed" if endless == ".tar" else "refused")
        held = sum(path.stat().st_size for path in ours.root.rglob("*") if path.is_file())
        assert held < 1_000_000
        server.shutdown()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"evil") -> Any:
    """An entry of an archive, and its content."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    made.size = len(content) if kind == tarfile.REGTYPE else 0
    return made, content


def write(archive: Path, *entries: Any, how: int = tarfile.USTAR_FORMAT) -> None:
    with tarfile.open(archive, "w", format=how) as opened:
        for made, content in entries:
            opened.addfile(made, io.BytesIO(content))


ESCAPES: list[tuple[str, Callable[[Path], list[Any]]]] = [
    ("a name with dots, zip-slip", lambda outside: [entry("../outside/file")]),
    ("an absolute name", lambda outside: [entry(str(outside / "file"))]),
    (
        "a link to a folder, and a file behind it",
        lambda outside: [entry("way", tarfile.SYMTYPE, "../outside"), entry("way/file")],
    ),
    (
        "a link, and a file of the same name",
        lambda outside: [entry("x", tarfile.SYMTYPE, "../outside/file"), entry("x")],
    ),
]


@pytest.mark.parametrize(("sentence", "entries"), ESCAPES, ids=[row[0] for row in ESCAPES])
def test_an_archive_that_reaches_outside_its_folder_does_so_with_tarfile_and_is_refused_by_ours(
    sentence: str, entries: Callable[[Path], list[Any]], tmp_path: Path
) -> None:
    outside, archive = tmp_path / "outside", tmp_path / "evil.tar"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    write(archive, *entries(outside))
    for name in ("naive", "ours"):
        (tmp_path / name).mkdir()
    naive_unpack(archive, tmp_path / "naive")
    assert (outside / "file").read_bytes() == b"evil"
    (outside / "file").write_bytes(b"mine")
    with pytest.raises(RefusedError) as refused:
        unpack(archive, tmp_path / "ours", 1_000_000)
    assert refused.value.reason == "archive"
    assert (outside / "file").read_bytes() == b"mine"


def sparse(archive: Path) -> None:
    """A file of 1 TB in 2 kB of archive, as GNU tar writes files with holes."""
    made = tarfile.TarInfo("model.onnx")
    made.size, made.type = 0, tarfile.GNUTYPE_SPARSE
    header = bytearray(made.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"%011o\0" % 0, b"%011o\0" % 0
    header[483:495] = tarfile.itn(1 << 40, 12, tarfile.GNU_FORMAT)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    archive.write_bytes(bytes(header) + bytes(1024))


def test_an_archive_that_unpacks_to_a_huge_file_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    sparse(archive)
    for name in ("naive", "ours"):
        (tmp_path / name).mkdir()
    naive_unpack(archive, tmp_path / "naive")
    assert (tmp_path / "naive" / "model.onnx").stat().st_size == 1 << 40
    with pytest.raises(RefusedError, match="ustar"):
        unpack(archive, tmp_path / "ours", 1_000_000)
    assert not list((tmp_path / "ours").iterdir())


ODD: list[tuple[str, list[Any], int, str]] = [
    ("a device", [entry("sda", tarfile.BLKTYPE)], tarfile.USTAR_FORMAT, "no plain file"),
    ("a pipe", [entry("pipe", tarfile.FIFOTYPE)], tarfile.USTAR_FORMAT, "no plain file"),
    ("a folder", [entry("folder", tarfile.DIRTYPE)], tarfile.USTAR_FORMAT, "no plain file"),
    ("a hard link", [entry("hard", tarfile.LNKTYPE, "/etc/passwd")], tarfile.USTAR_FORMAT, "no plain file"),
    ("one name twice", [entry("x"), entry("x")], tarfile.USTAR_FORMAT, "twice"),
    ("a hidden file", [entry(".ssh")], tarfile.USTAR_FORMAT, "plain file names"),
    ("a header that renames the next entry", [entry("é" * 90)], tarfile.PAX_FORMAT, "no plain file"),
    ("a long name of GNU's", [entry("x" * 200)], tarfile.GNU_FORMAT, "expected a POSIX ustar archive"),
    ("more than may be", [entry("x", content=bytes(2_000_000))], tarfile.USTAR_FORMAT, "at most"),
    ("too many files", [entry(f"f{n}", content=b"") for n in range(65)], tarfile.USTAR_FORMAT, "at most 64"),
]


@pytest.mark.parametrize(("sentence", "entries", "how", "message"), ODD, ids=[row[0] for row in ODD])
def test_an_archive_of_anything_but_plain_files_is_refused(
    sentence: str, entries: list[Any], how: int, message: str, tmp_path: Path
) -> None:
    write(tmp_path / "odd.tar", *entries, how=how)
    (tmp_path / "slot").mkdir()
    with pytest.raises(RefusedError, match=message):
        unpack(tmp_path / "odd.tar", tmp_path / "slot", 1_000_000)


@given(at=st.integers(0, 2047), byte=st.integers(0, 255), cut=st.integers(0, 2048))
@settings(max_examples=60, deadline=None)
def test_a_damaged_archive_is_refused_or_unpacks_inside_its_folder(at: int, byte: int, cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "a.tar", entry("manifest.json"), entry("golden.npz"))
        content = bytearray((folder / "a.tar").read_bytes())[: 4096 - cut]
        if at < len(content):
            content[at] = byte
        (folder / "a.tar").write_bytes(content)
        (folder / "slot").mkdir()
        with contextlib.suppress(RefusedError):
            unpack(folder / "a.tar", folder / "slot", 1_000_000)
        assert {path.name for path in folder.iterdir()} == {"a.tar", "slot"}
        assert all(path.is_file() and not path.is_symlink() for path in (folder / "slot").iterdir())


def rewritten(package: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a package with another manifest, signed and shipped by an insider."""
    copy = Path(shutil.copytree(package, folder / "tiny"))
    document = json.loads((copy / "manifest.json").read_text())
    change(document)
    (copy / "manifest.json").write_text(json.dumps(document))
    return copy


def archive_anyway(package: Path, archive: Path) -> None:
    """Pack whatever is there, as our publisher would not."""
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as opened:
        for path in sorted(package.iterdir()):
            opened.add(path, path.name)


def test_a_manifest_that_names_an_absolute_path_would_load_it_and_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.onnx"
    shutil.copy(tiny_package(66) / "model.onnx", secret)

    def point_outside(document: dict[str, Any]) -> None:
        document["files"][str(secret)] = document["files"].pop("model.onnx")
        document["files"][str(secret)]["sha256"] = sha256_of(secret)
        document["files"][str(secret)]["bytes"] = secret.stat().st_size
        document["model_file"] = str(secret)

    package = rewritten(tiny_package(1), tmp_path, point_outside)
    (package / "model.onnx").unlink()
    archive_anyway(package, tmp_path / "evil.tar")
    with monkeypatch.context() as without:
        without.setattr(Manifest, "__post_init__", lambda self: None)
        # The engine is loaded from outside its package.
        assert Embedder.load(package).engine is not None
    store = by_hand(tmp_path / "store", tmp_path / "evil.tar")
    assert "plain file names" in store


def test_a_manifest_of_huge_pictures_would_take_all_memory_and_is_refused() -> None:
    code = (
        "import resource, sys, numpy; resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))\n"
        "from osnet_edge.runtime.preprocessing import Preprocessing, to_batch\n"
        "if sys.argv[1] == 'off': Preprocessing.__post_init__ = lambda self: None\n"
        "to_batch([numpy.zeros((9, 9, 3), numpy.uint8)], Preprocessing(height=10**7, width=256))"
    )
    ran = [
        subprocess.run([sys.executable, "-c", code, defence], capture_output=True, text=True).stderr
        for defence in ("off", "on")
    ]
    assert "MemoryError" in ran[0]
    assert "InputError" in ran[1]


def test_a_manifest_that_names_huge_sizes_is_refused(tmp_path: Path) -> None:
    def inflate(document: dict[str, Any]) -> None:
        document["files"]["model.onnx"]["bytes"] = 10**15

    def enlarge(document: dict[str, Any]) -> None:
        document["preprocessing"]["height"] = 10**9

    def batch(document: dict[str, Any]) -> None:
        document["batch"]["max"] = 10**9

    for number, change in enumerate((inflate, enlarge, batch)):
        folder = tmp_path / str(number)
        folder.mkdir()
        archive_anyway(rewritten(tiny_package(1), folder, change), folder / "evil.tar")
        assert "expected" in by_hand(folder / "store", folder / "evil.tar")


def by_hand(folder: Path, archive: Path) -> str:
    """Install an archive by hand on a new device; return why it was refused."""
    store = make_camera(folder, make_fleet(folder.with_name(f"{folder.name}-repository")))
    event = HandAgent(store, prove=prove_here, facts=FACTS).install(archive, "by-hand", "tiny")
    assert event.what == "refused"
    assert store.active() is None
    return event.why


@pytest.fixture(scope="module")
def host_code(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A shared library that leaves a file behind as soon as it is loaded."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("host")
    (folder / "evil.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        '__attribute__((constructor)) static void run(void) { fclose(fopen(getenv("EVIL_FILE"), "w")); }\n'
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "evil.so", folder / "evil.c"], check=True)
    return (folder / "evil.so").read_bytes()


def test_a_plan_with_host_code_would_run_it_and_is_refused(host_code: bytes, tmp_path: Path) -> None:
    plan = tmp_path / "model.plan"
    plan.write_bytes(b"ftrt" + bytes(20) + bytes([10, 3, 0, 30]) + bytes(4096) + host_code + bytes(512))
    mark = tmp_path / "mark"
    # What a loader does that is told `engine_host_code_allowed`: it loads the library that the plan carries.
    loader = (
        "import ctypes, os, sys; b = open(sys.argv[1], 'rb').read(); f = os.memfd_create('lean'); "
        "os.write(f, b[b.index(b'\\x7fELF'):]); ctypes.CDLL(f'/proc/self/fd/{f}')"
    )
    subprocess.run(
        [sys.executable, "-c", loader, plan], check=True, env={**os.environ, "EVIL_FILE": str(mark)}
    )
    assert mark.exists()
    with pytest.raises(RefusedError, match="carries code for the processor"):
        refuse_host_code(plan)


def test_kernels_for_the_gpu_are_no_host_code(host_code: bytes, tmp_path: Path) -> None:
    plan = tmp_path / "model.plan"
    cubin = bytearray(host_code)
    # e_machine: EM_CUDA.
    cubin[18:20] = (190).to_bytes(2, "little")
    plan.write_bytes(b"ftrt" + bytes(100) + cubin)
    refuse_host_code(plan)
