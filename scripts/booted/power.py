"""Power cuts during updates: at which moments, and what is there when the camera boots again."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from booted.machine import BEAT, SERVER, STORE, Cache, Machine
from booted.releases import Releases
from booted.steps import TIMER, UNITS, turn_soon
from osnet_edge.cli.progress import say
from osnet_edge.runtime.errors import CheckError

#: Between two releases; more restarts than `most_resumes` in one trial are taken for a crash loop.
_CUTS_A_RELEASE = 3
_SERVES_S, _CONVERGES_S, _WINDOW_S = 180.0, 400.0, 8
#: Seconds after an archive was sent, within which it is unpacked, proven, switched to and watched.
_AFTER_S = 60.0
#: The share of boots after a cut that are held to serving, besides the last of each release.
_LOOKED_AT = 0.5
#: A cut falls after one of these was answered, or so many seconds after the machine was switched on.
_REQUESTS = ("timestamp.json", "snapshot.json", "targets.json", ".tar")


@dataclass
class Cuts:
    """What came of them.

    Attributes:
        cache: how the emulator treated writes.
        boots: in all, and
        cuts: of them.
        moments: by what the cut came after, and by what the journal then said.
        serving_s: from each boot until frames were embedded.
        wrong: what did not hold.
    """

    cache: Cache
    boots: int = 0
    cuts: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    serving_s: list[float] = field(default_factory=list)
    converged: int = 0
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return them in lines."""
        times = sorted(self.serving_s) or [0.0]
        return "\n".join(
            [
                f"cache {self.cache}: {self.boots} boots, {self.cuts} cuts, {self.converged} updates",
                f"  cut after: {_counted(self.moments)}",
                f"  the journal at the next boot: {_counted(self.left)}",
                f"  frames embedded after power on, s: {times[0]:.0f} to {times[-1]:.0f}, "
                f"median {times[len(times) // 2]:.0f}",
                f"  without a serving engine, or not converged: {len(self.wrong)}",
                *(f"  {each}" for each in self.wrong),
            ]
        )


def cut_power(machine: Machine, releases: Releases, cuts: Cuts, wanted: int, rng: random.Random) -> None:
    """Set a camera up, then update it again and again, with cuts in each update.

    Args:
        machine: switched off, with a new disk.
        releases: served; releases are published as they are needed.
        cuts: takes what comes of them.
        wanted: how many cuts.
        rng: draws the moments.
    """
    _set_up(machine, releases)
    number = 1
    while cuts.cuts < wanted:
        number += 1
        releases.publish(f"r{number}", ("good-a", "good-b")[number % 2])
        try:
            _update(machine, releases, cuts, f"r{number}", min(_CUTS_A_RELEASE, wanted - cuts.cuts), rng)
        except CheckError as error:
            cuts.wrong.append(f"r{number}, after {cuts.cuts} cuts: {error}")
            break
        finally:
            cuts.boots = machine.boots
        say(cuts.text())
        machine.shut_down()
        releases.drop(f"r{number - 1}")


def _update(
    machine: Machine, releases: Releases, cuts: Cuts, release: str, wanted: int, rng: random.Random
) -> None:
    """Cut the power in an update so many times; then let it come to its end."""
    for _ in range(wanted):
        _cut(machine, releases, cuts, rng)
    _boot(machine, cuts)
    machine.wait(lambda: _has(machine, release), _CONVERGES_S, f"{release} to be installed")
    _whole(machine)
    cuts.converged += 1


def _set_up(machine: Machine, releases: Releases) -> None:
    """Boot, init, and install a first release."""
    releases.publish("r1", "good-b")
    machine.start()
    machine.wait_up()
    machine.send(releases.root, "/root/1.root.json")
    health = f"--heartbeat {BEAT} --window {_WINDOW_S} --interval 2 --reserve-mb 8 --prove-s 600"
    machine.must(
        f"osnet-edge device init --url {SERVER} --root /root/1.root.json --device cam-7 {health} "
        f"--systemd {UNITS} && {turn_soon(3)} && "
        f"systemctl daemon-reload && systemctl enable --now camera.service {TIMER}"
    )
    machine.wait(lambda: _has(machine, "r1"), _CONVERGES_S, "r1 to be installed")
    machine.shut_down()


def _boot(machine: Machine, cuts: Cuts) -> None:
    """Boot after a cut, and hold the camera to serving within its time."""
    machine.start()
    machine.wait_up()
    cuts.serving_s.append(machine.wait_serving(_SERVES_S))
    cuts.left[_left(machine)] += 1


def _cut(machine: Machine, releases: Releases, cuts: Cuts, rng: random.Random) -> None:
    """Boot, wait for a drawn moment of the update that the timer begins, and cut the power."""
    asked = len(releases.asked())
    after = rng.choice(("boot", *_REQUESTS, ".tar", ".tar", ".tar", ".tar"))
    if rng.random() < _LOOKED_AT:
        # Looking takes a processor that emulation has little of, so that not each boot is looked at.
        _boot(machine, cuts)
    else:
        machine.start()
    moment, until = "booting or looking", time.monotonic() + 90
    if after == "boot":
        time.sleep(rng.uniform(1, 25))
    else:
        while time.monotonic() < until:
            if any(path.endswith(after) for path in releases.asked()[asked:]):
                moment = f"{after.removeprefix('.')} was sent"
                time.sleep(rng.uniform(0, _AFTER_S if after == ".tar" else 3))
                break
            time.sleep(0.1)
    machine.cut_power()
    cuts.cuts += 1
    cuts.moments[moment] += 1


def _left(machine: Machine) -> str:
    """Say what the last cut left in the store, by what was kept of it when the machine booted."""
    state, _, files = machine.run(
        "cat /run/at-boot/state.json; printf '\\0'; cat /run/at-boot/files"
    ).stdout.partition("\0")
    try:
        trial = (json.loads(state).get("trial") or {}).get("phase")
    except ValueError:
        return "no journal that can be read"
    if trial:
        return f"a trial, {trial}"
    return "a part of an archive" if ".tar" in files else "nothing begun"


def _has(machine: Machine, release: str) -> bool:
    seen = machine.look()
    return seen.release == release and not seen.state.get("trial") and seen.what in ("installed", "current")


def _whole(machine: Machine) -> None:
    """Hold every slot's files to their sums, and the disk to what ext4 says of it."""
    code = (
        "from pathlib import Path; from osnet_edge.ship.device.store import Store; "
        f"s = Store(Path('{STORE}')); print([n for n in s.read_state().slots if not s.is_whole(n)])"
    )
    if (torn := machine.must(f'python -c "{code}"')) != "[]":
        raise CheckError(f"expected whole slots, these are not: {torn}")
    if said := machine.run("dmesg | grep -i 'EXT4-fs error'").stdout.strip():
        raise CheckError(f"expected a whole file system, got {said[:200]}")


def _counted(what: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in what.most_common()) or "none"
