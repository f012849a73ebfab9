"""`osnet-edge device`: what a camera is told, and what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fleet import Fleet, make_camera, make_fleet, serving, tiny_package

from osnet_edge.cli.main import main
from osnet_edge.ship.device.setup import write_units
from osnet_edge.ship.device.status import read_status
from osnet_edge.ship.device.store import Store


def init(store: Path, fleet: Fleet, *more: str) -> int:
    root = str(fleet.folder / "metadata" / "1.root.json")
    return main(
        [
            "device",
            "init",
            "--store",
            str(store),
            "--device",
            "cam-1",
            "--url",
            fleet.url,
            "--root",
            root,
            *more,
        ]
    )


def test_a_camera_is_told_updates_and_says_so(
    fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "store"
    assert init(place, fleet, "--ring", "canary", "--reserve-mb", "0") == 0
    assert main(["device", "status", "--store", str(place)]) == 0
    fresh = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (fresh["release"], fresh["ring"], fresh["last"]) == ("", "canary", None)
    assert main(["device", "update", "--store", str(place)]) == 0
    assert capsys.readouterr().out.startswith("installed r1\nserving r1 (tiny; distance ")
    assert main(["device", "update", "--store", str(place), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    document = json.loads(line)
    assert document["event"]["what"] == "current"
    assert (document["release"], document["installed"], document["returned"]) == ("r1", 1, 0)
    assert document["proof"]["latency_ms"] > 0
    assert main(["device", "rollback", "--store", str(place)]) == 2
    assert "an engine to go back to" in capsys.readouterr().err
    # Told anew, it keeps what it has.
    assert init(place, fleet, "--ring", "default") == 0
    assert serving(Store(place)) == "seed-1"
    assert read_status(Store(place)).ring == "default"


def test_two_updates_at_once_take_turns(fleet: Fleet, tmp_path: Path) -> None:
    place = tmp_path / "store"
    assert init(place, fleet, "--reserve-mb", "0") == 0
    command = [sys.executable, "-m", "osnet_edge.cli.main", "device", "update", "--wait", "60", "--json"]
    both = [
        subprocess.Popen([*command, "--store", str(place)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    ends = sorted(json.loads(each.communicate()[0])["event"]["what"] for each in both)
    assert ends == ["current", "installed"]


def test_a_status_for_prometheus_is_what_its_format_says(fleet: Fleet, tmp_path: Path) -> None:
    place, file = tmp_path / "store", tmp_path / "osnet.prom"
    assert init(place, fleet, "--latency-ms", "0.000001", "--reserve-mb", "0") == 0
    assert main(["device", "update", "--store", str(place)]) == 1
    assert main(["device", "status", "--store", str(place), "--prometheus", "-o", str(file)]) == 0
    lines = file.read_text().splitlines()
    assert file.stat().st_mode & 0o777 == 0o644
    samples = [line for line in lines if not line.startswith("#")]
    named = {line.split("{")[0] for line in samples}
    assert {line.split()[2] for line in lines if line.startswith("# TYPE")} == named
    assert {line.split()[2] for line in lines if line.startswith("# HELP")} == named
    refused = {
        line.split('reason="')[1].split('"')[0]: line.split()[-1] for line in samples if "reason=" in line
    }
    assert {reason for reason, value in refused.items() if value == "1"} == {"proof"}
    assert any(line.startswith("osnet_edge_device_bad_releases{") and line.endswith(" 1") for line in samples)


def test_units_name_the_store_and_the_program(fleet: Fleet, tmp_path: Path) -> None:
    units = tmp_path / "systemd"
    units.mkdir()
    assert init(tmp_path / "store", fleet, "--systemd", str(units)) == 0
    service = (units / "osnet-edge-update.service").read_text()
    assert f"device update --store {tmp_path}/store\n" in service
    # Nothing is left to fill in; groups of system calls have the mark too.
    assert "@" not in service.replace("@system-service", "")
    timer = (units / "osnet-edge-update.timer").read_text()
    assert "OnUnitInactiveSec=1h" in timer
    # systemd heeds it with times of day alone, and says nothing of it: after a power cut OnBootSec comes.
    assert "Persistent" not in timer or "OnCalendar" in timer
    checker = shutil.which("systemd-analyze")
    if checker:
        ran = subprocess.run([checker, "verify", *map(str, units.iterdir())], capture_output=True, text=True)
        assert "osnet-edge" not in ran.stderr, ran.stderr


def test_a_unit_takes_no_refusal_for_success_no_window_for_hanging_and_little_of_the_system(
    tmp_path: Path,
) -> None:
    service, _ = write_units(tmp_path, tmp_path / "store")
    settings = [line.split("=", 1) for line in service.read_text().splitlines() if "=" in line]
    assert "SuccessExitStatus" not in dict(settings)
    # Any fixed time would be shorter than some window that init takes.
    assert dict(settings)["TimeoutStartSec"] == "infinity"
    assert dict(settings)["RuntimeDirectory"] == "osnet-edge"
    checker = shutil.which("systemd-analyze")
    if not checker:
        pytest.skip("systemd-analyze is not there")
    # In tenths: 8.0 is what systemd calls exposed, and a GPU and a network must be reached.
    command = [checker, "security", "--offline=true", "--threshold=35", str(service)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-200:] + ran.stderr


@pytest.mark.parametrize("wait", ["nan", "inf", "-1"])
def test_to_wait_for_ever_or_for_no_time_that_there_is_is_refused(
    wait: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_camera(tmp_path / "store", make_fleet(tmp_path / "repository"))
    with store.lock():
        assert main(["device", "update", "--store", str(store.root), "--wait", wait]) == 2
    assert "expected --wait as a number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cam 1"], "expected the device as"),
        (["--device", "c", "--url", "ftp://x"], "expected --root FILE with --url"),
        (
            ["--device", "c", "--url", "ftp://x", "--root", "{root}"],
            "expected the repository's address as https://",
        ),
        (["--device", "c", "--root", "{package}/manifest.json"], "as signed TUF root metadata"),
        (["--device", "c", "--root", "nowhere"], "expected root metadata, N.root.json, found nothing at"),
        (["--device", "c", "--probe", "true", "--manual"], "one of --probe, --heartbeat and --manual"),
        (["--device", "c", "--prove-s", "0"], "expected a positive prove_s"),
        (["--device", "c", "--reserve-mb", "nan"], "expected a positive reserve_mb"),
        (["--device", "c", "--build-mb", "inf"], "expected a positive build_mb"),
        (["--device", "c", "--window", "-1"], "expected a health window"),
        (["--device", "c", "--window", "inf"], "expected a health window"),
        # A number of bytes that no machine counts to, and a pause that no clock has.
        (["--device", "c", "--package-mb", "1e305"], "expected a positive package_mb"),
        (["--device", "c", "--interval", "1e300"], "expected a health window"),
        # A variable that is not set must not pass for an update without a probe.
        (["--device", "c", "--probe", ""], "expected health by probe"),
        (["--device", "c", "--channel", "../x"], "expected the channel as"),
    ],
)
def test_what_makes_no_sense_to_a_camera_is_refused_and_makes_no_store(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_fleet(tmp_path / "repository").folder / "metadata" / "1.root.json"
    given = [word.format(root=root, package=tiny_package(1)) for word in arguments]
    assert main(["device", "init", "--store", str(tmp_path / "store"), *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("command", ["update", "status", "confirm", "rollback"])
def test_a_folder_that_is_no_store_is_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["device", command, "--store", str(tmp_path)]) == 2
    assert "make the store with osnet-edge device init" in capsys.readouterr().err


def test_an_archive_by_hand_is_whole_or_nothing(fleet: Fleet, tmp_path: Path) -> None:
    from osnet_edge.ship.publish.archive import write_archive

    place, archive = tmp_path / "store", tmp_path / "a.tar"
    assert init(place, fleet, "--reserve-mb", "0") == 0
    write_archive(tiny_package(1), archive)
    command = [
        sys.executable,
        "-m",
        "osnet_edge.cli.main",
        "device",
        "install",
        "-",
        "--store",
        str(place),
        "--json",
    ]
    content = archive.read_bytes()
    short = [*command, "--bytes", str(len(content))]
    ran = subprocess.run(short, input=content[:-600], capture_output=True)
    assert (ran.returncode, json.loads(ran.stdout)["event"]["reason"]) == (1, "network")
    assert Store(place).active() is None
    ran = subprocess.run(short, input=content, capture_output=True)
    assert (ran.returncode, json.loads(ran.stdout)["event"]["what"]) == (0, "installed")
    assert not list(Store(place).downloads.iterdir())
