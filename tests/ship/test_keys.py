"""Keys and the repository that they sign, through the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bench_examples import engine, result
from fleet import tiny_package
from tuf.api.metadata import Metadata

from osnet_edge.bench.result.result import to_json
from osnet_edge.cli.main import main

KEYS = ("alice", "bob", "carol", "targets", "online")
SIGN = ["--targets-key", "targets.key", "--online-key", "online.key"]


def run(*arguments: str) -> None:
    assert main(arguments) == 0


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with five keys."""
    monkeypatch.chdir(tmp_path)
    for name in KEYS:
        run("keys", "new", f"{name}.key")
    return tmp_path


def draft_root(*changes: str, signers: tuple[str, ...] = ("alice", "bob")) -> None:
    roots = [word for name in ("alice", "bob", "carol") for word in ("--root", f"{name}.key.pub")]
    keys = changes or ("--targets", "targets.key.pub", "--online", "online.key.pub")
    run("keys", "root", "--repo", "fleet", *roots, *keys, "-o", "root.draft")
    for name in signers:
        run("keys", "sign", "root.draft", "--key", f"{name}.key")


@pytest.fixture
def repository(desk: Path) -> Path:
    """A repository with its root in place."""
    draft_root()
    run("keys", "install", "root.draft", "--repo", "fleet")
    return desk / "fleet"


def publish(release: str, *more: str) -> int:
    return main(["publish", str(tiny_package(1)), "--repo", "fleet", "--release", release, *(more or SIGN)])


def test_a_private_key_is_its_owners_alone_from_the_first_instant(desk: Path) -> None:
    assert (desk / "alice.key").stat().st_mode & 0o777 == 0o600
    public = json.loads((desk / "alice.key.pub").read_text())
    assert set(public) == {"keyid", "keytype", "scheme", "keyval"}
    assert "PRIVATE" not in (desk / "alice.key.pub").read_text()


def test_a_key_that_others_can_read_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chmod("targets.key", 0o640)
    assert publish("r1") == 2
    assert "others can read the private key targets.key (mode 640): chmod 600" in capsys.readouterr().err


