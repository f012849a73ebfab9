"""A repository that is damaged, full or expired: refused in one line, examined, repaired as the line says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet import Web, make_camera, tiny_package, update
from tuf.api.metadata import Metadata

from osnet_edge.cli.main import main
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_file
from osnet_edge.ship.channel import Artifact, Channel, Release, Rollout
from osnet_edge.ship.device import metadata as on_camera
from osnet_edge.ship.device.metadata import LARGEST_TARGETS
from osnet_edge.ship.publish import check
from osnet_edge.ship.publish import repository as publishing
from osnet_edge.ship.publish.releases import _draft, read_channel
from osnet_edge.ship.publish.repository import Repository
from osnet_edge.ship.requirements import Requirements, narrow

SIGN = ["--repo", "fleet", "--targets-key", "targets.key", "--online-key", "online.key"]
ONLINE = ["--repo", "fleet", "--online-key", "online.key"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with keys, and a repository of two releases."""
    monkeypatch.chdir(tmp_path)
    for name in ("root", "targets", "online"):
        assert main(["keys", "new", f"{name}.key"]) == 0
    draft_root(
        "--root",
        "root.key.pub",
        "--threshold",
        "1",
        "--targets",
        "targets.key.pub",
        "--online",
        "online.key.pub",
    )
    for seed in (1, 2):
        assert publish(f"r{seed}", seed) == 0
    shutil.copytree("fleet", "backup")
    return tmp_path


def draft_root(*arguments: str) -> None:
    assert main(["keys", "root", "--repo", "fleet", *arguments, "-o", "root.draft"]) == 0
    assert main(["keys", "sign", "root.draft", "--key", "root.key"]) == 0
    assert main(["keys", "install", "root.draft", "--repo", "fleet"]) == 0


def publish(release: str, seed: int = 1, *more: str) -> int:
    return main(["publish", str(tiny_package(seed)), "--release", release, *SIGN, *more])


def archive(release: str) -> Path:
    (found,) = Path("fleet/targets/packages", release).iterdir()
    return found


def examine(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, str]]]:
    capsys.readouterr()
    code = main(["rollout", "--repo", "fleet", "--check", "--json"])
    return code, json.loads(capsys.readouterr().out)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def old_timestamp() -> None:
    Path("fleet/metadata/timestamp.json").write_bytes(Path("old.json").read_bytes())


DAMAGE: list[tuple[str, Callable[[], object], str]] = [
    (
        "no timestamp",
        lambda: Path("fleet/metadata/timestamp.json").unlink(),
        "metadata/timestamp.json is missing",
    ),
    (
        "half a timestamp",
        lambda: cut(Path("fleet/metadata/timestamp.json")),
        "timestamp.json is no timestamp",
    ),
    (
        "no snapshot",
        lambda: Path("fleet/metadata/3.snapshot.json").unlink(),
        "metadata/3.snapshot.json is missing",
    ),
    (
        "no targets",
        lambda: Path("fleet/metadata/3.targets.json").unlink(),
        "metadata/3.targets.json is missing",
    ),
    (
        "older targets under a newer name",
        lambda: shutil.copy("fleet/metadata/2.targets.json", "fleet/metadata/3.targets.json"),
        "metadata/3.targets.json is version 2",
    ),
    ("an older timestamp", old_timestamp, "timestamp.json is older than 3."),
    (
        "no channel",
        lambda: shutil.rmtree("fleet/targets/channels"),
        "the content of channels/stable.json is missing",
    ),
    (
        "a channel cut short",
        lambda: [cut(path) for path in Path("fleet/targets/channels").iterdir()],
        "the content of channels/stable.json has",
    ),
]


