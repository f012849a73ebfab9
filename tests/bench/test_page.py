"""The page: whole in itself, readable in both schemes, and unable to run what a name contains."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import bench_examples as examples
import pytest

from osnet_edge.bench import (
    InlinePicture,
    PictureSection,
    Ranking,
    csv_table,
    from_json,
    html_report,
    markdown_table,
    summary,
    text_table,
    to_json,
)
from osnet_edge.runtime.errors import InputError

PIXEL = "data:image/png;base64,iVBORw0KGgo="
HOSTILE = "<script>alert('x')</script>\"&"
VOID = {"meta", "img", "br", "wbr"}


class Page(HTMLParser):
    """The elements of a page, failing on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def section() -> PictureSection:
    people = InlinePicture(PIXEL, "person 1"), InlinePicture(PIXEL, "person 2")
    found = Ranking(people[0], ((people[0], True), (people[1], False)))
    return PictureSection("Synthetic people", "Nobody is shown.", people, (found,))


def test_the_page_says_what_the_result_says() -> None:
    result = examples.result()
    page = Page(html_report([result], sections=[section()]))
    text = re.sub(r"\s+", " ", page.text)
    assert summary(result) in text
    for figure in ("0.850", "2.00", "45.79", "44.75", "-1.04", "1164", "30.5", "Some CPU", "1.32.0"):
        assert figure in text, figure
    assert result.settings.command in text


def test_the_page_says_how_sure_a_change_is() -> None:
    text = Page(html_report([examples.compared()])).text
    for figure in (
        "-1.62 to -0.48",
        "-2.21 to +0.11",
        "95 % interval (2000 resamples) by a paired bootstrap",
    ):
        assert figure in text, figure
    assert "bootstrap" not in Page(html_report([examples.result()])).text


def test_the_page_needs_nothing_else() -> None:
    page = Page(html_report([examples.result()], sections=[section()]))
    tags = Counter(tag for tag, _ in page.elements)
    assert not tags.keys() & {"script", "link", "iframe", "object", "use", "image"}
    attributes = [pair for _, each in page.elements for pair in each.items()]
    sources = {value for key, value in attributes if key in ("src", "href")}
    assert sources == {PIXEL}
    text = html_report([examples.result()])
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_can_be_read_aloud() -> None:
    page = Page(html_report([examples.result(), examples.result()], sections=[section()]))
    ids = [str(each["id"]) for _, each in page.elements if "id" in each]
    assert len(ids) == len(set(ids)) == 2 * 2 * 2
    drawings = [each for each in page.all("svg") if each.get("role") == "img"]
    assert [str(each["aria-labelledby"]).split() for each in drawings] == [
        ids[start : start + 2] for start in range(0, 8, 2)
    ]
    assert all(each.get("scope") in {"row", "col", "rowgroup"} for each in page.all("th"))
    assert all(each.get("alt") for each in page.all("img"))
    assert page.all("html") == [{"lang": "en"}]


def test_right_and_wrong_are_told_by_sign_and_word() -> None:
    page = Page(html_report([examples.result()], sections=[section()]))
    assert "✓ right" in page.text
    assert "✗ wrong" in page.text
    alts = [each["alt"] for each in page.all("img")]
    assert alts[2:] == ["Query: person 1", "Place 1, right: person 1", "Place 2, wrong: person 2"]


def test_names_are_text_and_nothing_else() -> None:
    hostile = examples.engine(HOSTILE, {1: 1.0, 2: 2.0}, reference=True, precision=HOSTILE, data_set=HOSTILE)
    result = examples.result(hostile, command=HOSTILE, cpu=HOSTILE)
    pictures = PictureSection(HOSTILE, HOSTILE, (InlinePicture(PIXEL, HOSTILE),))
    page = Page(html_report([result, result], title=HOSTILE, sections=[pictures]))
    assert page.all("script") == []
    assert page.text.count(HOSTILE) > 10
    assert page.all("img") == [{"src": PIXEL, "alt": HOSTILE}]


@pytest.mark.parametrize(
    "data", ["x.png", "https://example.org/x.png", "data:text/html;base64,AAAA", f'{PIXEL}" x="']
)
def test_pictures_from_elsewhere_are_refused(data: str) -> None:
    with pytest.raises(InputError, match="expected an image as data:image/png"):
        InlinePicture(data, "somebody")


def test_a_page_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one benchmark result"):
        html_report([])


def test_a_stored_result_gives_the_same_page_and_tables() -> None:
    result = examples.everything()
    stored = from_json(to_json(result))
    assert stored == result
    for show in (csv_table, markdown_table, text_table, lambda each: html_report([each])):
        assert show(stored) == show(result)


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


def test_without_jinja2_only_pages_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    code = """if True:
        import sys
        sys.modules["jinja2"] = None
        import bench_examples as examples
        from osnet_edge.bench import csv_table, text_table
        from osnet_edge.cli.main import main
        print(text_table(examples.result()), csv_table(examples.result()))
        sys.exit(main(["bench", sys.argv[1], "--report", "page.html"]))
    """
    path = {**os.environ, "PYTHONPATH": str(Path(examples.__file__).parent)}
    package = Path(examples.__file__).parent / "frozen/before/float32"
    command = [sys.executable, "-c", code, str(package)]
    ran = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True)
    assert "x0_25-int8" in ran.stdout
    assert (ran.returncode, ran.stderr.splitlines()) == (
        1,
        ["error: an HTML page needs Jinja2, which is not installed: pip install 'osnet-edge[report]'"],
    )
