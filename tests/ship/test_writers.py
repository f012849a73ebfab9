"""Several people write to one repository at once: processes of the command line, on one folder.

OSNET_EDGE_WRITER_ROUNDS sets how many rounds are run; 20 take some minutes.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from fleet import Fleet, make_fleet, tiny_package
from tuf.api.metadata import Metadata

from osnet_edge.cli.main import main
from osnet_edge.runtime.errors import CheckError
from osnet_edge.ship.publish import writing
from osnet_edge.ship.publish.keys import make_key, open_key
from osnet_edge.ship.publish.releases import draft_rollout, read_channel
from osnet_edge.ship.publish.repository import Repository
from osnet_edge.ship.publish.signed import sign
from osnet_edge.ship.publish.signers import Signers

ROUNDS_VARIABLE = "OSNET_EDGE_WRITER_ROUNDS"
ROUNDS = int(os.environ.get(ROUNDS_VARIABLE, "3"))
KEYS = ("root", "targets", "online")
#: A file system that has no locks: what is compared must do.
WITHOUT_LOCKS = """
import fcntl, errno, sys
def flock(descriptor, how): raise OSError(errno.ENOLCK, "no locks here")
fcntl.flock = flock
from osnet_edge.cli.main import main
sys.exit(main())
"""


def desk(folder: Path) -> tuple[list[str], Repository]:
    """Keys and a repository in a folder; returns the options that name them."""
    folder.mkdir(parents=True)
    for name in KEYS:
        make_key(folder / f"{name}.key")
    root, targets, online = (open_key(str(folder / f"{name}.key")) for name in KEYS)
    repository = Repository(folder / "fleet")
    signers = Signers((root.public_key,), 1, (targets.public_key,), 1, (online.public_key,))
    draft = repository.draft_root(signers)
    sign(draft, [root])
    repository.install_root(draft)
    return ["--repo", str(folder / "fleet"), "--online-key", str(folder / "online.key")], repository


def command(start: list[str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *start, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("sentence", "start", "rounds"),
    [
        ("with a lock", ["-m", "osnet_edge.cli.main"], ROUNDS),
        pytest.param(
            "on a file system without locks",
            ["-c", WITHOUT_LOCKS],
            ROUNDS,
            marks=pytest.mark.skipif(
                ROUNDS_VARIABLE not in os.environ,
                reason=f"the table of writers who are before shows the same; set {ROUNDS_VARIABLE} to try",
            ),
        ),
    ],
    ids=["with a lock", "on a file system without locks"],
)
def test_two_publish_one_decides_and_one_refreshes_at_once_and_nothing_that_exited_0_is_lost(
    sentence: str, start: list[str], rounds: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package, ended = str(tiny_package(1)), {0: 0, 1: 0}
    for number in range(rounds):
        options, repository = desk(tmp_path / str(number))
        keys = [*options, "--targets-key", str(tmp_path / str(number) / "targets.key")]
        assert main(["publish", package, "--release", "r0", *keys]) == 0
        at_once = {
            "r1": command(start, "publish", package, "--release", "r1", *keys),
            "r2": command(start, "publish", package, "--release", "r2", *keys),
            "recall": command(start, "rollout", "r0", "--recall", "boxes flicker", *keys),
            "refresh": command(start, "keys", "refresh", *options),
            "refresh again": command(start, "keys", "refresh", *options),
        }
        with ThreadPoolExecutor() as pool:
            told = dict(
                zip(at_once, pool.map(lambda each: each.communicate()[1], at_once.values()), strict=True)
            )
        codes = {name: each.returncode for name, each in at_once.items()}
        assert set(codes.values()) <= {0, 1}, told
        channel = read_channel(Repository(tmp_path / str(number) / "fleet"), "stable")
        for release in ("r1", "r2"):
            assert (channel.named(release) is not None) == (codes[release] == 0), told
        known = channel.named("r0")
        assert known is not None
        assert (known.rollout.recalled == "boxes flicker") == (codes["recall"] == 0), told
        for name, code in codes.items():
            ended[code] += 1
            lines = [line for line in told[name].splitlines() if not line.startswith("  ")]
            assert len(lines) == code, told[name]
        assert main(["rollout", "--repo", str(repository.folder), "--check"]) == 0
        # A lock that is waited for refuses nobody here.
        assert "without" in sentence or set(codes.values()) == {0}
    with capsys.disabled():
        print(f" [{rounds} rounds, {ended[0]} done, {ended[1]} told]", end="")
    assert ended[0] > rounds


def test_a_writer_that_waits_too_long_is_told_by_whom_it_is_held(tmp_path: Path) -> None:
    fleet = make_fleet(tmp_path / "fleet")
    fleet.publish("r1", tiny_package(1))
    before = (fleet.folder / "metadata" / "timestamp.json").read_bytes()
    with fleet.repository.writing():
        waiting = writing.WriteLock(fleet.folder)
        with pytest.raises(CheckError, match=f"is writing to .*process {os.getpid()} of"), waiting.hold(0.1):
            pass
    assert (fleet.folder / "metadata" / "timestamp.json").read_bytes() == before
    with waiting.hold(0):
        pass


def test_a_draft_of_what_was_changed_since_is_refused_whoever_changed_it(tmp_path: Path) -> None:
    """As on two machines whose file system has no locks, or with a draft that was signed elsewhere."""
    fleet = make_fleet(tmp_path / "fleet")
    fleet.publish("r1", tiny_package(1))
    stale = draft_rollout(fleet.repository, "stable", "r1", share=5)
    fleet.decide("r1", recalled="boxes flicker")
    sign(stale, fleet.targets)
    with pytest.raises(CheckError, match="somebody else changed"):
        fleet.repository.install_targets(stale, [fleet.online])
    # What only signs the present state anew is not in a draft's way.
    made = draft_rollout(fleet.repository, "stable", "r1", share=5)
    fleet.repository.refresh([fleet.online])
    fleet.install(made)
    release = read_channel(fleet.repository, "stable").named("r1")
    assert release is not None
    assert (release.rollout.share, release.rollout.recalled) == (5, "boxes flicker")


def test_a_timestamp_that_changed_under_a_writer_is_left_as_it_is(tmp_path: Path) -> None:
    """The other machine's write falls between our reading and our rename."""
    fleet = make_fleet(tmp_path / "fleet")
    fleet.publish("r1", tiny_package(1))
    ours, stamp = fleet.repository, fleet.folder / "metadata" / "timestamp.json"

    class Slow:
        """An online key with somebody who types a passphrase slowly: meanwhile another machine refreshes."""

        public_key = fleet.online.public_key
        begun = False

        def sign(self, payload: bytes) -> object:
            if not self.begun:
                Slow.begun = True
                elsewhere = tmp_path / "elsewhere"
                shutil.copytree(fleet.folder, elsewhere)
                Repository(elsewhere).refresh([fleet.online])
                shutil.copytree(elsewhere / "metadata", stamp.parent, dirs_exist_ok=True)
            return fleet.online.sign(payload)

    with pytest.raises(CheckError, match="at the same time, and nothing of yours is in place"):
        ours.refresh([Slow()])  # type: ignore[list-item]
    assert Metadata.from_file(str(stamp)).signed.version == 2
    fleet.decide("r1", share=5)


