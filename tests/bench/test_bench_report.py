"""The page: whole in itself, readable in both schemes, and unable to run what a name contains."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree

import bench_examples as examples
import pytest

from osnet_edge.bench import InlinePicture, PictureSection, Ranking, html_report, summary
from osnet_edge.bench.report import figures
from osnet_edge.bench.report.figures import Series, named
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
    assert "url(" not in figures.STYLE
    assert "@import" not in figures.STYLE


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


def test_drawings_are_well_formed_and_within_their_frame() -> None:
    page = html_report([examples.result()])
    drawings = re.findall(r'<svg viewBox="0 0 420 300".*?</svg>', page)
    assert len(drawings) == 2
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        for mark in root.iter("path"):
            place = re.fullmatch(r"translate\((\S+) (\S+)\)", mark.get("transform", "translate(1 1)"))
            assert place is not None
            assert 0 <= float(place[1]) <= 420
            assert 0 <= float(place[2]) <= 300


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
    page = Page(html_report([examples.result(*engines)]))
    assert len([each for each in page.all("svg") if each.get("role") == "img"]) == drawings


def test_a_name_covers_a_line_only_where_there_is_no_other_room() -> None:
    point = [((200.0, 150.0), Series("engine", 0, ((1, 1),)))]
    right, left = ('class="start tag c0" x="211.0"', 'class="end tag c0" x="189.0"')
    assert right in named(point)[0]
    assert left in named(point, [((200.0, 150.0), (400.0, 150.0))])[0]
    # Lines on all sides: then the first place is as good as any.
    around = [((x, 0.0), (x, 300.0)) for x in range(100, 300, 10)]
    assert right in named(point, around)[0]


@pytest.mark.parametrize(
    "data", ["x.png", "https://example.org/x.png", "data:text/html;base64,AAAA", f'{PIXEL}" x="']
)
def test_pictures_from_elsewhere_are_refused(data: str) -> None:
    with pytest.raises(InputError, match="expected a picture as data:image/png"):
        InlinePicture(data, "somebody")


def test_a_page_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one benchmark result"):
        html_report([])


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_stands_out(scheme: int) -> None:
    """WCAG 2.1, 1.4.3: at least 4.5:1; names in charts wear the colours of the series."""
    block = re.findall(r":root\{(.*?)\}", figures.STYLE, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w]+):(#[0-9a-f]+)", block))
    for text in ("ink", "soft", "right", "wrong", *(f"c{slot}" for slot in range(6))):
        for ground in ("card", "ground") if text in ("ink", "soft") else ("card",):
            light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
