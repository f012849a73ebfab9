"""Kills the agent at every write, rename, sync and network read of an update, one after the other.

    python tests/kill_points.py STORE SCRATCH MODE OUTCOME

copies STORE, runs an update in a forked process that ends itself with SIGKILL before its n-th effect on the
disk or read from the network, looks at what is left, restarts, looks again; for n = 1, 2, ... until an
update ends unharmed. It prints one JSON line: how many points there were, and what went wrong at which.

MODE is `kill`: all that was written is there, as after SIGKILL. `torn`: a write is cut in half, and files
that were not synced lose half of their bytes, as after a power cut. `lost`: as `torn`, and renames and links
whose folder was not synced have not happened. OUTCOME is `good` or `bad`: how the new engine does on trial.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet import FACTS

from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.ship.device.agent import Agent
from osnet_edge.ship.device.config import Limits
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.store import Store
from osnet_edge.ship.device.verify import Proof

_REPLACED = (
    "write",
    "fsync",
    "replace",
    "rename",
    "symlink",
    "unlink",
    "remove",
    "rmdir",
    "mkdir",
    "ftruncate",
)


class Effects:
    """Counts what a process does to disk and network, and kills it at one of these."""

    def __init__(self, kill_at: int, mode: str) -> None:
        self.count, self._kill_at, self._mode = 0, kill_at, mode
        self._real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in (*_REPLACED, "open")}
        self._paths: dict[int, str] = {}
        self._unsynced: set[str] = set()
        self._undo: list[tuple[str, Callable[[], None]]] = []
        for name in _REPLACED:
            setattr(os, name, self._wrapped(name))
        os.open = self._open
        receive = socket.socket.recv_into

        def recv_into(connection: socket.socket, *given: Any, **more: Any) -> int:
            self._step()
            return receive(connection, *given, **more)

        socket.socket.recv_into = recv_into  # type: ignore[method-assign]

    def _wrapped(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def call(*given: Any, **more: Any) -> Any:
            if name == "write" and self._mode != "kill" and self.count + 1 == self._kill_at:
                real(given[0], bytes(given[1])[: len(given[1]) // 2])
            self._step()
            if name in ("replace", "rename", "symlink") and self._mode == "lost":
                self._remember(str(given[1]))
            # What a sync is for is played by the modes, and a real one takes milliseconds.
            result = None if name == "fsync" else real(*given, **more)
            self._note(name, given)
            return result

        return call

    def _open(self, path: Any, flags: int, *given: Any, **more: Any) -> int:
        if flags & os.O_CREAT:
            self._step()
        descriptor: int = self._real["open"](path, flags, *given, **more)
        if "dir_fd" not in more:
            self._paths[descriptor] = os.path.abspath(path)
            if flags & os.O_CREAT:
                self._unsynced.add(self._paths[descriptor])
        return descriptor

    def _note(self, name: str, given: tuple[Any, ...]) -> None:
        if name == "fsync":
            path = self._paths.get(given[0], "")
            self._unsynced.discard(path)
            self._undo = [(folder, undo) for folder, undo in self._undo if folder != path]
        elif name in ("write", "ftruncate"):
            self._unsynced.add(self._paths.get(given[0], ""))
        elif name in ("replace", "rename"):
            source, target = (os.path.abspath(path) for path in given[:2])
            if source in self._unsynced:
                self._unsynced = (self._unsynced - {source}) | {target}

    def _remember(self, target: str) -> None:
        """Keep what a name led to before, in case its folder is never synced."""
        if os.path.islink(target):
            led = os.readlink(target)
            undo = lambda: (self._real["unlink"](target), self._real["symlink"](led, target))  # noqa: E731
        elif os.path.isfile(target):
            content = Path(target).read_bytes()
            undo = lambda: Path(target).write_bytes(content)  # noqa: E731
        elif os.path.isdir(target):
            return
        else:
            undo = lambda: Path(target).exists() and self._real["unlink"](target)  # noqa: E731
        self._undo.append((os.path.dirname(os.path.abspath(target)), undo))

    def _step(self) -> None:
        self.count += 1
        if self.count != self._kill_at:
            return
        if self._mode != "kill":
            for path in self._unsynced:
                if os.path.lexists(path) and stat.S_ISREG(os.lstat(path).st_mode):
                    os.truncate(path, os.path.getsize(path) // 2)
            for _, undo in reversed(self._undo):
                undo()
        os.kill(os.getpid(), signal.SIGKILL)


def verify_once(package: Path, limits: Limits) -> Proof:
    """Verify an engine as an agent does, without timing it, which has no effect on disk or network."""
    return {"distance": Embedder.load(package, threads=1).prove(), "latency_ms": 1.0}


def update(store: Store, outcome: str, kill_at: int = 0, mode: str = "kill") -> tuple[bool, int]:
    """Run an update in a forked process; return whether it was killed, and how many effects it counted."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        effects = Effects(kill_at, mode)

        def watch(*given: object) -> None:
            if outcome == "bad" and read_manifest(store.link).model.checkpoint == "seed-2":
                raise RefusedError("health", "it does not do well")

        Agent(store, verify=verify_once, facts=FACTS, watcher=watch).update()
        effects._real["write"](writer, str(effects.count).encode())
        os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as counted:
        text = counted.read()
    return os.WIFSIGNALED(status), int(text or 0)


def look(store: Store) -> str:
    """Return the network that the link leads to, loaded and proven."""
    embedder = Embedder.load(store.link, threads=1)
    embedder.prove()
    return embedder.manifest.model.checkpoint


def problem(store: Store, outcome: str) -> str:
    """Say what is wrong after a kill, and after a restart or two; empty where nothing is."""
    try:
        look(store)
    except Exception as error:
        return f"killed: {error}"
    for _ in range(2):
        try:
            killed, _ = update(store, outcome)
            name = look(store)
        except Exception as error:
            return f"restarted: {error}"
        if killed:
            return "the restart died"
        state = store.read_state()
        resolved = not state.trial and name == ("seed-2" if outcome == "good" else "seed-1")
        if resolved and (outcome == "good" or state.bad):
            break
    else:
        return f"ended with {name}, {state}"
    if outcome == "bad" and [bad.release for bad in state.bad] != ["r2"]:
        return f"the bad release is not remembered: {state.bad}"
    extra = {path.name for path in store.root.rglob("*")} - EXPECTED
    return f"left behind: {extra}" if extra else ""


EXPECTED = {
    *(
        "a",
        "b",
        "channel.json",
        "current",
        "device.json",
        "download",
        "lock",
        "metadata",
        "reserve",
        "root.json",
        "slots",
        "state.json",
    ),
    *("golden.npz", "manifest.json", "model.onnx", "state.damaged"),
    *map(str, range(8)),
    *("1.root.json", "root_history", "snapshot.json", "targets.json", "timestamp.json"),
}


def main(template: Path, scratch: Path, mode: str, outcome: str) -> None:
    problems, point, killed = {}, 0, True
    # A child that collects would copy every page it looks at.
    gc.disable()
    gc.freeze()
    while killed:
        point += 1
        store = Store(scratch / "store")
        shutil.copytree(template, store.root, symlinks=True)
        killed, _ = update(store, outcome, point, mode)
        if wrong := problem(store, outcome):
            problems[point] = wrong
        shutil.rmtree(store.root)
    print(json.dumps({"mode": mode, "outcome": outcome, "points": point - 1, "problems": problems}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
