"""A command in its own process, with limits of time and memory, that never outlives the agent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from osnet_edge.ship.device.passing import PassingError, is_passing, lacks_system
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.scratch import scratch_folder

_POLL_S = 0.05
_NICE = 10
#: PR_SET_PDEATHSIG of sys/prctl.h.
_DEATH_SIGNAL = 1
_MOST_OUTPUT = 1 << 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Of the agent's environment: where the system's libraries are, temporary files, and which GPU. A relative
#: folder among the libraries' leads nowhere, since the command runs in /.
_KEPT = frozenset({"LD_LIBRARY_PATH", "TMPDIR", "TZ", "OMP_NUM_THREADS"})
_KEPT_FROM = ("CUDA_", "NVIDIA_", "OSNET_EDGE_")


class CommandError(Exception):
    """A command failed; the message is the last line of its standard error."""


def run_limited(command: Sequence[str], seconds: float, megabytes: float, what: str) -> str:
    """Run a command to its end.

    The memory is what is resident, of the command and its children, and what they print, polled as it runs.
    The system could limit only the address space, which says nothing about a process that uses CUDA.

    Args:
        command: program and arguments.
        seconds: time limit.
        megabytes: limit of resident memory (10^6 bytes).
        what: what it does, for messages.

    Returns:
        Its standard output.

    Raises:
        RefusedError: it exceeded a limit, and was killed.
        PassingError: it lacked something, or was killed by another program.
        CommandError: it failed.
        OSError: there is no such program, or it may not be run.
    """
    if any("\0" in word for word in command):
        raise CommandError("a word of the command has a null character")
    try:
        return _run(command, seconds, megabytes, what)
    except OSError as error:
        if lacks_system(error):
            raise PassingError(f"{what} could not be started: {error.strerror}") from None
        raise


def _run(command: Sequence[str], seconds: float, megabytes: float, what: str) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def bind() -> None:
        # Killed with the agent: it writes into a slot that the next run will clear.
        libc.prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.nice(_NICE)

    memory = scratch_folder()
    with tempfile.TemporaryFile(dir=memory) as output, tempfile.TemporaryFile(dir=memory) as errors:
        child = subprocess.Popen(  # noqa: S603 - the agent's own command or the operator's
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            # Nothing of where and by whom the agent was started: by hand it is as by its timer.
            cwd="/",
            env=_environment(),
            preexec_fn=bind,
        )
        try:
            _watch(child, (output.fileno(), errors.fileno()), seconds, megabytes, what)
        finally:
            _kill(child)
        output.seek(0)
        errors.seek(0)
        if child.returncode != 0:
            lines = errors.read(_MOST_OUTPUT).decode(errors="replace").strip().splitlines()
            last = lines[-1][:300] if lines else f"exit code {child.returncode}"
            if is_passing(child.returncode, last):
                killed = f" (killed by signal {-child.returncode})" if child.returncode < 0 else ""
                raise PassingError(f"{what} lacked something on this device{killed}: {last}")
            raise CommandError(last)
        return output.read(_MOST_OUTPUT).decode(errors="replace")


def run_module(module: str, arguments: Sequence[str], seconds: float, megabytes: float, what: str) -> str:
    """Run one of our modules with this Python, as `run_limited` does.

    Python runs isolated: it imports only installed modules, and none from the current folder, the user's own
    folder, or a variable such as PYTHONPATH.
    """
    command = [sys.executable, "-I", "-X", "utf8", "-m", module, *arguments]
    return run_limited(command, seconds, megabytes, what)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_FROM)}
    return {"PATH": _PATH, "HOME": "/", "LANG": "C.UTF-8", **kept}


def _watch(
    child: subprocess.Popen[bytes], printed: Sequence[int], seconds: float, megabytes: float, what: str
) -> None:
    until = time.monotonic() + seconds
    while child.poll() is None:
        if time.monotonic() > until:
            raise RefusedError("limit", f"{what} took longer than {seconds:g} s and was stopped")
        # What it prints is in memory too.
        used = (_resident(child.pid) + sum(os.fstat(each).st_size for each in printed)) / 1e6
        if used > megabytes:
            raise RefusedError(
                "limit", f"{what} took {used:.0f} MB, over its limit of {megabytes:g}, and was stopped"
            )
        time.sleep(_POLL_S)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the command's whole session, including its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _resident(process: int) -> int:
    """Return the resident memory of a process and its children, in bytes."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(int(child)) for child in children)
