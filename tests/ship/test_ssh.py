"""`osnet-edge ship` to a real sshd on loopback, whose hosts are folders of this machine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_packages import ruined
from fleet import make_camera, make_fleet, serving, tiny_package
from web_server import free_port

from osnet_edge.cli.main import main
from osnet_edge.ship.device.store import Store

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
CAMERAS = ("cam-1", "cam-2", "cam-3")


class Bench:
    """Some devices behind one sshd, and the configuration by which ssh finds them."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.config, self.remote = folder / "ssh_config", folder / "osnet-edge"

    def store(self, camera: str) -> Store:
        return Store(self.folder / camera / "store")

    def ship(self, package: Path, *hosts: str, more: tuple[str, ...] = ()) -> int:
        where = ("-F", str(self.config), "--remote", f"env {self.remote}", "--store", "store")
        return main(["ship", str(package), *hosts, *where, *more])


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An sshd of our own, with keys of its own, in a folder."""
    program, keygen = shutil.which("sshd", path=PATH), shutil.which("ssh-keygen")
    if program is None or keygen is None or shutil.which("ssh") is None:
        pytest.skip("needs sshd and ssh, which are not installed: apt-get install openssh-server")
    bench = Bench(tmp_path_factory.mktemp("bench"), free_port())
    folder = bench.folder
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "sshd_config").write_text(
        f"Port {bench.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/authorized\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nAcceptEnv CAMERA\n"
        "PermitRootLogin yes\nMaxStartups 100\n"
    )
    host_key = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known").write_text(f"bench {host_key}\n")
    bench.config.write_text(
        "".join(f"Host {name}\n  SetEnv CAMERA={name}\n" for name in CAMERAS)
        + "Host stranger shared\n  HostKeyAlias stranger\n"
        + f"Host shared\n  ControlMaster auto\n  ControlPath {folder}/master\n  ControlPersist yes\n"
        + "Host loop\n  NoHostAuthenticationForLocalhost yes\n"
        + "Host * !loop\n  HostKeyAlias bench\n"
        + f"Host nobody\n  Port {free_port()}\n"
        + f"Host *\n  HostName 127.0.0.1\n  Port {bench.port}\n"
        + f"  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n"
    )
    # What each camera's own disk would be.
    bench.remote.write_text(
        f'#!/bin/sh\ncd "{folder}/$CAMERA" && exec "{sys.executable}" -m osnet_edge.cli.main "$@"\n'
    )
    bench.remote.chmod(0o755)
    command = [program, "-D", "-e", "-f", folder / "sshd_config"]
    with (folder / "sshd.log").open("wb") as log, subprocess.Popen(command, stderr=log) as server:
        try:
            for _ in range(200):
                if "listening" in (folder / "sshd.log").read_text():
                    break
                time.sleep(0.05)
            yield bench
        finally:
            server.terminate()


@pytest.fixture
def bench(sshd: Bench, tmp_path: Path) -> Bench:
    """That bench with fresh stores."""
    fleet = make_fleet(tmp_path / "repository")
    for name in CAMERAS:
        shutil.rmtree(sshd.folder / name, ignore_errors=True)
        (sshd.folder / name).mkdir()
        make_camera(sshd.folder / name / "store", fleet, device=name)
    return sshd


def test_a_package_goes_to_many_hosts_and_is_proven_on_each(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.ship(tiny_package(1), *CAMERAS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["host", "result", "release"]
    assert [line.split()[:3] for line in lines[2:]] == [[name, "installed", "tiny"] for name in CAMERAS]
    assert [serving(bench.store(name)) for name in CAMERAS] == ["seed-1"] * 3


def test_the_worst_host_decides_on_the_exit_code_and_the_others_are_done(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hosts = ("cam-1", "stranger", "nobody", "cam-2")
    shutil.rmtree(bench.store("cam-2").root)
    assert bench.ship(tiny_package(1), *hosts, more=("--json",)) == 2
    results = {each["host"]: each for each in json.loads(capsys.readouterr().out)}
    assert list(results) == list(hosts)
    assert results["cam-1"]["result"] == "installed"
    # Its key is not the one that is known for it: nothing was sent.
    assert results["stranger"]["result"] == "unreachable"
    assert "Host key verification failed" in results["stranger"]["why"]
    assert results["nobody"]["result"] == "unreachable"
    assert "Connection refused" in results["nobody"]["why"]
    assert results["cam-2"]["result"] == "failed"
    assert "osnet-edge device init" in results["cam-2"]["why"]
    assert serving(bench.store("cam-1")) == "seed-1"


@pytest.mark.parametrize("host", ["shared", "loop"])
def test_a_host_whose_key_the_configuration_would_not_look_at_is_refused(
    host: str, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    ssh = [
        "ssh",
        "-F",
        str(bench.config),
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]
    # A person who said yes; where connections are shared, it stays open.
    subprocess.run([*ssh, host, "true"], check=True, stderr=subprocess.DEVNULL)
    try:
        assert bench.ship(tiny_package(1), host, more=("--json", "--dry-run")) == 1
        (result,) = json.loads(capsys.readouterr().out)
        assert result["result"] == "unreachable"
        assert "Host key verification failed" in result["why"]
    finally:
        subprocess.run([*ssh, "-O", "exit", host], check=False, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("option", "given", "holds"),
    [
        # It would ask somebody who is not there.
        ("batchmode", "no", "yes"),
        # It would take any key that it sees for the first time.
        ("stricthostkeychecking", "accept-new", "true"),
        # A host that is reached by way of this machine could be any.
        ("nohostauthenticationforlocalhost", "yes", "no"),
        # Who answers for the name could say which key is right.
        ("verifyhostkeydns", "yes", "false"),
        # A connection that is open was let in by another's word. ssh does not print it where there is none.
        ("controlpath", "~/master", None),
    ],
)
def test_no_configuration_makes_ssh_trust_more(
    option: str, given: str, holds: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `ssh -G`, with all that ship gives to ssh: it prints what then holds, and calls nobody."""
    if (ssh := shutil.which("ssh")) is None:
        pytest.skip("needs ssh, which is not installed: apt-get install openssh-client")
    config, printed = tmp_path / "ssh_config", tmp_path / "printed"
    config.write_text(f"Host *\n  {option} {given}\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(f'#!/bin/sh\nexec {ssh} -G "$@" > "{printed}"\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert main(["ship", str(tiny_package(1)), "nobody", "-F", str(config), "--dry-run"]) == 1
    assert dict(line.partition(" ")[::2] for line in printed.read_text().splitlines()).get(option) == holds


def test_a_dry_run_changes_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    def content() -> set[tuple[str, int]]:
        return {(str(path), path.lstat().st_mtime_ns) for path in bench.folder.glob("cam-*/**/*")}

    before = content()
    assert bench.ship(tiny_package(1), "cam-1", more=("--dry-run",)) == 0
    assert "would fit" in capsys.readouterr().out
    assert content() == before


def test_a_ruined_package_is_refused_on_the_far_side_and_the_old_one_serves_on(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench.ship(tiny_package(1), "cam-1") == 0
    capsys.readouterr()
    assert bench.ship(ruined(tmp_path), "cam-1", more=("--json",)) == 1
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["result"], result["release"]) == ("refused", "tiny")
    assert "failed its proof" in result["why"]
    assert serving(bench.store("cam-1")) == "seed-1"


@pytest.mark.parametrize("answer", ["", "null", "[]", '{"event": 3}', '{"event": {}, "proof": []}'])
def test_a_host_that_answers_otherwise_than_osnet_edge_does_has_failed(
    answer: str, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    remote = f"sh -c 'cat >/dev/null; echo \"$0\"' {shlex.quote(answer)}"
    assert bench.ship(tiny_package(1), "cam-1", more=("--remote", remote, "--json")) == 1
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["result"], result["why"]) == ("failed", "exit code 0")


@pytest.mark.parametrize(
    ("package", "host", "message"),
    [
        (Path("nowhere"), "cam-1", "expected an engine package"),
        (tiny_package, "-oProxyCommand=touch evil", "expected hosts such as user@host"),
    ],
)
def test_what_cannot_be_shipped_is_refused_before_anybody_is_called(
    package: Path, host: str, message: str, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    given = package(1) if callable(package) else package
    assert main(["ship", "-F", str(bench.config), "--", str(given), host]) == 2
    assert message in capsys.readouterr().err
