"""What is done to a booted camera, step by step, and what systemd saw and the agent did of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from booted.machine import BEAT, SERVER, STORE, Machine
from booted.releases import Releases
from osnet_edge.cli.progress import say, step
from osnet_edge.runtime.errors import CheckError

UNITS = "/etc/systemd/system"
SERVICE, TIMER = "osnet-edge-update.service", "osnet-edge-update.timer"
#: A trial, and the time for an update from a timer's turn on; emulation makes both long.
WINDOW_S, _UPDATE_S = 20, 240.0
_MOST_EXPOSED = 4.0


@dataclass(frozen=True)
class Row:
    """A step.

    Attributes:
        done: what was done.
        systemd: what it saw.
        agent: what it did, in its words.
        wrong: what does not hold; empty where all does.
    """

    done: str
    systemd: str
    agent: str
    wrong: str = ""


class Steps:
    """The steps, and their rows.

    Args:
        machine: the camera, switched off.
        releases: what it is offered; served.
    """

    def __init__(self, machine: Machine, releases: Releases) -> None:
        self._machine, self._releases = machine, releases
        self.rows: list[Row] = []

    def take(self, done: str, do: Callable[[], tuple[str, str]]) -> None:
        """Take a step, and keep its row; what fails in it is in there."""
        step(done)
        try:
            row = Row(done, *do())
        except CheckError as error:
            row = Row(done, self._machine.unit(), self._machine.told(), str(error))
        self.rows.append(row)
        # At once, since all of them take long.
        say(f"  DOES NOT HOLD: {row.wrong}" if row.wrong else f"  holds: {row.systemd}; {row.agent}")

    def all(self) -> None:
        """Take every step."""
        self.take("boots, and init as docs/SHIP.md tells", self.install)
        self.take("systemd-analyze verify, security", self.analyse)
        self.take("the timer as it is written", self.timer)
        self.take("first release", self.first)
        self.take("next release", lambda: self.offer("r2", "good-b", "installed", "r2"))
        self.take("a run by hand beside the timer's", self.twice)
        self.take("bad release: fails in service", self.bad)
        self.take("recall of the next to the first", self.recall)
        self.take("osnet-edge device rollback", self.rollback)
        self.take("the program ends at each call of the new engine", self.crashes)
        self.take("server away, and back", self.away)
        self.take("disk almost full, and free again", self.full)
        self.take("clock at 1970, then right by NTP", self.clock)
        self.take("MemoryMax of the agent's unit too small", self.memory)
        self.take("a probe that hangs", self.probe)

    def install(self) -> tuple[str, str]:
        """Boot for the first time, and set the camera up."""
        machine = self._machine
        machine.start()
        up = machine.wait_up()
        machine.send(self._releases.root, "/root/1.root.json")
        said, *_ = self.init(f"--heartbeat {BEAT} --window {WINDOW_S}", f" --systemd {UNITS}").splitlines()
        machine.must("systemctl daemon-reload; systemctl enable --now camera.service")
        failed = machine.run("systemctl --failed --no-legend --plain").stdout.split()
        return f"reached after {up:.0f} s; failed units: {' '.join(failed[:1]) or 'none'}", said

    def init(self, health: str, more: str = "") -> str:
        """Run `osnet-edge device init`, with a health check."""
        named = f"osnet-edge device init --url {SERVER} --root /root/1.root.json --device cam-7 --ring canary"
        return self._machine.must(f"{named} --interval 2 --reserve-mb 8 --prove-s 600 {health}{more}")

    def analyse(self) -> tuple[str, str]:
        """Have systemd check the units, and tell how exposed the services are."""
        machine = self._machine
        machine.must(f"systemd-analyze verify {UNITS}/{SERVICE} {UNITS}/{TIMER} {UNITS}/camera.service")
        told = []
        for unit in (SERVICE, "camera.service"):
            said = machine.must(f"systemd-analyze security --no-pager {unit} | tail -1")
            exposed = float(re.findall(r"\d+\.\d+", said)[-1])
            if exposed >= _MOST_EXPOSED:
                raise CheckError(f"expected {unit} below {_MOST_EXPOSED:g}, got {exposed}")
            told.append(f"{unit} {exposed}")
        return f"verified; exposure {', '.join(told)}", "nothing"

    def timer(self) -> tuple[str, str]:
        """See when the timer as written turns; then let it turn soon."""
        machine = self._machine
        machine.must(f"systemctl enable --now {TIMER}")
        left = machine.must(f"systemctl show {TIMER} -p ActiveState -p NextElapseUSecMonotonic")
        if "ActiveState=active" not in left:
            raise CheckError(f"expected the timer to wait, got {left}")
        machine.must(turn_soon(5))
        return left.replace("\n", ", "), "nothing"

    def first(self) -> tuple[str, str]:
        """Offer a first release, and let the timer find it."""
        self._releases.publish("r1", "good-a")
        self._machine.must(f"systemctl daemon-reload; systemctl restart {TIMER}")
        return self.ends("installed", "r1")

    def offer(self, release: str, package: str, what: str, serves: str, **more: str) -> tuple[str, str]:
        """Publish a release, and hold the camera to how that ends."""
        self._releases.publish(release, package)
        return self.ends(what, serves, **more)

    def ends(self, what: str, serves: str, why: str = "") -> tuple[str, str]:
        """Wait until the agent's last run ended in a way, with a release that serves."""
        machine, said = self._machine, list[str]()

        def holds() -> bool:
            seen = machine.look()
            told = f"{seen.what}: {seen.why}" if seen.why else seen.what
            matches = seen.what.startswith(what) and why in seen.why
            if matches and not said:
                said.append(told)
            return bool(said) and seen.release == serves and not seen.state.get("trial")

        # What systemd saw is of this run, or of one after it that found nothing to do.
        machine.wait(holds, _UPDATE_S, f"{what} {why}, with {serves} serving")
        saw = machine.unit()
        machine.wait_serving(_UPDATE_S)
        return saw, f"{said[0]}; {serves} serves"

    def twice(self) -> tuple[str, str]:
        """Run the agent by hand while the unit's trial goes on; systemd starts no second one either."""
        machine = self._machine
        self._releases.publish("r3", "good-a")
        machine.wait(lambda: bool(machine.look().state.get("trial")), _UPDATE_S, "the trial of r3")
        by_hand = machine.run("osnet-edge device update")
        before = machine.must(f"systemctl show {SERVICE} -p MainPID --value")
        machine.must(f"systemctl start --no-block {SERVICE}; sleep 1")
        after = machine.must(f"systemctl show {SERVICE} -p MainPID --value")
        if by_hand.returncode != 1 or "another update" not in by_hand.stdout + by_hand.stderr:
            raise CheckError(f"expected a run by hand to be busy, got {by_hand.stdout}{by_hand.stderr}")
        if before != after:
            raise CheckError(f"expected one process of the unit, got {before} and {after}")
        self.ends("installed", "r3")
        return "one process; the second start joined it", "by hand: busy, exit 1; r3 installed"

    def bad(self) -> tuple[str, str]:
        """Offer a release whose proof holds, and whose calls fail on what a camera sees."""
        return self.offer("r4", "fails-in-service", "returned health", "r3")

    def recall(self) -> tuple[str, str]:
        """Recall what serves."""
        self._releases.decide("r3", "--recall", "boxes flicker", "--to", "r2")
        return self.ends("installed", "r2")

    def rollback(self) -> tuple[str, str]:
        """Go back by hand to the engine in the other slot, and see that the timer keeps to it."""
        self._releases.publish("r5", "good-a")
        self.ends("installed", "r5")
        # The timer's run may be under way, which the command waits for.
        self._machine.must("osnet-edge device rollback --why 'asked for'")
        return self.ends("", "r2")

    def crashes(self) -> tuple[str, str]:
        """Offer an engine at whose calls the program ends; systemd starts it again and again."""
        machine = self._machine
        drop = f"{UNITS}/camera.service.d"
        machine.must(
            f"mkdir -p {drop}; printf '[Service]\\nEnvironment=ENDS_ON_ERROR=1\\n' >{drop}/ends.conf; "
            "systemctl daemon-reload; systemctl restart camera"
        )
        machine.wait_serving(_UPDATE_S)
        try:
            _, said = self.offer("r6", "ends-the-program", "returned health", "r2")
            return machine.unit("camera.service"), said
        finally:
            machine.must(f"rm -r {drop}; systemctl daemon-reload; systemctl restart camera")

    def away(self) -> tuple[str, str]:
        """Stop the server and start it."""
        self._releases.stop()
        saw, said = self.ends("refused network", "r2")
        self._releases.serve()
        self.ends("current", "r2")
        return saw, f"{said}; then current"

    def full(self) -> tuple[str, str]:
        """Leave half of the space that a release takes, offer one, then make room."""
        fill = f"fallocate -l $(( $(df --output=avail -B1 {STORE} | tail -1) - 4000000 )) /var/fill"
        self._machine.must(fill)
        try:
            saw, said = self.offer("r7", "good-a", "refused disk", "r2")
        finally:
            self._machine.must("rm -f /var/fill")
        self.ends("installed", "r7")
        return saw, f"{said}; with room again: r7 installed"

    def clock(self) -> tuple[str, str]:
        """Boot with a real-time clock that lost its battery, then set the clock as NTP would."""
        machine = self._machine
        machine.shut_down()
        machine.start(clock="1970-01-01T00:00:00")
        machine.wait_up()
        shown = machine.must("date -u +%Y-%m-%d")
        saw, said = self.ends("refused clock", "r7")
        machine.must(f"date -u -s @{int(time.time())}")
        self.ends("current", "r7")
        return f"the clock says {shown}; {saw}", f"{said}; with the time: current"

    def memory(self) -> tuple[str, str]:
        """Give the agent's unit too little for the proof; then what it needs."""
        machine, drop = self._machine, f"{UNITS}/{SERVICE}.d"
        machine.must(
            f"mkdir -p {drop}; printf '[Service]\\nMemoryMax=70M\\nMemorySwapMax=0\\n' >{drop}/memory.conf; "
            "systemctl daemon-reload"
        )
        self._releases.publish("r8", "good-b")
        try:
            machine.wait(
                lambda: "oom" in machine.unit() or "refused" in machine.look().what, _UPDATE_S, "OOM"
            )
            saw, said = machine.unit(), machine.told()
            machine.wait_serving(_UPDATE_S)
        finally:
            machine.must(f"rm -r {drop}; systemctl daemon-reload")
        machine.run(f"systemctl stop {SERVICE}; osnet-edge device update --retry --wait 120", seconds=300)
        self.ends("", "r8")
        return saw, f"{said}; with memory: r8 installed"

    def probe(self) -> tuple[str, str]:
        """Judge by a probe that never ends; its limit is 30 s."""
        self.init(f"--probe '/bin/sleep 1000' --window {WINDOW_S}")
        saw, said = self.offer("r9", "good-a", "returned health", "r8")
        self.init(f"--heartbeat {BEAT} --window {WINDOW_S}")
        return saw, said


def turn_soon(seconds: int) -> str:
    """Return the command that lets the timer turn every few seconds, and not each hour; the rest stays."""
    lines = (
        "[Timer]",
        "OnBootSec=1s",
        f"OnUnitInactiveSec={seconds}s",
        "RandomizedDelaySec=0",
        "AccuracySec=1s",
    )
    return f"mkdir -p {UNITS}/{TIMER}.d && printf '%s\\n' {' '.join(lines)} >{UNITS}/{TIMER}.d/soon.conf"