@pytest.mark.parametrize(
    ("damage", "message"), [each[1:] for each in DAMAGE], ids=[each[0] for each in DAMAGE]
)
def test_a_damaged_repository_is_refused_by_whatever_writes_and_holds_again_once_it_was_copied(
    damage: Callable[[], object], message: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("fleet/metadata/timestamp.json", "old.json")
    assert publish("r3") == 0
    shutil.copytree("fleet", "backup", dirs_exist_ok=True)
    damage()
    before = {path: path.read_bytes() for path in Path("fleet").rglob("*") if path.is_file()}
    for arguments in (
        ["publish", str(tiny_package(2)), "--release", "r4", *SIGN],
        ["rollout", "r1", "--recall", "bad", *SIGN],
        *([] if "channel" in message else [["keys", "refresh", *ONLINE], ["keys", "renew", *SIGN]]),
    ):
        capsys.readouterr()
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert message in told
        assert "rollout --check" in told
    after = {path: path.read_bytes() for path in Path("fleet").rglob("*") if path.is_file()}
    # The archive of what was refused may be there, at an address that nothing has.
    assert {path: after[path] for path in before if path.name != ".lock"} == {
        path: content for path, content in before.items() if path.name != ".lock"
    }
    code, found = examine(capsys)
    assert code == 1
    assert any(message in each["what"] for each in found)
    shutil.copytree("backup", "fleet", dirs_exist_ok=True)
    assert examine(capsys)[0] == 0
    assert publish("r4") == 0


@pytest.mark.parametrize("lost", [["timestamp.json"], ["timestamp.json", "*.snapshot.json"]], ids=len)
def test_a_timestamp_that_nobody_has_any_more_is_made_anew_and_cameras_take_it(
    lost: list[str], web: Web, tmp_path: Path
) -> None:
    fleet = web.fleet(f"recovered-{len(lost)}")
    for seed in (1, 2):
        fleet.publish(f"r{seed}", tiny_package(seed))
    camera = make_camera(tmp_path / "camera", fleet)
    assert update(camera).release == "r2"
    metadata = fleet.folder / "metadata"
    for path in [path for pattern in lost for path in metadata.glob(pattern)]:
        path.unlink()
    # A copy of old ones under a newer name is not newer.
    shutil.copy(metadata / "1.targets.json", metadata / "9.targets.json")
    assert fleet.repository.recover([fleet.online]) == 2
    (metadata / "9.targets.json").unlink()
    assert update(camera).what == "current"
    fleet.decide("r2", recalled="boxes flicker")
    assert update(camera).release == "r1"


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_archives_that_are_not_whole_are_noticed_before_they_are_signed(
    damage: Callable[[Path], object], desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(tiny_package(1)), "--release", "r3", *SIGN, "--draft", "targets.draft"]) == 0
    damage(archive("r3"))
    assert main(["keys", "sign", "targets.draft", "--key", "targets.key"]) == 0
    assert main(["keys", "install", "targets.draft", *ONLINE]) == 2
    assert "the content of packages/r3/tiny.tar" in capsys.readouterr().err
    # One that a copy left cut short at the address of what is published now is made whole.
    assert publish("r3") == 0
    assert examine(capsys) == (0, [])


