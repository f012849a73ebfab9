"""Progress on standard error, so that results can be piped."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from osnet_edge.runtime.errors import printable

if TYPE_CHECKING:
    from osnet_edge.runtime.embedder import Embedder

#: Seconds between progress lines if standard error is not a terminal, so that a log is not flooded.
_LOG_INTERVAL = 10.0
_PERCENT = 100
#: Seconds that are waited without a word.
_SLOW_S = 1.0
#: Seconds of the last progress that the time left is estimated from: a machine's speed changes.
_RECENT_S = 30.0


def step(text: str) -> None:
    """Show the current step, or a warning."""
    text = printable(text)
    click.echo(text if text.startswith("warning: ") else f"  {text} ...", err=True)


def say(text: str, *, indent: str = "  ") -> None:
    """Show a message above a bar; in a terminal it takes the bar's line, and the bar continues below."""
    text = printable(text)
    cleared = "\r\x1b[K" if sys.stderr.isatty() else ""
    click.echo(f"{cleared}{indent}{text}", err=True)


@contextmanager
def told_if_slow(text: str) -> Iterator[None]:
    """Show a message if the block takes longer than a second."""
    timer = threading.Timer(_SLOW_S, step, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def load_package(package: str, threads: int | None = None) -> Embedder:
    """Load a package, with a message if it takes longer than a second: some libraries compile first.

    Raises:
        OsnetEdgeError: see `Embedder.load`.
    """
    from osnet_edge.runtime.embedder import Embedder

    with told_if_slow(f"loading {package}"):
        return Embedder.load(package, threads=threads)


class Advance(Protocol):
    """The function that a block calls with the number of items just done, and a short status."""

    def __call__(self, count: int, note: str = "") -> None:
        """Show it."""


@contextmanager
def bar(label: str, total: int, *, shown: bool = True, percent: bool = False) -> Iterator[Advance]:
    """Show progress with the time left; the block passes the number of items just done.

    Args:
        label: what is done.
        total: number of items.
        shown: whether anything is shown at all.
        percent: whether items are hundredths of the whole, shown as a percentage and not as a count.
    """
    left = TimeLeft(total)
    if not shown:
        yield _ignore
    elif sys.stderr.isatty():
        with click.progressbar(
            length=total,
            label=f"  {label}",
            file=sys.stderr,
            show_eta=False,
            item_show_func=lambda note: note,
        ) as terminal:

            def show(count: int, note: str = "") -> None:
                left.advance(count)
                terminal.update(count, ", ".join(part for part in (left.text(), note) if part))

            yield show
    else:
        yield _log_lines(label, left, percent=percent)


@contextmanager
def shares() -> Iterator[Callable[[str, float], None]]:
    """Show jobs one after another; the block passes a job's name and the share done, in [0, 1]."""
    with ExitStack() as stack:
        shown, done = "", 0
        update: Advance = _ignore

        def show(what: str, share: float) -> None:
            nonlocal shown, done, update
            if what != shown:
                stack.close()
                shown, done = what, 0
                if not sys.stderr.isatty():
                    step(what)
                update = stack.enter_context(bar(what, _PERCENT, percent=True))
            now = int(share * _PERCENT)
            update(now - done)
            done = now

        yield show


class TimeLeft:
    """An estimate of the time left, from the speed of the last items.

    The clock starts with the first report: what came before it, such as starting processes, warm-up, or the
    items of a run that is resumed, says nothing about the items to come.

    Args:
        total: number of items.

    Attributes:
        done: items done.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._recent: deque[tuple[float, int]] = deque()

    def advance(self, count: int, now: float | None = None) -> None:
        """Note that so many items were just done; `now` is in seconds on any clock that does not jump."""
        self.done += count
        now = time.monotonic() if now is None else now
        self._recent.append((now, self.done))
        while len(self._recent) > 2 and now - self._recent[1][0] >= _RECENT_S:
            self._recent.popleft()

    def seconds(self) -> float | None:
        """Return the estimate; None where there is nothing yet to estimate from."""
        if not self._recent:
            return None
        (begun, before), (now, done) = self._recent[0], self._recent[-1]
        return (now - begun) / (done - before) * (self.total - self.done) if done > before else None

    def text(self) -> str:
        """Return the estimate in words; nothing where there is none."""
        seconds = self.seconds()
        return "" if seconds is None else f"about {seconds:.0f} s left"


def _ignore(count: int, note: str = "") -> None:
    """Show nothing."""


def _log_lines(label: str, left: TimeLeft, *, percent: bool) -> Advance:
    last = time.monotonic()

    def update(count: int, note: str = "") -> None:
        nonlocal last
        left.advance(count)
        now = time.monotonic()
        if now - last >= _LOG_INTERVAL:
            last = now
            done = f"{left.done} %" if percent else f"{left.done} of {left.total}"
            told = ", ".join(part for part in (done, left.text(), note) if part)
            click.echo(f"  {label}: {told}", err=True)

    return update
