"""Checkpoints, sets and options that `eval` refuses."""

from __future__ import annotations

from collections.abc import Callable

from bad_input.cases import (
    GALLERY,
    Arguments,
    Bench,
    Case,
    Refused,
    each,
    good_checkpoint,
)


def evaluated(
    checkpoint: Callable[[Bench], str], data: str | Callable[[Bench], str] = "x", *options: str
) -> Arguments:
    def arguments(bench: Bench) -> list[str]:
        given = data if isinstance(data, str) else data(bench)
        return ["eval", checkpoint(bench), "--data", given, "--threads", "1", *options]

    return arguments


def scored(bench: Bench) -> str:
    """A set that could be scored."""
    return bench.folder_of(query={"0001_c1s1_000001_00.jpg": b"x"}, **GALLERY)


@each(
    ("an evaluation of nothing", lambda b: ["eval", "--data", "x"], "Missing argument 'CHECKPOINTS...'"),
    (
        "a folder for a checkpoint",
        evaluated(lambda b: str(b.folder), scored),
        "is a folder; name the .pth in it",
    ),
    ("text for a checkpoint", evaluated(lambda b: b.file(b"hello"), scored), "is no torch checkpoint"),
    (
        "one checkpoint twice",
        lambda b: ["eval", good_checkpoint(b), good_checkpoint(b), "--data", "x"],
        "expected checkpoints of different file names",
    ),
)
def test_checkpoints(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("an evaluation on nothing", lambda b: ["eval", good_checkpoint(b)], "Missing option '--data'"),
    ("a test set nobody has", evaluated(good_checkpoint, "nowhere"), "found nothing called nowhere"),
    ("a test set without a name", evaluated(good_checkpoint, "a,,b"), "expected sets such as"),
    ("no queries", evaluated(good_checkpoint, lambda b: b.folder_of(**GALLERY)), "but no query/"),
    (
        "people that nobody looks for",
        evaluated(good_checkpoint, lambda b: b.folder_of(query={"0002_c1s1_000001_00.jpg": b"x"}, **GALLERY)),
        "to have its identity in the gallery under another camera, but none of 1 has",
    ),
    (
        "pictures of one camera",
        evaluated(good_checkpoint, lambda b: b.folder_of(query={"0001_c2s1_000001_00.jpg": b"x"}, **GALLERY)),
        "expected images of 2 cameras or more in set, but all are of camera 2",
    ),
    (
        "a test image that is text",
        evaluated(good_checkpoint, lambda b: b.folder_of(query={"0001_c1s1_000001_00.jpg": b"x"}, **GALLERY)),
        "is no image that Pillow can read",
    ),
    (
        "one set twice",
        evaluated(
            good_checkpoint,
            lambda b: ",".join(
                [b.folder_of(query={"0001_c1s1_000001_00.jpg": b"x"}, **GALLERY), f"{b.folder}/set"]
            ),
        ),
        "got set twice",
    ),
)
def test_sets(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("a distance nobody knows", evaluated(good_checkpoint, "x", "--distance", "l1"), "'l1' is not one of"),
    ("no image to look at", evaluated(good_checkpoint, "x", "--queries", "0"), "--queries from 1 to 200"),
    ("a batch of no image", evaluated(good_checkpoint, "x", "--batch", "0"), "--batch from 1 to 1024"),
    (
        "scoring without a thread",
        evaluated(good_checkpoint, "x", "--threads", "0"),
        "expected --threads of 1",
    ),
    ("an input of no size", evaluated(good_checkpoint, "x", "--size", "1x1"), "32 to 4096 pixels"),
)
def test_numbers(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "a page over a checkpoint",
        lambda b: ["eval", good_checkpoint(b), "--data", "x", "--pictures", good_checkpoint(b)],
        "to replace, found a zip archive",
    ),
    (
        "a page of another name, over a checkpoint by all means",
        lambda b: [
            *("eval", good_checkpoint(b), "--data", "x"),
            *("--pictures", good_checkpoint(b), "--force"),
        ],
        "a file ending in .html",
    ),
    (
        "a page in a folder that is not there",
        evaluated(good_checkpoint, "x", "--pictures", "none/page.html"),
        "the folder none does not exist",
    ),
)
def test_outputs(case: Case, refused: Refused) -> None:
    refused(case)
