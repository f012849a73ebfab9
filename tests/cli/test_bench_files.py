"""`osnet-edge bench diff` and `bench merge`: what they refuse, in a line."""

from __future__ import annotations

from pathlib import Path

import bench_examples as examples
import pytest

from osnet_edge.bench import to_json
from osnet_edge.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "nothing.json", "nothing.json"], "found nothing at nothing.json"),
        (["diff", "R", "R", "--fail-over", "5"], "a share such as 5%"),
        (["diff", "R", "R", "--fail-over", "x%"], "a share such as 5%"),
        (["diff", "R"], "Missing argument 'NEW'"),
        (["merge"], "Missing argument 'RESULTS...'"),
        (["merge", "R", "--budget", "-1"], "points of mAP"),
        (["merge", "BAD", "-o", "x.html"], "BAD: expected a benchmark result in JSON"),
        (["merge", "BYTES", "-o", "x.html"], "is no text"),
        (["merge", "R", "-o", "none/x.html"], "none"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("R").write_text(to_json(examples.result()))
    Path("BAD").write_text("{")
    Path("BYTES").write_bytes(b"\xff\xfe\x00")
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
