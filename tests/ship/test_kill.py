"""An update that is cut short at any instant: enumerated, see kill_points.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from fleet import Web, make_camera, tiny_package, update


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        # A process that is killed as its engine fails on trial, and goes back.
        ("kill", "bad"),
        # A power cut that loses everything that was not synced.
        ("lost", "good"),
    ],
)
def test_a_kill_at_any_instant_leaves_an_engine_that_loads_and_a_restart_that_ends_well(
    mode: str, outcome: str, web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = web.fleet(f"kill-{mode}-{outcome}")
    fleet.publish("r1", tiny_package(1))
    camera = make_camera(tmp_path / "camera", fleet)
    assert update(camera).what == "installed"
    fleet.publish("r2", tiny_package(2))
    script = Path(__file__).parents[1] / "kill_points.py"
    # In memory where there is such a disk: thousands of renames take half a minute on another.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch:
        command = [sys.executable, str(script), str(camera.root), scratch, mode, outcome]
        ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    with capsys.disabled():
        print(f" [{result['points']} kill points, {mode}, {outcome} engine]", end="")
    assert result["problems"] == {}
    # Fewer would mean that the harness has come loose from what the agent calls.
    assert result["points"] > 60
