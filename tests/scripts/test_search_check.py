"""The check that the search searches, small: that it runs, resumes and says what it found."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from search_check import RESULTS, main

SMALL = ["0", "--people", "4", "--random", "1", "--search-epochs", "1", "--epochs", "1"]


def test_the_check_runs_resumes_and_tells_the_found_from_the_random(tmp_path: Path) -> None:
    folder = tmp_path / "check"
    first = CliRunner().invoke(main, [str(folder), *SMALL], catch_exceptions=False)
    assert first.exit_code == 0
    assert first.stdout.startswith("seed 0: found s")
    assert "siipiip" in first.stdout
    assert "of 1 beaten" in first.stdout
    results = (folder / RESULTS).read_text().splitlines()
    # A search cut short: one network is missing, and only that is trained again, to the same score.
    (folder / RESULTS).write_text("\n".join(results[:-1]) + "\n")
    again = CliRunner().invoke(main, [str(folder), *SMALL], catch_exceptions=False)
    assert again.stdout == first.stdout
    assert again.stderr.count("training") == 1
    assert (folder / RESULTS).read_text().splitlines() == results
