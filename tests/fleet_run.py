"""A fleet of simulated cameras, each with a store of its own, against one nginx.

    python tests/fleet_run.py --cameras 1000 --real 20

prints how long a release took to reach every camera, bytes a camera, memory; who took a share of 25 % and of
50 %; and what became of a bad release at 10 %. A simulated camera is the agent itself, in a thread, with its
store in memory where there is such a disk; a real one is `osnet-edge device update` in a process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from fleet import FACTS, Fleet, make_camera, make_fleet, tiny_package, verify_here
from web_server import nginx

from osnet_edge.runtime.package.folder import open_package
from osnet_edge.ship.channel import Rollout
from osnet_edge.ship.device.agent import Agent
from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.rollout import bucket
from osnet_edge.ship.device.store import Store

BAD = "seed-3"
_WORKERS, _THREADS = 2, 4


@dataclass(frozen=True)
class Round:
    """One look of every camera at the repository.

    Attributes:
        seconds: until the last was done.
        events: what happened, by camera.
        bytes: that nginx sent.
        peak_mb: resident memory of the largest worker.
    """

    seconds: float
    events: dict[str, str]
    bytes: int
    peak_mb: float

    def who(self, event: str) -> set[str]:
        """The cameras to which something happened."""
        return {name for name, each in self.events.items() if each == event}


def judge(health: Health, package: Path, seconds: float) -> None:
    """What a program on the camera would find out about the bad release."""
    if open_package(package).model.checkpoint == BAD:
        raise RefusedError("health", "boxes flicker")


def _look(folder: str) -> tuple[str, str]:
    store = Store(Path(folder))
    event = Agent(store, verify=verify_here, facts=FACTS, watcher=judge).update()
    return store.root.name, event.what if event.what != "refused" else f"refused: {event.why}"


def _work(folders: Sequence[str]) -> tuple[list[tuple[str, str]], float]:
    with ThreadPoolExecutor(_THREADS) as pool:
        events = list(pool.map(_look, folders))
    return events, _high_water(os.getpid()) / 1e3


def look(pool: Pool, cameras: Sequence[Store], log: Path) -> Round:
    """Let every camera update, as many at once as there are threads."""
    sent = log.stat().st_size if log.exists() else 0
    shares = [[str(camera.root) for camera in cameras[at::_WORKERS]] for at in range(_WORKERS)]
    started = time.monotonic()
    results = pool.map(_work, shares, chunksize=1)
    seconds = time.monotonic() - started
    with log.open() as lines:
        lines.seek(sent)
        total = sum(int(line.split('" ')[1].split()[1]) for line in lines)
    events = dict(event for part, _ in results for event in part)
    return Round(seconds, events, total, max(peak for _, peak in results))


def releases_of(cameras: Sequence[Store]) -> Counter[str]:
    """Count the cameras by the release that serves on them."""
    return Counter(
        state.slots[camera.active() or ""].release for camera in cameras if (state := camera.read_state())
    )


def run(folder: Path, fleet: Fleet, log: Path, count: int) -> dict[str, Any]:
    """Take a fleet through a release, a staged one, and a bad one, by workers that are started once.

    Raises:
        AssertionError: a camera ended elsewhere than it should have.
    """
    with multiprocessing.get_context("spawn").Pool(_WORKERS) as pool:
        return _run(pool, folder, fleet, log, count)


def _run(pool: Pool, folder: Path, fleet: Fleet, log: Path, count: int) -> dict[str, Any]:
    cameras = [
        make_camera(folder / f"camera-{at:04}", fleet, device=f"camera-{at:04}") for at in range(count)
    ]
    names = [camera.root.name for camera in cameras]
    result: dict[str, Any] = {"cameras": count}

    fleet.publish("r1", tiny_package(1))
    first = look(pool, cameras, log)
    assert first.who("installed") == set(names), Counter(first.events.values())
    result["first release"] = {
        "seconds": round(first.seconds, 1),
        "bytes a camera": first.bytes // count,
        "worker peak MB": round(first.peak_mb),
    }
    idle = look(pool, cameras, log)
    assert idle.who("current") == set(names)
    result["nothing new"] = {"seconds": round(idle.seconds, 1), "bytes a camera": idle.bytes // count}

    fleet.publish("r2", tiny_package(2), rollout=Rollout(share=25))
    shares = {}
    took: set[str] = set()
    for share in (25, 50):
        fleet.decide("r2", share=share)
        took |= look(pool, cameras, log).who("installed")
        assert took == {name for name in names if bucket(name, "r2") < share}
        shares[share] = round(100 * len(took) / count, 1)
    result["shares, asked and found"] = shares

    before = releases_of(cameras)
    fleet.publish("r3", tiny_package(3), rollout=Rollout(share=10))
    tried = look(pool, cameras, log)
    meant = {name for name in names if bucket(name, "r3") < 10}
    assert tried.who("returned") == meant
    assert releases_of(cameras) == before
    assert {c.root.name for c in cameras if any(b.release == "r3" for b in c.read_state().bad)} == meant
    # Nobody tries it again.
    assert not look(pool, cameras, log).who("returned")
    result["bad release at 10 %"] = {
        "took it": len(meant),
        "share": round(100 * len(meant) / count, 1),
        "went back": len(tried.who("returned")),
    }
    return result


def run_real(folder: Path, fleet: Fleet, package: Path, count: int, looks: int = 11) -> dict[str, Any]:
    """Publish to real processes; measure until the last has proven it, their memory, and a cold status."""
    cameras = [make_camera(folder / f"real-{at:02}", fleet, device=f"real-{at:02}") for at in range(count)]
    command = [str(Path(sys.executable).with_name("osnet-edge")), "device"]
    started = time.monotonic()
    fleet.publish("real", package)
    agents = [
        subprocess.Popen(
            [*command, "update", "--store", str(camera.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for camera in cameras
    ]
    peak = 0
    while any(agent.poll() is None for agent in agents):
        peak = max(peak, *(_high_water(agent.pid) for agent in agents))
        time.sleep(0.02)
    seconds = time.monotonic() - started
    assert all(agent.returncode == 0 for agent in agents), [agent.communicate() for agent in agents]
    assert set(releases_of(cameras)) == {"real"}
    cold = []
    for _ in range(looks):
        began = time.monotonic()
        subprocess.run(
            [*command, "status", "--store", str(cameras[0].root)], check=True, stdout=subprocess.DEVNULL
        )
        cold.append(time.monotonic() - began)
    return {
        "cameras": count,
        "publish to the last proven, s": round(seconds, 1),
        "agent's peak MB": round(peak / 1e3, 1),
        "cold status, s": {"median": round(statistics.median(cold), 2), "least": round(min(cold), 2)},
    }


def _high_water(process: int) -> int:
    """Return the most kilobytes that a process had resident so far."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--real", type=int, default=20)
    parser.add_argument("--package", type=Path, help="for the real ones; default: a tiny one")
    given = parser.parse_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as place:
        folder = Path(place)
        fleets = [make_fleet(folder / name) for name in ("simulated", "processes")]
        with nginx(folder, folder / "nginx") as url:
            for fleet in fleets:
                fleet.url = f"{url}/{fleet.folder.name}"
            log = folder / "nginx" / "access.log"
            print(json.dumps(run(folder, fleets[0], log, given.cameras), indent=2), flush=True)
            package = given.package or tiny_package(1)
            print(json.dumps(run_real(folder, fleets[1], package, given.real), indent=2))


if __name__ == "__main__":
    main()
