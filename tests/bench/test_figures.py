"""Drawings: well-formed, within their frame, readable in both schemes, and of what there is."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import bench_examples as examples
import pytest

from osnet_edge.bench.report.drawing import STYLE, Series, named
from osnet_edge.bench.report.figures import (
    decision_chart,
    pareto_chart,
    result_figures,
)
from osnet_edge.runtime.package.decisions import AccuracyLoss, GroupDecision, Int8
from osnet_edge.runtime.package.tuning import TunedCandidate, Tuning

HOSTILE = "<script>alert('x')</script>\"&"


def test_drawings_are_well_formed_and_within_their_frame() -> None:
    figures = result_figures(examples.everything(), "r0")
    assert len(figures) == 4
    for figure in figures:
        root = ElementTree.fromstring(figure.svg)
        height = float(root.get("viewBox", "").split()[-1])
        for mark in root.iter("path"):
            place = re.fullmatch(r"translate\((\S+) (\S+)\)", mark.get("transform", "translate(1 1)"))
            assert place is not None
            assert 0 <= float(place[1]) <= 420
            assert 0 <= float(place[2]) <= height


@pytest.mark.parametrize(
    ("engines", "drawings"),
    [
        # Speed and accuracy of a single engine: both charts.
        ([examples.engine("a", {1: 1.0}, reference=True)], 2),
        # No accuracy: nothing to set against latency.
        ([examples.engine("a", {1: 1.0}, None, reference=True)], 1),
        # No latency at all.
        ([examples.engine("a", {}, reference=True)], 0),
        # No batch in common: accuracy has no latency to stand against.
        ([examples.engine("a", {1: 1.0}, reference=True), examples.engine("b", {2: 1.0})], 1),
        # Engines that agree in everything, and a perfect one.
        ([examples.engine(n, {1: 1.0}, 0.9, reference=n == "a") for n in "ab"], 2),
        # A time below what the clock can see.
        ([examples.engine("a", {1: 0.0}, reference=True)], 2),
        # More engines than colours.
        ([examples.engine(f"e{n}", {1: 1.0 + n}, reference=n == 0) for n in range(8)], 2),
    ],
)
def test_charts_are_drawn_of_what_there_is(engines: list[examples.EngineResult], drawings: int) -> None:
    assert len(result_figures(examples.result(*engines), "r0")) == drawings


def test_a_name_covers_a_line_only_where_there_is_no_other_room() -> None:
    point = [((200.0, 150.0), Series("engine", 0, ((1, 1),)))]
    right, left = ('class="start tag c0" x="211.0"', 'class="end tag c0" x="189.0"')
    assert right in named(point)[0]
    assert left in named(point, [((200.0, 150.0), (400.0, 150.0))])[0]
    # Lines on all sides: then the first place is as good as any.
    around = [((x, 0.0), (x, 300.0)) for x in range(100, 300, 10)]
    assert right in named(point, around)[0]


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_stands_out(scheme: int) -> None:
    """WCAG 2.1, 1.4.3: at least 4.5:1; names in charts wear the colours of the series."""
    block = re.findall(r":root\{(.*?)\}", STYLE, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w]+):(#[0-9a-f]+)", block))
    for text in ("ink", "soft", "right", "wrong", *(f"c{slot}" for slot in range(6))):
        for ground in ("card", "ground") if text in ("ink", "soft") else ("card",):
            light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


LOSS = AccuracyLoss(0.2, 0.5, 0.1, 0.3)


def written(drawing: str) -> list[str]:
    """What a drawing says, once it is parsed."""
    root = ElementTree.fromstring(drawing)
    assert not [each for each in root.iter() if each.tag.endswith("script")]
    return [each.text or "" for each in root.iter() if each.tag.endswith("text")]


def test_a_tuning_is_drawn_with_a_key_to_what_counts() -> None:
    quick = TunedCandidate(HOSTILE, "openvino", "int8", milliseconds={"1": 1.0}, loss=LOSS)
    slow = TunedCandidate("reference", "onnxruntime", "fp32", milliseconds={"1": 3.0})
    beaten = TunedCandidate("beaten", "onnxruntime", "int8", milliseconds={"1": 2.0}, loss=LOSS)
    unseen = TunedCandidate("unseen", "openvino", "int8", milliseconds={"1": 9.0})
    candidates = (quick, slow, beaten, unseen)
    tuning = Tuning("measured", HOSTILE, (1,), 0.5, None, "reference", HOSTILE, "", (), candidates)
    lines = written(pareto_chart(tuning))
    assert f"{HOSTILE}: speed against accuracy" in lines
    assert any(line.endswith("3 candidates; 1 more, too slow to have their loss measured") for line in lines)
    assert "budget 0.5" in lines
    assert f"1  {HOSTILE} (winner): 1 ms an image, 0.20 points lost" in lines
    assert "2  reference: 3 ms an image, 0.00 points lost" in lines
    assert not [line for line in lines if "beaten" in line or "unseen" in line]


def test_an_int8_decision_is_drawn_group_by_group() -> None:
    groups = (GroupDecision(HOSTILE, 0.25, LOSS, None, True), GroupDecision("fc", 0.05, None, None, False))
    decision = Int8("onnxruntime", "mse", "calib.json", "0", 8, 4, 0.5, None, LOSS, 0.25, groups)
    lines = written(decision_chart(decision, "osnet"))
    for line in (HOSTILE, "25.0%", "fc", "5.0%", "osnet"):
        assert line in lines
    assert "25% of the multiply-accumulates in INT8; mAP lost 0.20, 0.50 at most; budget 0.5" in lines


@pytest.mark.parametrize(
    ("rival_ms", "logarithmic"),
    [
        pytest.param(4.0, False, id="a rival twice as slow leaves the axis at zero"),
        pytest.param(40.0, True, id="one twenty times as slow would crush the others"),
    ],
)
def test_a_slow_rival_does_not_crush_the_latency_chart(rival_ms: float, logarithmic: bool) -> None:
    result = examples.result(
        examples.engine("ref", {1: 2.0, 8: 16.0}, reference=True),
        examples.engine("quick", {1: 1.6, 8: 12.8}),
        examples.engine("rival", {1: rival_ms, 8: rival_ms * 8}),
    )
    for title in ("Latency against batch", "Accuracy against latency"):
        svg = next(each.svg for each in result_figures(result, "r") if each.title == title)
        assert ("(logarithmic)" in svg) is logarithmic
        places = re.findall(r'transform="translate\(([-\d.]+) ([-\d.]+)\)', svg)
        seen = {(round(float(x)), round(float(y))) for x, y in places}
        # Markers are 10 units wide: those of engines a fifth apart lie side by side.
        assert len(seen) == len(places)
        axis = 1 if title.startswith("Latency") else 0
        first, second = (float(places[index][axis]) for index in ((0, 2) if axis else (0, 1)))
        assert abs(first - second) > 10
