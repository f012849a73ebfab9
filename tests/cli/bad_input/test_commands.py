"""What other commands refuse, a command that there is not, and how many cases there are in all."""

from __future__ import annotations

import importlib
from pathlib import Path

from bad_input.cases import Case, Refused, each


@each(
    (
        "a demo over a folder of something else",
        lambda b: ["demo", "--force", "-o", str(b.folder)],
        "was not made by a demo",
    ),
    ("a command nobody knows", lambda b: ["compile"], "there is no command"),
)
def test_other_commands(case: Case, refused: Refused) -> None:
    refused(case)


def test_there_are_at_least_fifty_cases() -> None:
    names = [f"bad_input.{file.stem}" for file in Path(__file__).parent.glob("test_*.py")]
    tests = [test for name in names for test in vars(importlib.import_module(name)).values()]
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", ()) if mark.args[0] == "case"]
    assert len({case.id for mark in marks for case in mark.args[1]}) >= 50