HERE = socket.gethostname()


@pytest.mark.parametrize(
    ("number", "host", "process", "age_s", "told"),
    [
        # A process of this machine that runs.
        (2, HERE, os.getpid(), 3600, True),
        # A process of this machine that has ended.
        (2, HERE, 2**22 + 1, 0, False),
        # Another machine, just now.
        (2, "elsewhere", 1, 0, True),
        # Another machine, long ago.
        (2, "elsewhere", 1, 61, False),
        # A version that did not say who it is, just now.
        (2, "", "", 0, True),
        # Somebody who comes after us.
        (9, HERE, os.getpid(), 0, False),
    ],
    # The same in every worker, whose own processes these are.
    ids=range(6),
)
def test_who_has_begun_the_number_before_ours_goes_first_while_it_may_live(
    number: int, host: str, process: object, age_s: float, told: bool, tmp_path: Path
) -> None:
    """As without locks, where it may be between comparing the timestamp and renaming it."""
    fleet = make_fleet(tmp_path / "fleet")
    fleet.publish("r1", tiny_package(1))
    metadata, stamp = fleet.folder / "metadata", fleet.folder / "metadata" / "timestamp.json"
    begun = metadata / f"{number}.snapshot.json"
    shutil.copy(metadata / "1.snapshot.json", begun)
    note = fleet.folder / writing.UNFINISHED_NAME / f"{begun.name}+theirs"
    note.write_text(f"{host}\n{process}\n")
    os.utime(note, (time.time() - age_s,) * 2)
    before, files = stamp.read_bytes(), {path.name for path in metadata.iterdir()}
    if number > 2:
        begun.unlink()
    with pytest.raises(CheckError, match="at the same time, and nothing of yours") if told else nullcontext():
        fleet.repository.refresh([fleet.online])
    assert (stamp.read_bytes() == before) == told
    assert ({path.name for path in metadata.iterdir()} == files) == told
    assert note.exists()


