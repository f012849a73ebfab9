"""What others write and say, and a camera or a workstation reads: heartbeats, hosts' answers, words."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from fleet import Fleet, serving, tiny_package, update

from osnet_edge.cli.main import main
from osnet_edge.runtime.errors import InputError, printable
from osnet_edge.runtime.files import read_small
from osnet_edge.ship.channel import Rollout
from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.health import watch
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.store import Store
from osnet_edge.ship.hosts import Shipment, ship_to_all
from osnet_edge.ship.requirements import Requirements

PACKAGE = Path("/nowhere/slots/a")
GOOD = {"package": str(PACKAGE), "calls": 3, "errors": 0, "failed": ""}


def text_of(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def sparse(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(20 * 10**9)


BEATS: dict[str, bytes | Callable[[Path], None]] = {
    "calls without end": text_of(calls=float("inf")),
    "calls that are no number": text_of(calls=float("nan")),
    "calls in words": text_of(calls="many"),
    "true as a number": text_of(errors=True),
    "a list for a name": text_of(package=["a"]),
    "a null in a name": text_of(package="\0"),
    "nested deeply": b'{"calls":' + b"[" * 100_000,
    "nested as deep as is read": b'{"failed":' + b"[" * 900 + b"]" * 900 + b"}",
    "a number of 10,000 digits": b'{"calls": ' + b"9" * 10_000 + b"}",
    "no object": b"[]",
    "half a character": b"\xff\xfe",
    "empty": b"",
    "20 GB": sparse,
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a link to itself": lambda file: file.symlink_to(file),
    "a device without end": lambda file: file.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("beat", BEATS.values(), ids=BEATS)
def test_a_heartbeat_that_is_none_is_no_heartbeat(
    beat: bytes | Callable[[Path], None], tmp_path: Path
) -> None:
    file = tmp_path / "beat"

    def write() -> None:
        time.sleep(0.1)
        if isinstance(beat, bytes):
            file.write_bytes(beat)
        else:
            beat(file)

    threading.Thread(target=write).start()
    health = Health("heartbeat", heartbeat=str(file), interval_s=0.05)
    with pytest.raises(RefusedError, match="no program was using the new engine"):
        watch(health, PACKAGE, 0.4)


def test_a_heartbeat_counts_whatever_the_time_of_day_does(tmp_path: Path) -> None:
    """It is told by its changes: a clock that is set back an hour makes every beat look old."""
    file = tmp_path / "beat"
    stop = threading.Event()

    def write() -> None:
        for count in range(10**6):
            aside = tmp_path / "aside"
            aside.write_bytes(text_of(calls=count))
            os.utime(aside, (time.time() - 3600, time.time() - 3600 + count % 7))
            aside.replace(file)
            if stop.wait(0.05):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        watch(Health("heartbeat", heartbeat=str(file), interval_s=0.05), PACKAGE, 0.5)
    finally:
        stop.set()
        writer.join()
    # What nobody writes any more is no heartbeat, whatever its time says.
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    with pytest.raises(RefusedError):
        watch(Health("heartbeat", heartbeat=str(file), interval_s=0.05), PACKAGE, 0.2)


@pytest.mark.parametrize(
    ("sentence", "lives", "refused"),
    [
        ("it is started again and again, and ends at its first call", [(0,)] * 20, True),
        ("it lives a while each time", [(0, 0.02, 0.04)] * 20, True),
        ("it is started once, and stays", [(0, *(each / 50 for each in range(1, 60)))], False),
        (
            "it is started anew by --notify, and stays",
            [(3, 4), (0, *(each / 50 for each in range(1, 60)))],
            False,
        ),
        ("it was started before the trial", [[90 + each / 50 for each in range(60)]], False),
        ("it is of a version that does not tell", [[None] * 60], False),
    ],
)
def test_a_program_that_the_new_engine_ends_again_and_again_is_not_well(
    sentence: str, lives: list[Sequence[float | None]], refused: bool, tmp_path: Path
) -> None:
    file, stop = tmp_path / "beat", threading.Event()

    def write() -> None:
        for up_s in (each for life in lives for each in life):
            aside = tmp_path / "aside"
            aside.write_bytes(text_of(calls=0, **({} if up_s is None else {"up_s": up_s})))
            aside.replace(file)
            if stop.wait(0.02):
                return

    writer = threading.Timer(0.03, write)
    writer.start()
    try:
        with pytest.raises(RefusedError, match="was started 4 times") if refused else nullcontext():
            watch(Health("heartbeat", heartbeat=str(file), interval_s=0.05), PACKAGE, 0.5)
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("make", [sparse, os.mkfifo, Path.mkdir], ids=["20 GB", "a pipe", "a folder"])
def test_a_file_of_whatever_kind_is_read_in_bounds(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "file")
    with pytest.raises((InputError, OSError)):
        read_small(tmp_path / "file", 1000)


@pytest.mark.parametrize("make", [sparse, os.mkfifo], ids=["20 GB", "a pipe"])
def test_a_journal_that_became_something_else_is_set_aside(
    make: Callable[[Path], None], fleet: Fleet, camera: Store
) -> None:
    camera.state_file.unlink()
    make(camera.state_file)
    fleet.publish("r2", tiny_package(2))
    assert update(camera).release == "r2"
    assert serving(camera) == "seed-2"


def answer(**fields: object) -> str:
    event = {"what": "installed", "release": "r", "reason": "", "why": ""}
    return json.dumps({"event": event, "release": "r", "proof": {"latency_ms": 1.0}, **fields})


#: What a host prints, and how it is reported.
ANSWERS: dict[str, tuple[str, str]] = {
    "well": (answer(), "installed"),
    "a word for a number": (answer(proof={"latency_ms": "fast"}), "failed"),
    "a list for a number": (answer(proof={"latency_ms": [1]}), "failed"),
    "a number without end": (answer(proof={"latency_ms": float("inf")}), "failed"),
    "a number of no size": (answer(proof={"latency_ms": float("nan")}), "failed"),
    "a list for a name": (answer(release=["r"]), "failed"),
    "an object for a word": (answer(event={"what": {}, "why": ""}), "failed"),
    "a number for the reason": (answer(event={"what": "refused", "why": 3}), "failed"),
    "a list": ("[1, 2]", "failed"),
    "nested deeply": ("[" * 100_000, "failed"),
    "a terminal's orders": (answer(event={"what": "refused", "why": "\x1b[2J\x9b31m\nerror: x"}), "refused"),
    "answers without end": ("", "failed"),
}


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `ssh` that prints what the file named like the host holds, or prints without end."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ssh"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "host = sys.argv[sys.argv.index('--') + 1]\n"
        "sys.stdin.buffer.read()\n"
        f"text = pathlib.Path({str(tmp_path)!r}, host).read_text()\n"
        "while not text: sys.stdout.write('x' * 65536)\n"
        "print(text)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path


def test_one_odd_host_is_reported_and_so_are_all_others(
    ssh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = [f"host-{number}" for number in range(len(ANSWERS))]
    for host, (text, _) in zip(hosts, ANSWERS.values(), strict=True):
        (ssh / host).write_text(text)
    archive = ssh / "archive"
    archive.write_bytes(b"archive")
    shipment = Shipment(archive, Requirements("onnxruntime"), "p", "r", "/s", "osnet-edge", None, 60.0, False)
    results = ship_to_all(shipment, hosts, 2, lambda size: None, lambda line: None)
    assert [each.result for each in results] == [result for _, result in ANSWERS.values()]
    for each in results:
        assert all(text.isprintable() for text in (each.result, each.release, each.why)), each


@pytest.mark.parametrize("option", ["--probe", "--notify"])
@pytest.mark.parametrize("text", ["it's", 'a "quotation', "a \\"])
def test_a_command_whose_quotation_has_no_end_is_refused(
    option: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["device", "init", "--store", str(tmp_path / "s"), "--device", "c", option, text]) == 2
    assert f"expected {option} as a command" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--remote", "it's"], "expected --remote as a command"),
        (["--remote", " "], "expected --remote as a command"),
        (["--timeout", "inf"], "expected --timeout"),
        (["--timeout", "nan"], "expected --timeout"),
        (["--timeout", "-1"], "expected --timeout"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_host_is_called(
    options: list[str], message: str, ssh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ship", str(tiny_package(1)), "host", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("host", ["a\x1b[2Jb", "a\nb", "a\x9bb", "-oProxyCommand=x"])
def test_a_host_with_a_terminals_orders_in_its_name_is_refused_and_shown_without(
    host: str, ssh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ship", "--", str(tiny_package(1)), host]) == 2
    assert capsys.readouterr().err.strip().isprintable()


def test_the_reason_of_a_recall_is_shown_in_one_line(
    fleet: Fleet, camera: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.publish("r2", tiny_package(2))
    fleet.decide("r1", recalled="\x1b[2J\x9b31m\nall is well\u202e")
    fleet.publish("r3", tiny_package(3), rollout=Rollout(paused=True))
    assert main(["device", "update", "--store", str(camera.root)]) == 0
    told = capsys.readouterr()
    for line in (told.out + told.err).splitlines():
        assert line.isprintable(), line
    assert main(["device", "rollback", "--store", str(camera.root), "--why", "a\x1b[2Jb\udcff"]) == 0
    assert main(["device", "status", "--store", str(camera.root)]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert line.isprintable(), line


def test_what_is_printable_stays_as_it_is() -> None:
    assert printable("Zürich, 東京: 3 µs") == "Zürich, 東京: 3 µs"
