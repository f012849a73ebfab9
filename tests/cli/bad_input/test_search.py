"""Sets and options that `search` refuses."""

from __future__ import annotations

from bad_input.cases import Arguments, Case, Refused, each, people


def searched(*options: str) -> Arguments:
    return lambda b: ["search", "--data", people(b), "-o", "out", "--batch", "2", *options]


@each(
    (
        "nothing to search on",
        lambda b: ["search", "--data", str(b.folder), "-o", "x"],
        "known by its folders",
    ),
    ("a search of no set", lambda b: ["search", "-o", "x"], "Missing option '--data'"),
    ("a search in a batch past the set", searched("--batch", "99"), "ask for a smaller batch"),
)
def test_sets(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("a search of no epoch", searched("--epochs", "0"), "expected epochs and a rate above 0"),
    ("a search of no rate", searched("--learning-rate", "inf"), "a rate above 0"),
    ("a search whose shares stand still", searched("--share-rate", "0"), "a rate above 0 for the shares"),
    ("a search in a batch of one", searched("--batch", "1"), "a batch of 2 or more"),
    ("a search at no temperature", searched("--temperature", "nan"), "expected temperatures above 0"),
    ("a temperature that rises", searched("--lowest", "20"), "the lowest no higher than the first"),
    ("halvings before now", searched("--halve-every", "-1"), "halvings 1 epoch apart or more"),
    ("a search with less than no workers", searched("--workers", "-1"), "0 to 256 workers"),
    ("a search with a seed below zero", searched("--seed", "-1"), "expected a seed"),
)
def test_numbers(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("a search at a width nobody knows", searched("--width", "x2_0"), "expected a width of x1_0"),
    ("a search at a size of no image", searched("--size", "8x8"), "32 to 4096 pixels a side"),
    ("a search on a device nobody knows", searched("--device", "tpu"), "'tpu' is not one of"),
)
def test_networks_and_devices(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "a search into a folder that is there",
        lambda b: ["search", "--data", people(b), "-o", str(b.folder), "--batch", "2"],
        "is already there",
    ),
)
def test_outputs(case: Case, refused: Refused) -> None:
    refused(case)