def test_a_numbered_file_is_created_once_also_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    for name in ("with", "without"):
        if name == "without":
            monkeypatch.setattr(os, "link", link)
        writing.create_file(tmp_path / name, b"first")
        with pytest.raises(FileExistsError):
            writing.create_file(tmp_path / name, b"second")
        assert (tmp_path / name).read_bytes() == b"first"


def test_a_publish_killed_at_any_write_is_forgotten_and_the_next_goes_on(tmp_path: Path) -> None:
    """Before each effect on the disk in turn, the process ends; what was published stays, and more can be."""
    options, repository = desk(tmp_path / "desk")
    keys = [*options, "--targets-key", str(tmp_path / "desk" / "targets.key")]
    script = (
        "import os, sys\n"
        "left = int(sys.argv.pop(1))\n"
        "def audit(event, arguments):\n"
        "    global left\n"
        "    effects = ('os.rename', 'os.link', 'os.remove', 'os.mkdir')\n"
        "    if event in effects and 'fleet' in str(arguments[0]):\n"
        "        left -= 1\n"
        "        if left < 0: os._exit(9)\n"
        "from osnet_edge.cli.main import main\n"
        "sys.addaudithook(audit)\n"
        "sys.exit(main())\n"
    )
    package, known = str(tiny_package(1)), set()
    for at in range(60):
        release = f"r{at}"
        ran = command(["-c", script, str(at)], "publish", package, "--release", release, *keys)
        told = ran.communicate()[1]
        assert ran.returncode in (0, 9), told
        channel = read_channel(Repository(repository.folder), "stable")
        found = {each.name for each in channel.releases}
        assert known <= found <= known | {release}
        known = found
        if ran.returncode == 0:
            break
    assert at > 5
    assert release in known
    assert main(["rollout", "--repo", str(repository.folder), "--check"]) == 0


def test_the_lock_is_not_among_what_is_copied(tmp_path: Path) -> None:
    fleet: Fleet = make_fleet(tmp_path / "fleet")
    fleet.publish("r1", tiny_package(1))
    hidden = {path.name for path in fleet.folder.iterdir() if path.name.startswith(".")}
    assert hidden == {writing.LOCK_NAME, writing.UNFINISHED_NAME}
    assert writing.unfinished(fleet.folder) == set()
    assert not [path for path in (fleet.folder / "metadata").iterdir() if path.name.startswith(".")]
    assert json.loads((fleet.folder / "metadata" / "timestamp.json").read_text())["signed"]["version"] == 1
