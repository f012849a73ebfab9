"""Every script says what it is for, and runs nothing until it is asked to."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
RUN = [path.name for path in sorted(SCRIPTS.glob("*.py")) if "__main__" in path.read_text()]


@pytest.mark.parametrize("name", RUN)
def test_help_is_shown_and_nothing_is_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    assert not ended.value.code
    shown = capfd.readouterr()
    assert shown.out.lower().startswith("usage: ")
    assert "--help" in shown.out
    assert shown.err == ""
    assert os.listdir() == []
