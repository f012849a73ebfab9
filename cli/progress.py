"""Progress on standard error, so that results can be piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import click

from osnet_edge.runtime.errors import printable

#: Seconds between progress lines if standard error is not a terminal, so that a log is not flooded.
_LOG_INTERVAL = 10.0
_PERCENT = 100


def step(text: str) -> None:
    """Show the current step, or a warning."""
    text = printable(text)
    click.echo(text if text.startswith("warning: ") else f"  {text} ...", err=True)


def say(text: str) -> None:
    """Show a message above a bar; in a terminal it takes the bar's line, and the bar continues below."""
    text = printable(text)
    cleared = "\r\x1b[K" if sys.stderr.isatty() else ""
    click.echo(f"{cleared}  {text}", err=True)


class Advance(Protocol):
    """Called by a block with the number of items just done, and a short status."""

    def __call__(self, count: int, note: str = "") -> None:
        """Show it."""


@contextmanager
def bar(label: str, total: int, *, shown: bool = True) -> Iterator[Advance]:
    """Show progress with the time left; the block passes the number of items just done."""
    if not shown:
        yield _ignore
    elif sys.stderr.isatty():
        with click.progressbar(
            length=total, label=f"  {label}", file=sys.stderr, item_show_func=lambda note: note
        ) as terminal:
            yield lambda count, note="": terminal.update(count, note)
    else:
        yield _log_lines(label, total)


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
                update = stack.enter_context(bar(what, _PERCENT))
            now = int(share * _PERCENT)
            update(now - done)
            done = now

        yield show


def _ignore(count: int, note: str = "") -> None:
    """Show nothing."""


def _log_lines(label: str, total: int) -> Advance:
    started = last = time.monotonic()
    done = 0

    def update(count: int, note: str = "") -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _LOG_INTERVAL:
            last = now
            left = (now - started) / max(1, done) * (total - done)
            told = f", {note}" if note else ""
            click.echo(f"  {label}: {done} of {total}, about {left:.0f} s left{told}", err=True)

    return update
