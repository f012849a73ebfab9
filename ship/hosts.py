"""Shipping a package to devices over the system's ssh, into `osnet-edge device install` on each device."""

from __future__ import annotations

import json
import queue
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from osnet_edge.runtime.errors import InputError, UnavailableError, first_line
from osnet_edge.runtime.package.schema import parse_json, to_json
from osnet_edge.ship.device.config import split_command
from osnet_edge.ship.requirements import Requirements

#: Exit code of ssh for its own failures, as its manual has it.
_SSH_FAILED = 255
_NOT_FOUND = 127
_BLOCK = 1 << 16
#: Of what a host may answer, and seconds to wait for the rest of it once ssh has ended.
_MOST_BYTES, _READ_S = 1_000_000, 5.0
#: A latency over it is none.
_MOST_MS = 1e9
#: Never asks, never takes a key that is not known, notices a host that vanished.
_OPTIONS = (
    *("-o", "BatchMode=yes"),
    *("-o", "StrictHostKeyChecking=yes"),
    # By these, ssh would look at no key: of this machine, where DNS has it, and on a connection that is open.
    *("-o", "NoHostAuthenticationForLocalhost=no"),
    *("-o", "VerifyHostKeyDNS=no"),
    *("-o", "ControlPath=none"),
    *("-o", "ConnectTimeout=15"),
    *("-o", "ServerAliveInterval=15"),
    *("-o", "ServerAliveCountMax=4"),
)


@dataclass(frozen=True)
class Shipment:
    """What is shipped, and how.

    Attributes:
        archive: the package as one file.
        needs: what it requires of a device.
        package: its name.
        release: name of the release on the hosts.
        store: the store on each host.
        remote: the command that runs osnet-edge on each host.
        ssh_config: ssh configuration file instead of the user's.
        timeout: time limit for each host, in seconds.
        dry_run: whether only to check that the package fits.
    """

    archive: Path
    needs: Requirements
    package: str
    release: str
    store: str
    remote: str
    ssh_config: str | None
    timeout: float
    dry_run: bool


@dataclass(frozen=True)
class Shipped:
    """The result on one host; the command's exit code is the highest `code` of all hosts."""

    host: str
    result: str
    code: int
    release: str = ""
    latency_ms: float | None = None
    seconds: float = 0.0
    why: str = ""


