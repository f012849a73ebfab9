"""An embedder that follows a link: when the link turns to another engine, it changes between two calls."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from osnet_edge.runtime.embedder import BoxEmbeddings, Embedder, Embeddings
from osnet_edge.runtime.errors import InputError, OsnetEdgeError, first_line
from osnet_edge.runtime.files import read_small, write_aside
from osnet_edge.runtime.forks import fork_waits
from osnet_edge.runtime.package.folder import follow_path
from osnet_edge.runtime.package.schema import parse_json

T = TypeVar("T")
#: A heartbeat is old when it missed this many looks, and a second for a slow disk.
_MISSED = 3
#: Seconds between tries to load an engine that failed; they begin with an interval, and double.
_LONGEST_PAUSE_S = 300.0
#: A day: no thread waits for ever, and one that looks without a pause takes a core.
_LONGEST_INTERVAL_S = 86_400.0
#: Of a heartbeat.
_MOST_BYTES = 65_536


@dataclass
class _Serving:
    """An engine, and how its calls went."""

    embedder: Embedder
    calls: int = 0
    errors: int = 0


class FollowingEmbedder:
    """An `Embedder` of whatever package a path leads to, now and later.

    A thread looks at the path, loads the engine that it has come to lead to, runs its golden pairs, and only
    then lets calls have it: a call that has begun ends on the engine that it began on, and none waits. If the
    new engine cannot be loaded, the old one stays, and the new one is tried again, with pauses that grow to
    five minutes: memory may have been short.

    Its heartbeat, where a file is named for it, is what `osnet-edge device update` judges a new engine by.

    A process may fork, as with an `Embedder`: each child follows too, by a thread that its first call starts,
    and counts its own calls in the heartbeat. The processes share that file, and none writes over another's,
    if that lives, which tells that the same engine fails. A fork waits for a load that is under way. Where
    OpenVINO was used before a fork, the child stays with its engine and tells that it could load no other.

    Args:
        path: a package, such as the link `/var/lib/osnet-edge/current`.
        threads: CPU threads a call may use, as for `Embedder.load`.
        heartbeat: file to tell in, once an interval, which engine is in use and how it does.
        interval: seconds between looks at the path.
        on_hangup: whether SIGHUP makes it look at once; in the main thread only, as Python has it.
        wait_s: seconds to wait for a package to be there at the beginning, as on a camera whose first engine
            is yet to come; `math.inf` waits for ever.

    Raises:
        InputError: there is no package that can be loaded at the beginning, or a time makes no sense.
        UnavailableError: this machine lacks what it needs.

    Example:
        with FollowingEmbedder("/var/lib/osnet-edge/current", heartbeat="/run/osnet-edge/beat") as embedder:
            embeddings, valid = embedder.embed_boxes(frame, boxes, bgr=True)
    """

    def __init__(
        self,
        path: Path | str,
        *,
        threads: int | None = None,
        heartbeat: Path | str | None = None,
        interval: float = 1.0,
        on_hangup: bool = False,
        wait_s: float = 0.0,
    ) -> None:
        if not (0 < interval <= _LONGEST_INTERVAL_S and wait_s >= 0):
            raise InputError(
                f"expected an interval of up to {_LONGEST_INTERVAL_S:g} s and a wait_s of 0 or more, got "
                f"{interval:g} and {wait_s:g}"
            )
        self._path, self._threads, self._interval = Path(path), threads, interval
        self._heartbeat = Path(heartbeat) if heartbeat else None
        self._begin()
        if on_hangup and threading.current_thread() is not threading.main_thread():
            raise InputError(
                "expected on_hangup in the main thread, since Python has signals there alone; call look() "
                "from a handler of your own"
            )
        if on_hangup:
            # Before the first load, which takes seconds: by default the signal ends the program.
            signal.signal(signal.SIGHUP, self._hang_up)
        self._await_package(wait_s)
        self._tried, self._failed = self._look(), ""
        # When what the path leads to is loaded again: never, where it is what serves.
        self._again, self._pause = math.inf, interval
        self._serving = _Serving(Embedder.load(follow_path(self._path), threads=threads))
        self._stopped, self._up = False, time.monotonic()
        self._beat()
        self._start()
        _followers.add(self)

    @property
    def embedder(self) -> Embedder:
        """The embedder of the engine that serves now; take it once for calls that must agree."""
        self._start()
        return self._serving.embedder

    def __call__(self, crops: object, *, bgr: bool = False, l2_normalize: bool = True) -> Embeddings:
        """Embed crops, as `Embedder` does."""
        return self._counted(lambda embedder: embedder(crops, bgr=bgr, l2_normalize=l2_normalize))

    def embed_boxes(
        self, frame: object, boxes: ArrayLike, *, bgr: bool = False, l2_normalize: bool = True
    ) -> BoxEmbeddings:
        """Embed the people in a frame, as `Embedder.embed_boxes` does."""
        return self._counted(
            lambda embedder: embedder.embed_boxes(frame, boxes, bgr=bgr, l2_normalize=l2_normalize)
        )

    def look(self) -> None:
        """Look at the path soon, rather than at the interval's end."""
        self._start()
        self._wake.set()

    def close(self) -> None:
        """Stop following; the engine that serves may be called on."""
        with self._starting:
            self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> FollowingEmbedder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _counted(self, call: Callable[[Embedder], T]) -> T:
        self._start()
        serving = self._serving
        try:
            result = call(serving.embedder)
        except InputError:
            # The caller's images, not the engine.
            raise
        except Exception:
            # Whatever it is: the caller gets it, and the agent reads that there was one.
            serving.calls += 1
            serving.errors += 1
            raise
        serving.calls += 1
        return result

    def _begin(self) -> None:
        """Make what belongs to one process: in a child a lock may be held by a thread that is not there."""
        self._wake, self._starting = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None

    def _begin_in_child(self) -> None:
        self._begin()
        # The first look is at once, since the first call may come long after the fork.
        self._wake.set()
        self._serving, self._up = _Serving(self._serving.embedder), time.monotonic()

    def _start(self) -> None:
        """See that this process has a thread that follows."""
        with self._starting:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._follow, name="osnet-edge-follow", daemon=True)
                self._thread.start()

    def _await_package(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        # Unlike `Path.is_dir`, this waits also for a folder that may not be looked into yet.
        while not os.path.isdir(self._path) and (left := until - time.monotonic()) > 0:
            self._wake.wait(min(self._interval, left))
            self._wake.clear()
        if seconds and not os.path.isdir(self._path):
            raise InputError(
                f"expected an engine package (a folder) at {self._path} within {seconds:g} s, and none came; "
                "osnet-edge device status says why"
            )

    def _look(self) -> tuple[str, int]:
        """Return what tells one turn of the link from another: where it leads, and the link's own number."""
        try:
            return str(self._path.resolve()), os.lstat(self._path).st_ino
        except (OSError, RuntimeError):
            # Python before 3.13 raises the latter for links that lead round in a circle.
            return "", 0

    def _follow(self) -> None:
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            if self._stopped:
                return
            # Whole, or a child would take what is being loaded for tried.
            with fork_waits():
                seen = self._look()
                if seen != self._tried and seen[0]:
                    self._tried, self._again, self._pause = seen, -math.inf, self._interval
                if time.monotonic() >= self._again:
                    self._change(Path(self._tried[0]))
                self._beat()

    def _change(self, package: Path) -> None:
        try:
            fresh = Embedder.load(package, threads=self._threads)
            fresh.prove()
        except Exception as error:
            # Whatever it is, frames go on with the engine that works; the agent reads of it and goes back.
            self._failed = first_line(error) if isinstance(error, OsnetEdgeError) else repr(error)[:300]
            self._again = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
            return
        self._failed, self._serving, self._again = "", _Serving(fresh), math.inf

    def _beat(self) -> None:
        if self._heartbeat is None:
            return
        serving = self._serving
        beat: dict[str, Any] = {
            # What failed is told of the engine that it is about.
            "package": self._tried[0] if self._failed else str(serving.embedder.package),
            "calls": serving.calls,
            "errors": serving.errors,
            "failed": self._failed,
            "process": os.getpid(),
            # By which the agent knows a program that starts again and again.
            "up_s": round(time.monotonic() - self._up, 3),
        }
        try:
            if not (serving.errors or self._failed) and _another_fails(
                self._heartbeat, beat["package"], _MISSED * self._interval + 1
            ):
                return
            with write_aside(self._heartbeat) as partial:
                partial.write_text(json.dumps(beat) + "\n", encoding="utf-8")
        except (OSError, InputError):
            # A full disk stops no frame; without a heartbeat the agent goes back.
            pass

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        self._wake.set()


def _another_fails(heartbeat: Path, package: str, seconds: float) -> bool:
    """Return whether a heartbeat of the last seconds is another process's, and tells that an engine fails."""
    try:
        # Where the clock was set back, none is of the last seconds.
        is_recent = abs(time.time() - heartbeat.stat().st_mtime) < seconds
        told = parse_json(read_small(heartbeat, _MOST_BYTES), str(heartbeat), "it comes again")
        is_another = told["process"] != os.getpid() and told["package"] == package
        return is_recent and is_another and bool(told["errors"] or told["failed"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _begin_in_child() -> None:
    for follower in list(_followers):
        follower._begin_in_child()


_followers: weakref.WeakSet[FollowingEmbedder] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
