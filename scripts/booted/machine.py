"""One booted camera: a virtual machine with a disk of its own, which loses its power by SIGKILL."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from booted.host import quiet
from booted.image import ENVIRONMENT, Image
from osnet_edge.runtime.errors import CheckError

Cache = Literal["none", "writeback"]
STORE = Path("/var/lib/osnet-edge")
BEAT = Path("/run/camera/beat")
#: Where the server of releases is, seen from inside; nothing else answers there.
SERVER = "http://10.0.2.100"
_SERVER_END = "10.0.2.100:80"
_MEGABYTES = 1024
_SSH = ("ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
_LOOK = f"cat {STORE}/state.json; printf '\\0'; cat {BEAT}; printf '\\0'; readlink {STORE}/current"


def accelerator() -> str:
    """Return `kvm` where a guest boots by it, else `tcg`.

    A /dev/kvm on a processor without vmx and svm is of a paravirtual kind, which takes only kernels made for
    it: Debian's does not come up.
    """
    flags = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text(encoding="utf-8")))
    return "kvm" if os.access("/dev/kvm", os.W_OK) and flags & {"vmx", "svm"} else "tcg"


@dataclass(frozen=True)
class Look:
    """What is seen of a camera from outside at one moment.

    Attributes:
        state: the journal.
        beat: of the program that embeds; empty where there is none.
        slot: that the link leads to; empty for none.
    """

    state: dict[str, Any]
    beat: dict[str, Any]
    slot: str

    @property
    def release(self) -> str:
        """What the link leads to, by the journal."""
        held = self.state.get("slots", {}).get(self.slot)
        return str(held["release"]) if held else ""

    @property
    def what(self) -> str:
        """How the agent's last run ended, with its reason."""
        last = self.state.get("last") or {}
        return f"{last.get('what', 'never ran')} {last.get('reason', '')}".strip()

    @property
    def why(self) -> str:
        """The same in its own words."""
        return str((self.state.get("last") or {}).get("why", ""))


class Machine:
    """A camera, with its disk.

    Args:
        image: what its disk begins as.
        folder: of its own.
        port: of the server of releases, on this machine's loopback.
        cache: how the emulator treats writes.
        accelerate: `kvm` or `tcg`.
    """

    def __init__(
        self, image: Image, folder: Path, port: int, *, cache: Cache = "writeback", accelerate: str = ""
    ) -> None:
        self._image, self._folder, self._port, self._cache = image, folder, port, cache
        self._accelerate = accelerate or accelerator()
        self._ssh_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        #: Of this disk, until now.
        self.boots = self.cuts = 0
        folder.mkdir(parents=True)
        disk = str(folder / "disk.qcow2")
        quiet("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.disk), "-F", "raw", disk)

    def start(self, *, clock: str = "") -> None:
        """Switch it on; return at once.

        Args:
            clock: what its real-time clock says, in ISO 8601; empty for the time.
        """
        relay = f"{sys.executable} {Path(__file__).with_name('relay.py')} {self._port}"
        net = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self._ssh_port}-:22"
        net += f",guestfwd=tcp:{_SERVER_END}-cmd:{relay}"
        tcg, kvm = ("-accel", "tcg,thread=multi", "-cpu", "max"), ("-accel", "kvm", "-cpu", "host")
        disk = f"file={self._folder}/disk.qcow2,if=virtio,format=qcow2,cache={self._cache}"
        command = [
            *("qemu-system-x86_64", *(kvm if self._accelerate == "kvm" else tcg)),
            *("-smp", "2", "-m", str(_MEGABYTES), "-display", "none", "-no-reboot", "-monitor", "none"),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
            *("-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0"),
            *("-serial", f"file:{self._folder}/console-{self.boots}.log", "-drive", disk),
            *("-netdev", net, "-device", "virtio-net-pci,netdev=net,romfile="),
            *(("-rtc", f"base={clock}") if clock else ()),
        ]
        # Not of our session: a Ctrl-C is ours to answer.
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
        self.started = time.monotonic()
        self.boots += 1

    def cut_power(self) -> None:
        """Kill the emulator: what the guest had not flushed is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.cuts += 1

    def shut_down(self) -> None:
        """Let systemd end it."""
        self.run("systemctl poweroff")
        if self._process is not None:
            self._process.wait(timeout=120)
            self._process = None

    def run(self, command: str, *, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a command line in it, as root, by ssh; exit code 255 says that it could not be reached."""
        control = ("-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-S", str(self._folder / "ssh"))
        reach = ("-i", str(self._image.key), "-p", str(self._ssh_port), "-o", "ConnectTimeout=5")
        line = f"export PATH={ENVIRONMENT}/bin:$PATH; {command}"
        try:
            return subprocess.run(  # noqa: S603 - our own command, in a machine of our own
                [*_SSH, *control, *reach, "root@127.0.0.1", line],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess([], 255, "", f"no answer within {seconds:g} s")

    def must(self, command: str) -> str:
        """Run a command line in it; return what it printed.

        Raises:
            CheckError: it failed.
        """
        ran = self.run(command)
        if ran.returncode != 0:
            raise CheckError(f"{command}: exit {ran.returncode}: {(ran.stderr or ran.stdout).strip()[-300:]}")
        return ran.stdout.strip()

    def send(self, file: Path, to: str) -> None:
        """Copy a text file into it."""
        self.must(f"printf %s {shlex.quote(file.read_text(encoding='utf-8'))} >{to}")

    def wait_up(self, seconds: float = 180.0) -> float:
        """Wait until it can be reached; return the seconds since it was switched on."""
        self.wait(lambda: self.run("true", seconds=20).returncode == 0, seconds, "the machine to come up")
        return time.monotonic() - self.started

    def wait(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something holds.

        Raises:
            CheckError: it does not come to.
        """
        until = time.monotonic() + seconds
        while not holds():
            if self._process is not None and self._process.poll() is not None:
                raise CheckError(f"waited for {what}, and the emulator ended: see {self._folder}")
            if time.monotonic() > until:
                raise CheckError(f"waited {seconds:g} s for {what}; last: {self.told()}")
            time.sleep(0.5)

    def look(self) -> Look:
        """Look at journal, heartbeat and link."""
        state, beat, slot = (self.run(_LOOK, seconds=30).stdout.split("\0") + [""] * 3)[:3]
        return Look(_parsed(state), _parsed(beat), Path(slot.strip()).name)

    def told(self) -> str:
        """Say in a line how it stands."""
        seen = self.look()
        return f"{seen.release or 'no engine'}, the agent: {seen.what}: {seen.why}"

    def unit(self, name: str = "osnet-edge-update.service") -> str:
        """Return what systemd saw of a unit's last run."""
        shown = self.run(f"systemctl show {name} -p Result -p ExecMainStatus -p NRestarts").stdout
        values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        more = f", {values['NRestarts']} restarts" if values.get("NRestarts", "0") != "0" else ""
        return f"{values.get('Result', '?')}, exit {values.get('ExecMainStatus', '?')}{more}"

    def wait_serving(self, seconds: float) -> float:
        """Wait until frames are embedded by what the link leads to; return the seconds since switched on."""
        before: list[Look] = []

        def serves() -> bool:
            seen = self.look()
            before.append(seen)
            return (
                len(before) > 1
                and bool(seen.slot)
                and seen.beat.get("package") == f"{STORE}/slots/{seen.slot}"
                and seen.beat.get("calls", 0) > before[-2].beat.get("calls", 0)
            )

        self.wait(serves, seconds, "the service to serve what the link leads to")
        return time.monotonic() - self.started

    def discard(self) -> None:
        """End it, and delete its disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