def test_a_key_is_never_written_over(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (desk / "alice.key").read_bytes()
    assert main(["keys", "new", "alice.key"]) == 2
    assert "keys are not written over" in capsys.readouterr().err
    assert (desk / "alice.key").read_bytes() == before


def test_a_root_below_its_threshold_is_refused_and_at_it_is_taken(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft_root(signers=("alice",))
    assert main(["keys", "install", "root.draft", "--repo", "fleet"]) == 2
    assert "expected 2 signatures of the root keys of root version 1, got 1" in capsys.readouterr().err
    # A targets key's signature is none of the root's.
    run("keys", "sign", "root.draft", "--key", "targets.key")
    assert main(["keys", "install", "root.draft", "--repo", "fleet"]) == 2
    run("keys", "sign", "root.draft", "--key", "bob.key")
    run("keys", "install", "root.draft", "--repo", "fleet")


def test_a_rotated_key_signs_no_longer(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish("r1") == 0
    run("keys", "new", "targets2.key")
    draft_root("--targets", "targets2.key.pub", "--online", "online.key.pub")
    run("keys", "install", "root.draft", "--repo", "fleet")
    assert publish("r2") == 2
    assert "expected 1 signature of the targets keys of root version 2, got 0" in capsys.readouterr().err
    assert publish("r2", "--targets-key", "targets2.key", "--online-key", "online.key") == 0


def test_a_root_is_the_next_or_none(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "install", "root.draft", "--repo", "fleet"]) == 2
    assert "expected root version 2, got 1" in capsys.readouterr().err


def test_keys_live_in_the_environment_and_may_be_encrypted(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONLINE", Path("online.key").read_text())
    monkeypatch.setenv("OSNET_EDGE_KEY_PASSPHRASE", "correct horse")
    run("keys", "new", "locked.key", "--encrypt")
    assert "ENCRYPTED" in Path("locked.key").read_text()
    draft_root("--targets", "locked.key.pub", "--online", "online.key.pub")
    run("keys", "install", "root.draft", "--repo", "fleet")
    assert publish("r1", "--targets-key", "locked.key", "--online-key", "env:ONLINE") == 0
    monkeypatch.setenv("OSNET_EDGE_KEY_PASSPHRASE", "wrong")
    assert publish("r2", "--targets-key", "locked.key", "--online-key", "env:ONLINE") == 2
    assert "locked.key is encrypted; give its passphrase" in capsys.readouterr().err
    assert publish("r2", "--targets-key", "targets.key", "--online-key", "env:NOBODY") == 2
    assert "expected the variable NOBODY" in capsys.readouterr().err


def test_packages_may_be_signed_elsewhere(repository: Path) -> None:
    assert publish("r1", "--draft", "targets.draft") == 0
    assert not (repository / "metadata" / "timestamp.json").exists()
    run("keys", "sign", "targets.draft", "--key", "targets.key")
    run("keys", "install", "targets.draft", "--repo", "fleet", "--online-key", "online.key")
    assert (repository / "metadata" / "timestamp.json").exists()


def test_targets_are_a_consistent_snapshot(repository: Path) -> None:
    assert publish("r1") == 0
    assert publish("r2") == 0
    names = {path.name for path in (repository / "metadata").iterdir()}
    assert names == {
        "1.root.json",
        *("1.targets.json", "2.targets.json"),
        *("1.snapshot.json", "2.snapshot.json"),
        "timestamp.json",
    }
    targets = Metadata.from_file(str(repository / "metadata" / "2.targets.json")).signed.targets
    assert set(targets) == {"channels/stable.json", "packages/r1/tiny.tar", "packages/r2/tiny.tar"}
    for target in targets.values():
        for path in target.get_prefixed_paths():
            assert (repository / "targets" / path).stat().st_size == target.length


def test_what_is_now_is_signed_anew_by_the_online_key_alone(repository: Path) -> None:
    assert publish("r1") == 0
    stamp = repository / "metadata" / "timestamp.json"
    before = Metadata.from_file(str(stamp)).signed
    run("keys", "refresh", "--repo", "fleet", "--online-key", "online.key", "--expires", "30")
    after = Metadata.from_file(str(stamp)).signed
    assert after.version == before.version + 1
    assert after.expires > before.expires
    assert main(["keys", "refresh", "--repo", "fleet", "--online-key", "targets.key"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rollout", "r9", "--share", "5"], "expected a release of stable (r1), got r9"),
        (["rollout", "r1"], "expected a decision"),
        (["rollout", "r1", "--share", "101"], "a share of 0 to 100 percent, got 101"),
        (["rollout", "r1", "--ring", "canary"], "--ring NAME=PERCENT"),
        (["rollout", "r1", "--not-before", "tomorrow"], "a time such as"),
        (["rollout", "r1", "--not-before", "2026-11-23T06:00:00"], "a time with its time zone"),
        (["rollout", "r1", "--not-before", "9999-12-31T23:59:59-23:00"], "a time of this age"),
        (["rollout", "r1", "--recall", "bad", "--to", "r1"], "an earlier release that is not recalled"),
        (["rollout", "r1", "--to", "r0"], "expected --recall WHY"),
        (["publish", "nowhere", "--release", "r2"], "expected an engine package"),
        (["publish", "{package}", "--release", "r1"], "packages of different names"),
        (["publish", "{package}", "--release", "unknown"], "what a camera calls one that it cannot name"),
        (
            ["publish", "{package}", "--release", "r1", "--share", "5"],
            "decide about it with osnet-edge rollout",
        ),
        (["publish", "{package}", "--release", "../r"], "expected the release as"),
        (["publish", "{package}", "--release", "r2", "--for", "trt-10.3"], "is for onnxruntime"),
        (
            ["publish", "{package}", "--release", "r2", "--bench", "nowhere.json"],
            "found nothing at nowhere.json",
        ),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_and_changes_nothing(
    arguments: list[str], message: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish("r1") == 0
    before = (repository / "metadata" / "timestamp.json").read_bytes()
    capsys.readouterr()
    given = [word.format(package=tiny_package(1)) for word in arguments]
    assert main([*given, "--repo", "fleet", *SIGN]) == 2
    assert message in capsys.readouterr().err
    assert (repository / "metadata" / "timestamp.json").read_bytes() == before


def test_what_the_bench_measured_goes_along(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = engine("tiny", {1: 1.5, 8: 9.0}, 0.46)
    Path("result.json").write_text(to_json(result(engine("other", {1: 9.0}, 0.5, reference=True), measured)))
    assert publish("r1", "--bench", "result.json", *SIGN) == 0
    capsys.readouterr()
    run("rollout", "--repo", "fleet", "--json")
    (release,) = json.loads(capsys.readouterr().out)["releases"]
    (offer,) = release["offers"]
    assert (offer["latency_ms"], offer["mean_ap"], offer["rank1"]) == (1.5, 0.46, pytest.approx(0.36))
    Path("result.json").write_text(to_json(result(engine("other", {1: 9.0}, 0.5, reference=True))))
    assert publish("r2", "--bench", "result.json", *SIGN) == 2
    assert "expected tiny among the engines of result.json" in capsys.readouterr().err


def test_a_channel_shows_its_releases(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish("r1", "--share", "10", "--ring", "canary=100", "--for", "test-camera", *SIGN) == 0
    run("rollout", "r1", "--repo", "fleet", "--pause", *SIGN)
    capsys.readouterr()
    run("rollout", "--repo", "fleet")
    assert capsys.readouterr().out == f"{'r1':16} 10 %, 100 % of canary paused  tiny (test-camera)\n"
    run("keys", "show", "--repo", "fleet")
    assert "root       2 of 3" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"keyid": 3}', b"[" * 100_000])
def test_a_file_that_is_no_public_key_is_refused(
    content: bytes, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "alice.key.pub").write_bytes(content)
    roots = ["--root", "alice.key.pub", "--threshold", "1", "--targets", "targets.key.pub"]
    given = ["keys", "root", "--repo", "fleet", *roots, "--online", "online.key.pub", "-o", "root.draft"]
    assert main(given) == 2
    assert "expected alice.key.pub as a public key" in capsys.readouterr().err
    assert not (desk / "root.draft").exists()
