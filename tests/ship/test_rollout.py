"""Who takes a release, and which package of it: decided on the device, from a signed document."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from fleet import tiny_package
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.manifest import Target, read_manifest
from osnet_edge.runtime.precisions import Precision
from osnet_edge.ship.channel import Artifact, Channel, Release, Rollout, dump_channel, parse_channel
from osnet_edge.ship.device.choose import choose, why_not
from osnet_edge.ship.device.facts import DeviceFacts, plain_model
from osnet_edge.ship.device.rollout import bucket, decide
from osnet_edge.ship.requirements import Requirements, narrow, requirements_of

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)
ORIN = DeviceFacts(
    "jetson-orin-nano", "aarch64", "8.7", 7600, {"tensorrt": "10.3.0.30", "onnxruntime": "1.20.0"}
)


def artifact(name: str = "p", **changes: Any) -> Artifact:
    made = Artifact(
        name, f"packages/r/{name}.tar", "engine", 1000, "osnet_x0_25", "fp16", Requirements("onnxruntime")
    )
    return replace(made, **changes)


def channel(*releases: tuple[str, Rollout]) -> Channel:
    made = (Release(name, at, "", (artifact(),), rollout) for at, (name, rollout) in enumerate(releases, 1))
    return Channel(1, "stable", tuple(made))


ALL, NONE = Rollout(), Rollout(share=0)
GONE = Rollout(recalled="bad")


@pytest.mark.parametrize(
    ("sentence", "has", "releases", "gets"),
    [
        ("the newest", "", [("r1", ALL), ("r2", ALL)], "r2"),
        ("nothing, with the newest", "r2", [("r1", ALL), ("r2", ALL)], None),
        ("the newest but one, while the newest is for others", "", [("r1", ALL), ("r2", NONE)], "r1"),
        ("nothing older than it has, though that share was lowered", "r2", [("r1", ALL), ("r2", NONE)], None),
        ("nothing while it is paused", "r1", [("r1", ALL), ("r2", Rollout(paused=True))], None),
        (
            "nothing before its time",
            "r1",
            [("r1", ALL), ("r2", Rollout(not_before="2026-11-23T00:00:01Z"))],
            None,
        ),
        ("it once it is time", "r1", [("r1", ALL), ("r2", Rollout(not_before="2026-11-23T00:00:00Z"))], "r2"),
        ("it where its ring has it", "", [("r1", Rollout(share=0, rings={"canary": 100}))], "r1"),
        ("nothing where its ring has not", "", [("r1", Rollout(share=100, rings={"canary": 0}))], None),
        ("nothing that was recalled", "r1", [("r1", ALL), ("r2", GONE)], None),
        ("the one before, once its own is recalled", "r2", [("r1", ALL), ("r2", GONE)], "r1"),
        (
            "the one that the recall names",
            "r3",
            [("r1", ALL), ("r2", ALL), ("r3", replace(GONE, back_to="r1"))],
            "r1",
        ),
        (
            "another where that one was recalled since",
            "r3",
            [("r1", ALL), ("r2", GONE), ("r3", replace(GONE, back_to="r2"))],
            "r1",
        ),
        ("the one before even where its share was 0 since", "r2", [("r1", NONE), ("r2", GONE)], "r1"),
        ("a newer one rather than an older, once recalled", "r1", [("r1", GONE), ("r2", ALL)], "r2"),
        ("nothing where all are recalled", "r1", [("r1", GONE)], None),
        ("the newest where its own was never published here", "by-hand", [("r1", ALL)], "r1"),
    ],
)
def test_a_device_gets(
    sentence: str, has: str, releases: list[tuple[str, Rollout]], gets: str | None
) -> None:
    decision = decide(channel(*releases), "camera-1", "canary", has, NOW)
    assert (decision.release.name if decision.release else None) == gets
    assert decision.why


@pytest.mark.parametrize("share", [1, 10, 25, 50, 90])
def test_a_share_is_of_the_fleet_within_two_points_and_grows_by_adding(share: float) -> None:
    devices = [f"camera-{number}" for number in range(5000)]
    chosen = {name for name in devices if bucket(name, "2026.11") < share}
    assert abs(100 * len(chosen) / len(devices) - share) < 2
    assert chosen <= {name for name in devices if bucket(name, "2026.11") < share + 5}
    # Another release has other canaries.
    if share == 10:
        other = {name for name in devices if bucket(name, "2026.12") < share}
        assert len(chosen & other) < 0.3 * len(chosen)


@given(st.text(max_size=20), st.text(max_size=20))
def test_every_device_has_a_place_in_every_queue(device: str, release: str) -> None:
    assert 0 <= bucket(device, release) < 100


TRT = Requirements("tensorrt", "10.3.0.30", machine="aarch64", compute_capabilities=("8.7",))


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        (TRT, ""),
        (replace(TRT, backend_version="10.3"), ""),
        (replace(TRT, models=("jetson-orin-nano", "jetson-orin-nx")), ""),
        # As JetPack's Python package tells less of its version than a plan does.
        (replace(TRT, backend_version="10.3.0.30.1"), ""),
        (replace(TRT, backend_version="10.3.0.3"), "needs tensorrt 10.3.0.3, has 10.3.0.30"),
        (replace(TRT, backend_version="10.30"), "needs tensorrt 10.30, has 10.3.0.30"),
        (replace(TRT, models=("jetson-orin-nx",)), "needs jetson-orin-nx, is jetson-orin-nano"),
        (replace(TRT, machine="x86_64"), "needs x86_64, is aarch64"),
        (replace(TRT, compute_capabilities=("8.6", "8.9")), "needs compute capability 8.6 or 8.9, has 8.7"),
        (replace(TRT, memory_mb=16000), "needs 16000 MB of memory, has 7600"),
        (Requirements("openvino"), "needs openvino, has none"),
    ],
)
def test_a_package_fits_a_device_or_it_is_said_why_not(needs: Requirements, reason: str) -> None:
    assert why_not(needs, ORIN) == reason


AVX2 = DeviceFacts("box", "x86_64", "", 7600, {"openvino": "2026.4"}, ("any", "x86-64-v3"))
BUILT = Target("openvino", "2026.4", "cpu", "x86_64", (), False, "x86-64-bf16")
BEFORE = replace(BUILT, processor="")


@pytest.mark.parametrize(
    ("sentence", "precision", "target", "needed", "reason"),
    [
        ("float32 computes right on any", "fp32", replace(BUILT, processor="any"), "", ""),
        ("INT8 with weights of 7 bits too", "int8", replace(BUILT, processor="any"), "", ""),
        ("INT8 for AVX2", "int8", replace(BUILT, processor="x86-64-v3"), "x86-64-v3", ""),
        ("INT8 needs VNNI, and no bf16", "int8", BUILT, "x86-64-vnni", "needs x86-64-vnni, is x86-64-v3"),
        ("bf16 needs it", "bf16", BUILT, "x86-64-bf16", "needs x86-64-bf16, is x86-64-v3"),
        ("INT8 from before", "int8", BEFORE, "x86-64-vnni", "needs x86-64-vnni, is x86-64-v3"),
        ("float32 from before", "fp32", BEFORE, "", ""),
        (
            "INT8 for ARM",
            "int8",
            replace(BUILT, processor="aarch64"),
            "aarch64",
            "needs aarch64, is x86-64-v3",
        ),
        (
            "from before, on ARM",
            "int8",
            replace(BEFORE, machine="aarch64"),
            "aarch64",
            "needs aarch64, is x86-64-v3",
        ),
    ],
)
def test_a_device_takes_int8_and_bf16_for_its_processor(
    sentence: str, precision: Precision, target: Target, needed: str, reason: str
) -> None:
    manifest = replace(read_manifest(tiny_package(1)), precision=precision, target=target)
    needs = requirements_of(manifest)
    assert needs.machine == needed
    assert why_not(needs, AVX2) == reason


def test_openvino_has_no_int8_for_an_arm_without_dot_products() -> None:
    pi = DeviceFacts("pi", "aarch64", "", 4000, {"openvino": "2026.4"}, ("any", "aarch64"))
    anywhere = artifact("anywhere", needs=Requirements("openvino"), precision="int8")
    reason = "anywhere needs aarch64-dotprod, is aarch64"
    assert choose([anywhere], pi, "fast") == (None, reason)
    orin = replace(pi, processors=("any", "aarch64", "aarch64-dotprod"))
    assert choose([anywhere], orin, "fast") == (anywhere, "")
    assert choose([replace(anywhere, precision="fp32")], pi, "fast")[1] == ""


def test_the_best_package_is_the_quickest_or_the_most_accurate_as_asked() -> None:
    quick = artifact("quick", latency_ms=2.0, mean_ap=0.40)
    exact = artifact("exact", latency_ms=9.0, mean_ap=0.46)
    unmeasured = artifact("unmeasured")
    elsewhere = artifact("elsewhere", latency_ms=0.1, mean_ap=0.9, needs=Requirements("openvino"))
    offers = (unmeasured, elsewhere, exact, quick)
    assert choose(offers, ORIN, "fast") == (quick, "")
    assert choose(offers, ORIN, "accurate") == (exact, "")
    assert choose([elsewhere], ORIN, "fast") == (None, "elsewhere needs openvino, has none")
    ready, recipe = (
        artifact("ready", needs=TRT),
        artifact("recipe", kind="recipe", needs=Requirements("tensorrt")),
    )
    assert choose([recipe, ready], ORIN, "fast")[0] == ready
    assert choose([], ORIN, "fast") == (None, "it has no packages")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", TRT),
        ("jetson-orin-nano, trt-10.3,sm87", replace(TRT, models=("jetson-orin-nano",))),
        ("mem-4g", replace(TRT, memory_mb=4000)),
        ("trt-10.4", "runs on tensorrt 10.3.0.30 alone"),
        ("rtx-1.7", "for tensorrt, and --for says rtx"),
        ("sm86", "built for compute capability 8.7"),
        ("x86_64", "was built for aarch64"),
        ("aarch64", TRT),
        ("aarch64-dotprod", replace(TRT, machine="aarch64-dotprod")),
        ("orin nano", "expected the device model"),
        ("aarch64-dotprd", "expected of processors x86_64, .*got 'aarch64-dotprd'"),
        ("any", "expected of processors "),
    ],
)
def test_what_a_package_is_published_for_narrows_what_it_is(text: str, expected: Requirements | str) -> None:
    if isinstance(expected, Requirements):
        assert narrow(TRT, text) == expected
        return
    with pytest.raises(InputError, match=expected):
        narrow(TRT, text)


@pytest.mark.parametrize(
    ("says", "model"),
    [
        ("NVIDIA Jetson Orin Nano Developer Kit", "jetson-orin-nano"),
        ("NVIDIA Jetson AGX Orin Developer Kit", "jetson-agx-orin"),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberry-pi-5-model-b"),
    ],
)
def test_a_board_says_what_the_device_is(says: str, model: str) -> None:
    assert plain_model(says) == model


def test_a_channel_survives_its_document() -> None:
    made = channel(
        ("r1", Rollout(10, {"canary": 50}, "2026-11-23T00:00:00Z", True, "why", "r0")), ("r2", ALL)
    )
    assert parse_channel(dump_channel(made), "c") == made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "expected schema_version 1"),
        ({"releases": [{}]}, "the field 'name' is missing"),
        ({"extra": 1}, "unknown field 'extra'"),
    ],
)
def test_a_channel_of_another_kind_is_refused(change: dict[str, Any], message: str) -> None:
    document = {**json.loads(dump_channel(channel(("r1", ALL)))), **change}
    with pytest.raises(InputError, match=message):
        parse_channel(json.dumps(document).encode(), "channel")


@pytest.mark.parametrize(
    "target", ["../../etc/passwd", "/etc/passwd", "packages//x.tar", "packages/../x.tar", "a b", "x\n", ""]
)
def test_an_offer_names_no_target_that_reaches_elsewhere(target: str) -> None:
    with pytest.raises(InputError, match="plain names"):
        artifact(target=target)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_channel_or_refused(content: bytes) -> None:
    with pytest.raises(InputError):
        parse_channel(content, "channel")
