"""The page of a whole result: rebuilt from its JSON, and every number on it found there again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import bench_examples as examples

from osnet_edge.bench import csv_table, from_json, html_report, markdown_table, text_table, to_json

#: Elements that say what numbers mean, and whose own numbers are words: "95 %", "Rank-1", "p50".
EXPLAINED = {"style", "figcaption", "h1", "h2", "h3", "dt"}
#: Units that figures are shown in: as they are, in percent or points, MB, GiB, thousandths, G and T.
UNITS = (1, 100, 1e-6, 2**-30, 1e3, 1e-9, 1e-12)


class Figures(HTMLParser):
    """The numbers of a page that are somebody's measurements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        note = "note" in (given.get("class") or "").split()
        column = tag == "th" and given.get("scope") == "col"
        if tag not in {"meta", "br", "wbr"}:
            self.open.append("explained" if note or column else tag)

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        axis = "svg" in self.open and self.open[-1] == "text"
        if not axis and not EXPLAINED & {*self.open} and "explained" not in self.open:
            text = re.sub(
                r"p\d\d|top-k|Rank-1|float32|95 %|of \d+ engines|x0_25|INA3221|[xM]\d+|MAP", "", data
            )
            self.found += re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)", text)


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def test_a_stored_result_gives_the_same_page_and_tables() -> None:
    result = examples.everything()
    stored = from_json(to_json(result))
    assert stored == result
    for show in (csv_table, markdown_table, text_table, lambda each: html_report([each])):
        assert show(stored) == show(result)


def unexplained(page: str, document: dict[str, Any]) -> list[str]:
    """Return the numbers of a page that are no field of a document, in any of the units they are shown in."""
    fields = list(leaves(document))
    numbers = [float(each) for each in fields if isinstance(each, int | float)]
    engines = document["engines"]
    # What is one field over another, or how many there are in a list; docs/BENCH.md names these.
    for engine in engines:
        numbers += [each["latency"]["p50_ms"] / each["batch"] for each in engine["batches"]]
        if layers := engine["layers"]:
            whole = sum(each["ms"] for each in layers["times"])
            numbers += [each["ms"] / whole for each in layers["times"]]
        if run := engine["sustained"]:
            numbers.append(run["stretch_s"] * len(run["median_ms"]))
        if kept := engine["retention"]:
            numbers += [float(len(kept["lost"])), float(len(kept["gained"]))]
    numbers.append(engines[1]["accuracy"]["scores"]["mean_ap"] / engines[0]["accuracy"]["scores"]["mean_ap"])
    numbers.append(float(sum(len(each["warnings"]) for engine in engines for each in engine["batches"])))
    words = {word for each in fields if isinstance(each, str) for word in re.findall(r"[\d.]*\d", each)}
    return [
        figure
        for figure in Figures(page).found
        if figure not in words
        and not any(
            f"{abs(number) * unit:.{len(figure.partition('.')[2])}f}" == figure
            for number in numbers
            for unit in UNITS
        )
    ]


def test_every_number_on_the_page_is_a_field_of_the_document() -> None:
    result = examples.everything()
    document = json.loads(to_json(result))
    page = html_report([result])
    assert len(Figures(page).found) > 150
    assert unexplained(page, document) == []
    # A page of other figures does not pass.
    other = replace(result.engines[0], load_seconds=0.987, size_bytes=7_654_321)
    changed = html_report([replace(result, engines=(other, *result.engines[1:]))])
    assert unexplained(changed, document) == ["7.65", "0.987", "0.987"]


def test_the_page_shows_what_there_is() -> None:
    page = html_report([examples.everything()])
    for title in (
        "Parts of a call",
        "Frames with people",
        "Throughput of several callers",
        "What is kept of the reference",
        "Energy",
        "Starting, and memory",
        "A long run",
        "Distance from what the machine allows",
        "Where the time goes",
        "Not measured",
        "Roofline",
        "Energy of an embedding",
    ):
        assert f">{title}</h" in page, title
    assert "no NVIDIA driver is installed" in page
    assert "<td>13.21<small>-0.10</small><small>-1.23 to +0.77</small></td>" in page
    assert "Jetson Orin Nano" in page
    # Of a result of which nothing more was measured, it says that energy was not, and no more.
    small = html_report([examples.result()])
    assert "Not available: nothing here tells power" in small
    assert "Frames with people" not in small


def test_an_engine_on_a_device_is_not_held_to_the_processors_floor() -> None:
    result = examples.everything()
    engine = result.engines[1]
    copied = tuple(replace(each, transfers=True) for each in engine.batches)
    moved = replace(result, engines=(result.engines[0], replace(engine, batches=copied)))
    assert {each.engine for each in result.limits()} == {"x0_25-fp32", "x0_25-int8", "BoxMOT"}
    assert {each.engine for each in moved.limits()} == {"x0_25-fp32"}


def test_the_csv_has_a_row_for_each_job() -> None:
    rows = csv_table(examples.everything()).splitlines()
    assert len(rows) == 1 + (3 + 1) + (3 + 1) + (1 + 1) + 1 + 1
    assert ",False,True,0.613,0.0317,0.6283,0.0113,0.7417," in rows[-2]
    assert rows[0].startswith("engine,role,variant,precision")
    assert rows[-1].endswith("no NVIDIA driver is installed")
