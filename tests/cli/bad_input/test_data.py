"""Sets, and options, that `data check` and `data synthesize` refuse."""

from __future__ import annotations

from bad_input.cases import GALLERY, Arguments, Case, Refused, each


def video(*options: str) -> Arguments:
    return lambda b: ["data", "synthesize", "-o", "out", "--video", *options]


@each(
    (
        "a set to check that is nowhere",
        lambda b: ["data", "check", "nowhere"],
        "found nothing called nowhere",
    ),
    ("nothing to check", lambda b: ["data", "check"], "Missing argument 'SET'"),
    ("a folder of no layout", lambda b: ["data", "check", str(b.folder)], "known by its folders"),
    ("an archive for a set", lambda b: ["data", "check", b.file(b"PK", "set.zip")], "unpack an archive"),
    (
        "another layout than was named",
        lambda b: ["data", "check", f"msmt17={b.folder}"],
        "expected msmt17 with list_*.txt",
    ),
    (
        "a split too far",
        lambda b: ["data", "check", b.folder_of(query={"0001_c1.jpg": b"x"}, **GALLERY), "--split", "1"],
        "from 0 to 0, got 1",
    ),
    (
        "a list of MSMT17 that is none",
        lambda b: ["data", "check", b.folder_of(train={}, test={}, **{".": {"list_train.txt": b"x"}})],
        "such as 0000/0000_000_01",
    ),
)
def test_sets_to_check(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("an empty table", lambda b: ["data", "check", b.file(b"", "x.csv")], "is empty; its first line must be"),
    (
        "a table without a column",
        lambda b: ["data", "check", b.file(b"path,camera\na.jpg,1\n", "x.csv")],
        "identity cannot be left out",
    ),
    (
        "a table with a split nobody knows",
        lambda b: ["data", "check", b.file(b"path,identity,camera,split\nx.csv,1,1,val\n", "x.csv")],
        "got 'val' in line 2",
    ),
    (
        "a pattern without an identity",
        lambda b: ["data", "check", f"{b.folder}::*.jpg"],
        "with {identity} and perhaps",
    ),
    (
        "a pattern that nothing fits",
        lambda b: ["data", "check", f"{b.folder_of(a={'x.jpg': b''})}::{{identity}}_{{camera}}.jpg"],
        "the first is a/x.jpg",
    ),
)
def test_tables_and_patterns(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "a sheet of another kind",
        lambda b: ["data", "check", str(b.folder), "--sheet", "x.pdf"],
        "ending in .png, got x.pdf",
    ),
)
def test_sheets(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "a style nobody knows",
        lambda b: ["data", "synthesize", "-o", "out", "--style", "noir"],
        "expected a style of plain, dusk",
    ),
    (
        "cameras without end",
        lambda b: ["data", "synthesize", "-o", "out", "--cameras", "9" * 9],
        "at most 100",
    ),
    (
        "a frame that no file holds",
        lambda b: ["data", "synthesize", "-o", "out", "--frames", "1", "--frame-size", "120x99999"],
        "at most 8192",
    ),
    ("a set of one camera", lambda b: ["data", "synthesize", "-o", "out", "--cameras", "1"], "camera"),
    (
        "less than no frames",
        lambda b: ["data", "synthesize", "-o", "out", "--frames", "-1"],
        "expected --frames",
    ),
    ("frames and a video", video("--frames", "2"), "expected --frames or --video, got both"),
    ("a video of no second", video("--seconds", "0"), "expected seconds for 1 to 1,000,000 frames"),
    ("a video without end", video("--seconds", "inf"), "expected seconds for 1 to 1,000,000 frames"),
    ("a video of no frame a second", video("--rate", "0"), "expected a rate above 0"),
    ("a video as fast as no camera", video("--rate", "101"), "at most 100 frames a second, got 101"),
    ("a video too small to see anybody", video("--frame-size", "100x160"), "at least 120, got 100"),
    ("a video of nobody", video("--people", "0"), "expected people to be a whole number of at least 1"),
    ("a crowd past telling apart", video("--people", "201"), "at most 200 people"),
    ("a video by no camera", video("--cameras", "0"), "expected cameras"),
    ("a video in a style nobody knows", video("--style", "noir"), "expected a style of plain, dusk"),
)
def test_sets_to_draw(case: Case, refused: Refused) -> None:
    refused(case)
