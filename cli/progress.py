"""What a person sees while they wait, on standard error, so that results can be piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import click

#: Seconds between lines where standard error is no terminal: a log shows life, and is not flooded.
_LOG_INTERVAL = 10.0
_PERCENT = 100


def step(text: str) -> None:
    """Say what is being done now."""
    click.echo(f"  {text} ...", err=True)


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress with the time left; the block calls what it gets with the number of items just done."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, label=f"  {label}", file=sys.stderr) as shown:
            yield shown.update
        return
    yield _log_lines(label, total)


@contextmanager
def shares() -> Iterator[Callable[[str, float], None]]:
    """Show jobs one after another; the block calls with a job's name and the share of it done, in [0, 1]."""
    with ExitStack() as stack:
        shown, done = "", 0
        update: Callable[[int], None] = _ignore

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


def _ignore(count: int) -> None:
    """Show nothing, before the first job."""


def _log_lines(label: str, total: int) -> Callable[[int], None]:
    started = last = time.monotonic()
    done = 0

    def update(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _LOG_INTERVAL:
            last = now
            left = (now - started) / max(1, done) * (total - done)
            click.echo(f"  {label}: {done} of {total}, about {left:.0f} s left", err=True)

    return update
