"""Sets, recipes, weights and options that `train` refuses."""

from __future__ import annotations

from pathlib import Path

from bad_input.cases import Bench, Case, Refused, each, people


def street_of(bench: Bench, where: str) -> Path:
    """A set of one person to look for, in a folder called street."""
    picture = Path(bench.picture()).read_bytes()
    bench.folder_of(**{f"{where}/street/query": {"0001_c1s1_1_00.png": picture}})
    bench.folder_of(**{f"{where}/street/bounding_box_test": {"0001_c2s1_1_00.png": picture}})
    return bench.folder / "set" / where / "street"


def trained(bench: Bench, *options: str, output: str = "run") -> list[str]:
    small = ["--size", "64x32", "--set", "batches.size=2", "--workers", "0"]
    return ["train", "quick", "--data", people(bench), "-o", output, *small, *options]


@each(
    (
        "nothing to train on",
        lambda b: ["train", "quick", "--data", str(b.folder), "-o", "run"],
        "is no re-ID set that is known by its folders",
    ),
    (
        "a table that names a missing image",
        lambda b: ["train", "quick", "--data", b.file(b"path,identity\nno.jpg,1\n", "x.csv"), "-o", "run"],
        "found none there",
    ),
    (
        "sources with a name missing",
        lambda b: ["train", "quick", "--data", "market1501,,msmt17", "-o", "run"],
        "expected sets such as market1501,msmt17",
    ),
)
def test_sets_to_learn_from(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "a recipe that there is not",
        lambda b: ["train", "slow", "--data", str(b.folder), "-o", "run"],
        "there is no recipe 'slow'; give a .toml file or one of adapt",
    ),
    (
        "a recipe that is no TOML",
        lambda b: ["train", b.file(b"[batches", "x.toml"), "--data", str(b.folder), "-o", "run"],
        "is not TOML",
    ),
    (
        "a recipe that starts from weights, without any",
        lambda b: ["train", "adapt", "--data", people(b), "-o", "run"],
        "expected --weights with this recipe, which goes on from a trained network",
    ),
    (
        "a fit of no epoch",
        lambda b: ["train", "quick", "--data", str(b.folder), "-o", "run", "--epochs", "0"],
        "expected epochs of 1 or more",
    ),
    (
        "a seed below zero",
        lambda b: ["train", "quick", "--data", str(b.folder), "-o", "run", "--seed", "-1"],
        "expected a seed",
    ),
    (
        "a rate that is no number",
        lambda b: trained(b, "--set", "optimizer.learning_rate=nan"),
        "learning_rate: expected a finite number",
    ),
    (
        "a field of a recipe that there is not",
        lambda b: trained(b, "--set", "optimizer.rate=1"),
        "unknown field 'rate'",
    ),
    (
        "a value of a recipe nested without end",
        lambda b: trained(b, "--set", "schedule.milestones=" + "[" * 5_000),
        "milestones: expected a list",
    ),
    (
        "a recipe nested without end",
        lambda b: ["train", b.file(b"a = " + b"[" * 5_000, "x.toml"), "--data", str(b.folder), "-o", "run"],
        "is not TOML",
    ),
)
def test_recipes(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "weights of another network than the one to train",
        lambda b: trained(b, "--weights", str(b.checkpoint), "--arch", "osnet_x1_0"),
        "expected weights of osnet_x1_0, got osnet_x0_25",
    ),
    (
        "weights that are not there",
        lambda b: trained(b, "--weights", "none.pth"),
        "found nothing at none.pth",
    ),
    (
        "a network of no file",
        lambda b: trained(b, "--weights-key", "ema"),
        "expected --weights with --weights-key",
    ),
    (
        "a placement that is none",
        lambda b: trained(b, "--placement", b.file(b"{}", "p.json")),
        "is no placement file",
    ),
)
def test_weights_and_placements(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "two test sets of one name",
        lambda b: trained(b, "--test", f"{street_of(b, 'a')},{street_of(b, 'b')}"),
        "expected --test sets of different names, since scores go by them, got two of 'street'",
    ),
    ("a test set that is not there", lambda b: trained(b, "--test", "nowhere"), "nowhere"),
    (
        "scores every no epoch",
        lambda b: trained(b, "--test", "nowhere", "--test-every", "0"),
        "expected --test-every of 1 epoch",
    ),
)
def test_sets_to_test_on(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("no run to resume", lambda b: trained(b, "--resume"), "found no last.ckpt there"),
    (
        "a run folder that is taken",
        lambda b: trained(b, output=str(b.folder)),
        "is already there and holds other things (0001_c1s1_000001_00.png)",
    ),
    (
        "a run folder in a file",
        lambda b: trained(b, output=f"{b.folder}/0001_c1s1_000001_00.png/run"),
        "found a file at",
    ),
    ("a negative number of workers", lambda b: trained(b, "--workers", "-1"), "expected 0 to 256 workers"),
)
def test_runs(case: Case, refused: Refused) -> None:
    refused(case)
