"""The result document: it comes back whole, and a document that was changed does not pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_examples as examples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.bench import (
    Accuracy,
    BatchLatency,
    BenchResult,
    ChangeIntervals,
    EngineResult,
    LatencyStats,
    MachineFacts,
    RetrievalScores,
    Settings,
    from_json,
    to_json,
)
from osnet_edge.bench.result.result import read_result
from osnet_edge.runtime.errors import InputError

positive = st.floats(0, 1e6)
batch_sizes = st.lists(st.integers(1, 512), max_size=3, unique=True).map(sorted)
latencies = st.lists(st.integers(0, 10**11), min_size=1, max_size=5).map(LatencyStats.from_nanoseconds)


@st.composite
def accuracies(draw: st.DrawFn) -> Accuracy:
    *curve, rank20 = sorted(draw(st.tuples(*[st.floats(0, 1)] * 4)))
    skipped = draw(st.integers(0, 5))
    queries = skipped + draw(st.integers(1, 5))
    scores = RetrievalScores(
        *curve,
        draw(st.floats(0, 1)),
        queries,
        skipped,
        draw(st.integers(1, 9)),
        rank20=draw(st.sampled_from([rank20, None])),
        mean_inp=draw(st.none() | st.floats(0, 1)),
    )
    return Accuracy(draw(st.text()), draw(st.sampled_from(["cosine", "euclidean"])), scores)


ends = st.tuples(*[st.floats(-1, 1)] * 2).map(sorted).map(tuple)
change_intervals = st.none() | st.builds(
    ChangeIntervals, ends, ends, st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(1, 10**5)
)


@st.composite
def results(draw: st.DrawFn) -> BenchResult:
    names = draw(st.lists(st.text(min_size=1), min_size=1, max_size=3, unique=True))
    scored = [draw(st.none() | accuracies()) for _ in names]
    engines = tuple(
        EngineResult(
            name=name,
            variant=draw(st.text()),
            precision=draw(st.text()),
            target=draw(st.text()),
            size_bytes=draw(st.integers(0, 2**60)),
            load_seconds=draw(positive),
            batches=tuple(BatchLatency.of(size, draw(latencies)) for size in draw(batch_sizes)),
            accuracy=scored[index],
            reference=index == 0,
            change_intervals=draw(change_intervals) if index and scored[index] else None,
        )
        for index, name in enumerate(names)
    )
    text = st.text(max_size=8)
    memory = st.none() | st.integers(0, 2**50)
    machine = st.builds(
        MachineFacts, text, text, st.integers(1, 99), text, memory, text, text, st.dictionaries(text, text)
    )
    settings = st.builds(
        Settings,
        command=text,
        created=text,
        threads=st.none() | st.integers(1, 64),
        batches=batch_sizes.filter(len).map(tuple),
        warmup_s=positive,
        duration_s=positive,
        min_iterations=st.integers(1, 99),
        interleaved=st.booleans(),
        measured=text,
    )
    return BenchResult(draw(machine), draw(settings), engines)


@given(results())
def test_a_result_comes_back_as_it_was(result: BenchResult) -> None:
    assert from_json(to_json(result)) == result


def test_the_document_says_what_a_script_looks_for() -> None:
    document = json.loads(to_json(examples.result()))
    assert document["schema_version"] == 3
    assert document["ratios"][3]["speedup"] == 2.0
    assert document["engines"][1]["batches"][0]["latency"]["p50_ms"] == 0.85
    assert document["accuracy_changes"][1]["mean_ap"] == pytest.approx(-0.0104)


def test_a_document_of_before_rank_20_and_minp_is_read() -> None:
    document = json.loads(to_json(examples.result()))
    for name in ("rank20", "mean_inp"):
        for engine in document["engines"]:
            del engine["accuracy"]["scores"][name]
    scores = from_json(json.dumps(document)).engines[0].accuracy.scores
    assert (scores.rank20, scores.mean_inp) == (None, None)


def test_a_document_of_before_intervals_is_read() -> None:
    document = json.loads(to_json(examples.result()))
    for engine in document["engines"]:
        del engine["change_intervals"]
    for changed in document["accuracy_changes"]:
        del changed["intervals"]
    assert from_json(json.dumps(document)) == examples.result()


def test_the_change_in_accuracy_carries_its_interval() -> None:
    found = json.loads(to_json(examples.compared()))["accuracy_changes"]
    assert found[0]["intervals"] is None
    assert found[1]["intervals"] == {
        "rank1": [-0.0221, 0.0011],
        "mean_ap": [-0.0162, -0.0048],
        "confidence": 0.95,
        "samples": 2000,
        "mean_inp": None,
    }


def test_a_document_of_version_1_is_read() -> None:
    """What version 2 added is not there, neither in engines nor in what follows from them."""
    document = json.loads(to_json(examples.compared()))
    document["schema_version"] = 1
    for name in ("ceilings", "work", "frame_ratios", "limits"):
        del document[name]
    for name in ("load", "jetson", "gpu"):
        del document["machine"][name]
    kept = ("name", "variant", "precision", "target", "size_bytes", "load_seconds", "accuracy", "reference")
    document["engines"] = [
        {name: engine[name] for name in (*kept, "change_intervals")}
        | {
            "batches": [
                {name: each[name] for name in ("batch", "images_per_second", "latency")}
                for each in engine["batches"]
            ]
        }
        for engine in document["engines"]
    ]
    document["ratios"] = [
        {name: each[name] for name in ("engine", "batch", "speedup")} for each in document["ratios"]
    ]
    for each in document["accuracy_changes"]:
        del each["mean_inp"]
    assert from_json(json.dumps(document)) == examples.compared()


def test_intervals_of_an_older_version_are_computed_anew() -> None:
    """Version 2 took turns for independent: eight fast ones behind eight slow ones gave too narrow ends."""
    slow, quick = examples.result().engines
    turns = tuple(1 + index / 100 + (index >= 8) for index in range(16))
    timed = replace(slow, batches=(BatchLatency.of(1, slow.batches[0].latency, turns),))
    steady = replace(quick, batches=(BatchLatency.of(1, quick.batches[0].latency, (1.0,) * 16),))
    result = examples.result(timed, steady)
    document = json.loads(to_json(result))
    document["schema_version"] = 2
    document["engines"][0]["batches"][0]["median_interval"] = [turns[3], turns[12]]
    document["ratios"][1] |= {"low": turns[3], "high": turns[12]}
    assert from_json(json.dumps(document)) == result
    assert result.ratios()[1].low == turns[0]


def test_turns_give_ratios_their_spread() -> None:
    """Round by round the second engine is twice as fast, whatever the machine does meanwhile."""
    slow, quick = examples.result().engines
    turns = (4.0, 8.0, 4.0, 12.0, 4.0, 4.0, 5.0, 6.0)
    batches = [
        BatchLatency.of(1, engine.batches[0].latency, tuple(turn / by for turn in turns))
        for engine, by in ((slow, 1), (quick, 2))
    ]
    result = examples.result(replace(slow, batches=(batches[0],)), replace(quick, batches=(batches[1],)))
    ratio = result.ratios()[1]
    assert (ratio.speedup, ratio.low, ratio.high) == (2, 2, 2)
    assert batches[0].median_interval == (4, 12)
    assert from_json(to_json(result)) == result


def test_accuracies_on_different_pictures_are_not_compared() -> None:
    result = examples.result(
        examples.engine("a", {1: 1.0}, reference=True), examples.engine("b", {1: 1.0}, data_set="other")
    )
    assert [change.engine for change in result.accuracy_changes()] == ["a"]


def test_speeds_are_compared_only_at_the_batches_of_both() -> None:
    result = examples.result(
        examples.engine("a", {1: 4.0, 8: 9.0}, reference=True), examples.engine("b", {1: 2.0, 4: 5.0})
    )
    assert [(r.engine, r.batch, r.speedup) for r in result.ratios()] == [
        ("a", 1, 1),
        ("a", 8, 1),
        ("b", 1, 2),
    ]
    assert result.common_batch == 1


def change(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        if to is None:
            del document[path[-1]]
        else:
            document[path[-1]] = to

    return apply


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        # A version this code does not know.
        (change("schema_version", to=4), "schema_version 1 to 3, but got 4"),
        (change("schema_version", to=None), "no schema_version"),
        # A field is missing, misspelt or of another type; the message gives the place.
        (change("machine", to=None), "'machine' is missing"),
        (change("settings", "thread", to=1), "unknown field 'thread'"),
        (
            change("engines", 1, "size_bytes", to="big"),
            r"engines\[1\].size_bytes: expected a whole number, got 'big'",
        ),
        (change("engines", 0, "size_bytes", to=True), "whole number"),
        (change("engines", 0, "reference", to=1), "true or false"),
        (change("engines", to={"a": 1}), "engines: expected a list"),
        (change("machine", to=[1]), "machine: expected an object"),
        (change("machine", "versions", to=[1]), "versions: expected an object"),
        # Values that cannot be.
        (change("engines", 0, "batches", 0, "latency", "p90_ms", to=99.0), "rising percentiles"),
        (change("engines", 0, "batches", 0, "latency", "mean_ms", to=99.0), "mean within the range"),
        (change("engines", 0, "batches", 0, "latency", "cv", to=-1), "cv of 0"),
        (change("engines", 0, "batches", 0, "images_per_second", to=1.0), "batch / mean latency"),
        (change("engines", 0, "batches", 0, "batch", to=0), "batch of 1"),
        (change("engines", 0, "batches", 0, "batch", to=9), "images_per_second"),
        (change("engines", 0, "accuracy", "scores", "mean_ap", to=1.5), r"\[0, 1\]"),
        (change("engines", 0, "accuracy", "scores", "rank1", to=0.9), "Rank-1 <= Rank-5"),
        (change("engines", 0, "accuracy", "scores", "rank20", to=0.1), "Rank-10 <= Rank-20"),
        (change("engines", 0, "accuracy", "scores", "mean_inp", to=2.0), r"\[0, 1\]"),
        (change("engines", 0, "accuracy", "scores", "skipped", to=632), "fewer queries skipped"),
        (change("engines", 0, "size_bytes", to=-1), "size of 0"),
        (change("engines", 0, "name", to=""), "an engine's name"),
        (change("settings", "batches", to=[8, 1]), "ascending batches"),
        (change("settings", "batches", to=[]), "batches of 1 or more"),
        # No engine, or two, to compare with; two engines of one name.
        (change("engines", 0, "reference", to=False), "exactly one reference"),
        (change("engines", 1, "reference", to=True), "exactly one reference"),
        (change("engines", 1, "name", to="x0_25-fp32"), "different names"),
        (change("engines", 0, "batches", 0, "turns_ms", to=[1.0] * 6), "median_interval to follow"),
        (change("engines", 0, "role", to="winner"), "'package' or 'reference' or 'versus'"),
        # A ratio that was polished by hand.
        (change("ratios", 3, "speedup", to=4.0), "ratios that follow"),
        (change("accuracy_changes", 1, "mean_ap", to=0.0), "accuracy_changes that follow"),
    ],
)
def test_a_changed_document_is_refused(edit: Callable[[dict[str, Any]], None], message: str) -> None:
    document = json.loads(to_json(examples.result()))
    edit(document)
    with pytest.raises(InputError, match=message):
        from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        # A frame is a time as a batch is.
        (change("engines", 1, "frames", 0, "people_per_second", to=9e9), "people / mean latency"),
        (change("engines", 1, "frames", 0, "median_interval", to=[1.0, 1.0]), "median_interval to follow"),
        (change("engines", 1, "frames", 0, "latency", "p99_ms", to=0.1), "rising percentiles"),
        (change("engines", 1, "frames", 0, "people", to=0), "1 person or more"),
        (change("engines", 2, "batches", 0, "parts", to={"input_ms": -1.0}), "parts of 0 ms or more"),
        (change("frame_ratios", 0, "speedup", to=9.0), "frame_ratios that follow"),
        (change("limits", 0, "times_floor", to=1.0), "limits that follow"),
        (change("ceilings", "operations_per_second", "fp32", to=0.0), "rates above 0"),
    ],
)
def test_a_changed_document_of_everything_is_refused(
    edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    document = json.loads(to_json(examples.everything()))
    edit(document)
    with pytest.raises(InputError, match=message):
        from_json(json.dumps(document))


INTERVALS = {"rank1": [-0.1, 0.1], "mean_ap": [-0.1, 0.1], "confidence": 0.95, "samples": 2000}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        # Ends that were swapped, or written in points.
        (change("engines", 1, "change_intervals", "mean_ap", to=[0.1, -0.1]), "rising ends of an interval"),
        (change("engines", 1, "change_intervals", "rank1", to=[-2.21, 0.11]), r"interval in \[-1, 1\]"),
        (change("engines", 1, "change_intervals", "rank1", to=[0.1]), "a list of 2"),
        (change("engines", 1, "change_intervals", "confidence", to=95.0), "confidence between 0 and 1"),
        (change("engines", 1, "change_intervals", "samples", to=0), "1 sample or more"),
        # The reference does not differ from itself, and an engine without scores from nothing.
        (change("engines", 0, "change_intervals", to=INTERVALS), "only of an accuracy compared"),
        (lambda document: document["engines"][1].update(accuracy=None), "only of an accuracy compared"),
        # A narrower interval where a script looks for it.
        (
            change("accuracy_changes", 1, "intervals", "mean_ap", to=[-0.011, -0.01]),
            "accuracy_changes that follow",
        ),
        (change("accuracy_changes", to=None), "accuracy_changes: expected a list"),
    ],
)
def test_a_changed_interval_is_refused(edit: Callable[[dict[str, Any]], None], message: str) -> None:
    document = json.loads(to_json(examples.compared()))
    edit(document)
    with pytest.raises(InputError, match=message):
        from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', "null", '{"schema_version": 1}', "[" * 100_000])
def test_what_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        from_json(text)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    text = to_json(examples.result()).replace('"load_seconds": 0.321', f'"load_seconds": {number}', 1)
    with pytest.raises(InputError, match=f"{number} is not a finite number"):
        from_json(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "a result of osnet-edge bench --json, found nothing at .*r.json"),
        (b"\xff\xfe", "r.json is no text"),
        (b"{", "r.json: expected a benchmark result in JSON"),
    ],
)
def test_a_file_that_is_no_result_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_result(tmp_path / "r.json")
    (tmp_path / "r.json").write_text(to_json(examples.result()))
    assert read_result(tmp_path / "r.json") == examples.result()