def check_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts without repetitions, after checking them.

    Raises:
        UnavailableError: ssh is not installed.
        InputError: a host is empty, or ssh would take it for an option.
    """
    if shutil.which("ssh") is None:
        raise UnavailableError(
            "this needs the program ssh, which is not installed: apt-get install openssh-client"
        )
    if odd := [host for host in hosts if not host.isprintable()]:
        raise InputError(f"expected hosts such as user@host, got {odd[0]!r}")
    if doubtful := [host for host in hosts if host.startswith("-") or not host.strip()]:
        raise InputError(f"expected hosts such as user@host, got {doubtful[0]!r}")
    return tuple(dict.fromkeys(hosts))


def ship_to_all(
    shipment: Shipment,
    hosts: Sequence[str],
    jobs: int,
    advance: Callable[[int], None],
    say: Callable[[str], None],
) -> list[Shipped]:
    """Ship a package to several hosts in parallel.

    Args:
        shipment: what is shipped.
        hosts: destinations, as ssh takes them.
        jobs: number of hosts in parallel.
        advance: called in this thread with the number of bytes of each block that was sent.
        say: called in this thread with a line for each host that is finished.

    Returns:
        The result of each host, in the order of `hosts`.
    """
    events: queue.SimpleQueue[int | Future[Shipped]] = queue.SimpleQueue()

    def one(host: str) -> Shipped:
        started = time.monotonic()
        try:
            result = _ship(shipment, host, events.put)
        except Exception as error:
            # Whatever one host brings about, the others are reported.
            result = Shipped(host, "failed", 1, why=first_line(error))
        return replace(result, seconds=round(time.monotonic() - started, 1))

    done: dict[str, Shipped] = {}
    with ThreadPoolExecutor(min(jobs, len(hosts)), "osnet-edge-ship") as pool:
        for host in hosts:
            # Each ends in an event, whatever happened to it: an error is raised here.
            pool.submit(one, host).add_done_callback(events.put)
        while len(done) < len(hosts):
            event = events.get()
            if isinstance(event, int):
                advance(event)
            else:
                result = event.result()
                done[result.host] = result
                say(f"{result.host}: {result.result}" + (f": {result.why}" if result.why else ""))
    return [done[host] for host in hosts]


def _ship(shipment: Shipment, host: str, sent: Callable[[int], None]) -> Shipped:
    size = shipment.archive.stat().st_size
    action = (
        ["fits", "--needs", json.dumps(to_json(shipment.needs))]
        if shipment.dry_run
        else ["install", "-", "--release", shipment.release, "--package", shipment.package, "--json"]
    )
    words = [
        *split_command("--remote", shipment.remote),
        "device",
        *action,
        "--bytes",
        str(size),
        "--store",
        shipment.store,
    ]
    config = ["-F", shipment.ssh_config] if shipment.ssh_config else []
    command = ["ssh", *config, *_OPTIONS, "--", host, shlex.join(words)]
    output, errors = _Head(), _Head()
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:  # noqa: S603
        readers = [
            threading.Thread(target=head.read, args=(stream, process.kill), daemon=True)
            for head, stream in ((output, process.stdout), (errors, process.stderr))
        ]
        limit = threading.Timer(shipment.timeout, process.kill)
        for thread in (*readers, limit):
            thread.start()
        try:
            _send(None if shipment.dry_run else shipment.archive, process, sent)
            code = process.wait()
        finally:
            late = not limit.is_alive()
            limit.cancel()
        for reader in readers:
            # What ssh left behind, such as a master connection, may hold the streams open.
            reader.join(_READ_S)
    stdout, stderr = output.text(), errors.text()
    if late:
        return Shipped(host, "failed", 1, why=f"not done within {shipment.timeout:g} s")
    if output.is_over or errors.is_over:
        return Shipped(host, "failed", 1, why=f"it answered more than {_MOST_BYTES:,} bytes")
    return _result(host, code, stdout, stderr, shipment.dry_run)


class _Head:
    """The beginning of a host's output; a host that sends more is disconnected."""

    def __init__(self) -> None:
        self._content = bytearray()
        self.is_over = False

    def read(self, stream: IO[bytes], hang_up: Callable[[], None]) -> None:
        """Read to the end, or to the limit."""
        while block := cast("Any", stream).read1(_BLOCK):
            self._content += block
            if len(self._content) > _MOST_BYTES:
                self.is_over = True
                hang_up()
                return

    def text(self) -> str:
        """Return what was read."""
        return bytes(self._content).decode(errors="replace")


def _send(archive: Path | None, process: subprocess.Popen[bytes], sent: Callable[[int], None]) -> None:
    pipe = cast("IO[bytes]", process.stdin)
    if archive is None:
        pipe.close()
        return
    try:
        with archive.open("rb") as source, pipe:
            while block := source.read(_BLOCK):
                pipe.write(block)
                sent(len(block))
    except (BrokenPipeError, ConnectionError):
        # It ended early, and says why in its own words.
        pass


def _result(host: str, code: int, stdout: str, stderr: str, dry_run: bool) -> Shipped:
    lines = [
        line.removeprefix("error: ") for line in stderr.strip().splitlines() if not line.startswith("  ")
    ]
    last = first_line(lines[-1]) if lines and lines[-1].strip() else f"exit code {code}"
    if code == _SSH_FAILED:
        return Shipped(host, "unreachable", 1, why=last)
    if code == _NOT_FOUND:
        return Shipped(host, "failed", 1, why=f"{last} (name osnet-edge there with --remote)")
    try:
        answer = parse_json(stdout, host, "name osnet-edge there with --remote")
        if dry_run:
            why = _word(answer, "why")
            return Shipped(host, "would fit" if code == 0 else "would not fit", code, why=why)
        event = answer["event"]
        what, release, why = _word(event, "what"), _word(answer, "release"), _word(event, "why")
        latency = answer["proof"].get("latency_ms") if what == "installed" else None
        if not (latency is None or (isinstance(latency, int | float) and abs(latency) < _MOST_MS)):
            raise ValueError("no latency")
        return Shipped(host, what, code, release, latency, why=why)
    except (ValueError, KeyError, TypeError, AttributeError):
        # It said nothing, or it was no osnet-edge that answered.
        return Shipped(host, "failed", code or 1, why=last)


def _word(document: dict[str, object], name: str) -> str:
    """Return a text of an answer as one line without control characters."""
    value = document[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return first_line(value) if value else ""