@pytest.mark.parametrize("damage", [cut, Path.unlink], ids=["cut", "deleted"])
def test_an_old_archive_that_is_gone_stops_neither_a_release_nor_a_recall(
    damage: Callable[[Path], object], desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(archive("r1"))
    assert publish("r3", 3) == 0
    assert main(["rollout", "r3", "--recall", "boxes flicker", *SIGN]) == 0
    code, (finding,) = examine(capsys)
    assert code == 1
    assert "packages/r1/tiny.tar" in finding["what"]
    assert "rollout r1 --drop" in finding["repair"]
    assert main(["rollout", "r1", "--drop", *SIGN]) == 0
    assert examine(capsys) == (0, [])


def test_a_release_is_dropped_with_its_archives_unless_cameras_are_sent_to_it(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = archive("r1")
    assert main(["rollout", "r2", "--drop", *SIGN]) == 2
    assert "r2 is the newest valid release of stable" in capsys.readouterr().err
    assert publish("r3", 3) == 0
    assert main(["rollout", "r3", "--recall", "bad", "--to", "r1", *SIGN]) == 0
    assert main(["rollout", "r1", "--drop", *SIGN]) == 2
    assert "the recall of r3 sends cameras to r1" in capsys.readouterr().err
    assert main(["rollout", "r3", "--drop", *SIGN]) == 0
    assert main(["rollout", "r1", "--drop", *SIGN]) == 0
    assert not gone.exists()
    channel = read_channel(Repository(Path("fleet")), "stable")
    assert [each.name for each in channel.releases] == ["r2"]
    assert examine(capsys) == (0, [])


def test_two_channels_cannot_give_one_address_to_different_packages(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A relative: the second publish changed what the cameras of the first channel got."""
    assert publish("r1", 2, "--channel", "beta") == 2
    assert "packages/r1/tiny.tar is another package already" in capsys.readouterr().err
    assert publish("r1", 1, "--channel", "beta") == 0
    # Dropped in one channel, it is still offered in the other.
    assert main(["rollout", "r1", "--drop", *SIGN]) == 0
    assert archive("r1").is_file()
    assert examine(capsys) == (0, [])


def test_what_outgrows_cameras_is_told_long_before_and_then_refused(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_camera._SETTINGS.targets_max_length == LARGEST_TARGETS
    fleet = web.fleet("full")
    fleet.publish("r1", tiny_package(1))
    assert check.warnings_of(fleet.repository) == []
    size = (fleet.folder / "metadata" / "1.targets.json").stat().st_size
    monkeypatch.setattr(check, "LARGEST_TARGETS", size + 10)
    (told,) = check.warnings_of(fleet.repository)
    assert "cameras read" in told.what
    assert not told.serious
    monkeypatch.setattr(publishing, "LARGEST_TARGETS", size + 10)
    with pytest.raises(InputError, match="drop old releases"):
        fleet.publish("r2", tiny_package(2))
    offers = tuple(
        Artifact(
            f"p{at}", f"packages/r/p{at}.tar", "engine", 1, "v" * 500, "fp32", Requirements("onnxruntime")
        )
        for at in range(10_000)
    )
    channel = Channel(1, "stable", (Release("r", 1, "", offers, Rollout()),))
    with pytest.raises(InputError, match="cameras read a channel of"):
        _draft(fleet.repository, fleet.repository.current(), channel, [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["rollout", "r2", "--recall", ""],
        ["rollout", "r2", "--recall", "bad", "--to", ""],
        ["rollout", "r2", "--recall", " "],
        ["rollout", "r2", "--not-before", ""],
        ["rollout", "r2", "--ring", ""],
        ["rollout", "", "--share", "5"],
        ["publish", "{package}", "--release", ""],
        ["publish", "{package}", "--release", "r3", "--for", ""],
        ["publish", "{package}", "--release", "r3", "--channel", ""],
        ["publish", "{package}", "--release", "r3", "--not-before", ""],
        ["publish", "{package}", "--release", "r3", "--draft", ""],
        ["publish", "", "--release", "r3"],
        ["publish", "{package}", "--release", "r3", "--repo", ""],
        ["keys", "renew", "--draft", ""],
    ],
    ids=" ".join,
)
def test_an_empty_value_decides_nothing(
    arguments: list[str], desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rollout", "r2", "--recall", "bad", *SIGN]) == 0
    before = Path("fleet/metadata/timestamp.json").read_bytes()
    given = [each.format(package=tiny_package(1)) for each in arguments]
    options = SIGN[2:] if "--repo" in given else SIGN
    assert main([*given, *options]) == 2
    assert "expected a value, got an empty one" in capsys.readouterr().err
    assert Path("fleet/metadata/timestamp.json").read_bytes() == before


@pytest.mark.parametrize(
    "word",
    [
        *(
            "trt10.3",
            "sm8.7",
            "mem4g",
            "TRT-10.3",
            "trt_10.3",
            "tensorrt-10.3",
            "trt",
            "sm-8.7",
            "SM87",
            "cc8.7",
        ),
        *("mem-4", "mem-4gb", "mem4GB", "4g", "10.3", "memory-4g", "ram-4g", "ort1.20", "onnxruntime-1.20"),
        *(
            "openvino2025",
            "tflite",
            "arm64",
            "amd64",
            "x86",
            "x64",
            "armhf",
            "cpu",
            "vnni",
            "x86_64-vnni",
            "X86_64_v3",
        ),
    ],
)
def test_a_requirement_that_is_spelt_wrong_is_no_device(word: str) -> None:
    with pytest.raises(InputError, match=r"expected .*trt-10\.3|expected of processors"):
        narrow(Requirements("tensorrt"), f"jetson-orin-nano,{word}")


@pytest.mark.parametrize(
    "model",
    ["jetson-orin-nano", "raspberry-pi-5-model-b", "test-camera", "cpu-box-3", "armbian-1", "ramses"],
)
def test_what_devices_are_called_is_still_a_device(model: str) -> None:
    assert narrow(Requirements("onnxruntime"), model).models == (model,)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("part", ["whole", "without its first line", "after env:", "in one line"])
def test_the_text_of_a_key_is_never_printed(
    encrypted: bool,
    part: str,
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if encrypted:
        monkeypatch.setenv("OSNET_EDGE_KEY_PASSPHRASE", "correct horse")
    assert main(["keys", "new", "secret.key", *(["--encrypt"] if encrypted else [])]) == 0
    text = Path("secret.key").read_text()
    body = "".join(text.splitlines()[1:-1])
    given = {"whole": text, "without its first line": body, "after env:": f"env:{text}"}.get(
        part, " ".join(text.split())
    )
    capsys.readouterr()
    for arguments in (
        ["keys", "refresh", "--repo", "fleet", "--online-key", given],
        ["publish", str(tiny_package(1)), "--release", "r3", *SIGN[:2], "--targets-key", given, *SIGN[4:]],
        ["keys", "sign", "root.draft", "--key", given],
        ["keys", "root", "--repo", "fleet", "--root", given, "-o", "root.draft"],
        ["keys", "new", given],
    ):
        assert main(arguments) == 2
        told = "".join(capsys.readouterr())
        assert "got the text of a key itself" in told
        assert body[:20] not in told


def test_a_refresh_tells_that_other_signatures_have_expired_and_renew_repairs_it(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "renew", *SIGN, "--expires", "20"]) == 0
    assert "the targets signatures expire on" in capsys.readouterr().err
    assert main(["keys", "refresh", *ONLINE]) == 0
    assert "osnet-edge keys renew" in capsys.readouterr().err
    assert main(["keys", "renew", *SIGN, "--expires", "0.000001"]) == 0
    assert main(["keys", "refresh", *ONLINE]) == 1
    told = capsys.readouterr().err
    assert "the targets signatures expired on" in told
    assert "osnet-edge keys renew" in told
    assert examine(capsys)[0] == 1
    assert main(["keys", "renew", *SIGN]) == 0
    assert main(["keys", "refresh", *ONLINE]) == 0
    assert examine(capsys) == (0, [])


def test_an_expired_root_is_told_and_renewed_with_the_same_keys(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft_root("--expires", "0.000001")
    capsys.readouterr()
    assert main(["keys", "refresh", *ONLINE]) == 1
    assert "the root signatures expired" in capsys.readouterr().err
    draft_root()
    assert main(["keys", "refresh", *ONLINE]) == 0


def test_after_a_rotation_it_is_told_what_cameras_need_and_renew_gives_it(
    desk: Path, web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = web.fleet("rotated")
    shutil.rmtree(fleet.folder)
    shutil.copytree("fleet", fleet.folder)
    camera = make_camera(tmp_path / "camera", fleet)
    assert update(camera).release == "r2"
    assert main(["keys", "new", "targets2.key"]) == 0
    draft_root("--targets", "targets2.key.pub")
    assert "not signed by enough of today's targets keys" in capsys.readouterr().err
    assert main(["keys", "refresh", *ONLINE]) == 1
    renew = ["keys", "renew", *ONLINE, "--targets-key"]
    assert main([*renew, "targets.key"]) == 2
    assert main([*renew, "targets2.key"]) == 0
    shutil.copytree("fleet", fleet.folder, dirs_exist_ok=True)
    assert update(camera).what == "current"


def test_a_root_keeps_what_is_not_named_and_signing_shows_what_it_says(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bob", "dora", "targets2"):
        assert main(["keys", "new", f"{name}.key"]) == 0
    draft_root(
        *("--root", "root.key.pub", "--root", "bob.key.pub", "--root", "dora.key.pub", "--threshold", "1"),
        *("--targets", "targets.key.pub", "--targets", "targets2.key.pub", "--targets-threshold", "2"),
    )
    assert main(["keys", "new", "online2.key"]) == 0
    draft_root("--online", "online2.key.pub")
    root = Metadata.from_file("fleet/metadata/3.root.json").signed
    assert [(role.threshold, len(role.keyids)) for role in root.roles.values()] == [
        (1, 3),
        (1, 1),
        (2, 2),
        (1, 1),
    ]
    capsys.readouterr()
    assert main(["keys", "sign", "root.draft", "--key", "bob.key"]) == 0
    told = capsys.readouterr().out
    assert "root version 3, valid until" in told
    assert f"targets: 2 of 2: {root.roles['targets'].keyids[0][:12]}" in told
    assert main(["keys", "root", "--repo", "fleet", "--targets", "targets.key.pub", "-o", "x.draft"]) == 2
    assert "threshold of 1 to the number of targets keys, got 2 of 1" in capsys.readouterr().err
    assert publish("r3", 3, "--draft", "targets.draft") == 0
    capsys.readouterr()
    assert main(["keys", "sign", "targets.draft", "--key", "targets2.key"]) == 0
    assert "packages/r3/tiny.tar" in capsys.readouterr().out


def test_a_missing_root_is_found(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft_root()
    draft_root()
    write_file("2.root.json", Path("fleet/metadata/2.root.json").read_bytes())
    Path("fleet/metadata/2.root.json").unlink()
    assert publish("r3") == 2
    assert "metadata/2.root.json is missing" in capsys.readouterr().err
    code, (finding,) = examine(capsys)
    assert (code, "2.root.json is missing" in finding["what"]) == (1, True)


def test_what_others_leave_among_the_notes_and_bytes_that_are_no_text_stop_nobody(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "fleet" / ".unfinished").mkdir(exist_ok=True)
    # NFS keeps a file under such a name while it is open.
    (desk / "fleet" / ".unfinished" / ".nfs0001").touch()
    # So Python has an argument of a terminal that is not UTF-8.
    assert main(["rollout", "r2", "--recall", "bad \udcff", *SIGN]) == 0
    assert examine(capsys) == (0, [])
