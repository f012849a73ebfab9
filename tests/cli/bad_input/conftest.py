"""Every wrong input ends in one line that helps, exit code 2, and nothing written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bad_input.cases import Bench, Case, Refused
from osnet_edge.cli.main import main


@pytest.fixture
def bench(tmp_path: Path, checkpoint: Path, graph: Path, package: Path) -> Bench:
    folder = tmp_path / "given"
    folder.mkdir()
    return Bench(folder, checkpoint, graph, package)


@pytest.fixture
def refused(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Refused:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def hold(case: Case) -> None:
        _, arguments, message = case
        given = arguments(bench)
        before = {path: path.stat().st_size for path in bench.folder.rglob("*")}
        assert main(given) == 2
        out, err = capfd.readouterr()
        lines = [line for line in err.splitlines() if not re.match(r"  .* \.\.\.$", line)]
        assert out == ""
        assert len(lines) == 1, err
        assert lines[0].startswith("error: ")
        assert message in lines[0]
        assert list(work.iterdir()) == []
        assert {path: path.stat().st_size for path in bench.folder.rglob("*")} == before

    return hold
