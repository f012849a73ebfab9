"""A small fleet end to end: see fleet_run.py, which is run by hand with 1,000 cameras."""

from __future__ import annotations

from pathlib import Path

from fleet import make_fleet, tiny_package
from fleet_run import run, run_real
from web_server import nginx


def test_a_fleet_takes_what_is_meant_for_it_and_gives_back_what_is_bad(tmp_path: Path) -> None:
    # An nginx of its own, for its log.
    with nginx(tmp_path, tmp_path / "nginx") as url:
        fleet, processes = (make_fleet(tmp_path / name) for name in ("simulated", "processes"))
        fleet.url, processes.url = f"{url}/simulated", f"{url}/processes"
        result = run(tmp_path, fleet, tmp_path / "nginx" / "access.log", 30)
        assert result["bad release at 10 %"]["went back"] == result["bad release at 10 %"]["took it"] > 0
        # What nobody has yet is downloaded once a camera, and no more.
        assert result["nothing new"]["bytes a camera"] < 3000
        real = run_real(tmp_path, processes, tiny_package(1), 2, looks=1)
        assert 0 < real["agent's peak MB"] < 80
