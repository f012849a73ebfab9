"""What `scripts/run_ship.py` would pass over in docs/SHIP.md; itself it needs root and minutes."""

from __future__ import annotations

import pytest
from run_ship import DOCUMENT, refuse_unknown

TEXT = DOCUMENT.read_text(encoding="utf-8")


def test_all_that_is_indented_in_the_document_is_run_or_used() -> None:
    refuse_unknown(TEXT)


@pytest.mark.parametrize(
    ("sentence", "block"),
    [
        ("a machine that there is not", "    gateway$ osnet-edge device status\n"),
        ("a program of another kind without a prompt", "    ls fleet\n"),
        ("text before a command", "    first\n    $ osnet-edge rollout --repo fleet\n"),
    ],
)
def test_what_would_be_passed_over_is_refused(sentence: str, block: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        refuse_unknown(f"{TEXT}\n\nMore:\n\n{block}")
