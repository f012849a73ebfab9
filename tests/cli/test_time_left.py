"""The time left, as a progress line says it: from the recent speed, not from the first slow steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from osnet_edge.cli.progress import TimeLeft


def ticks(*times: float) -> Iterator[float]:
    yield from times


@pytest.mark.parametrize(
    ("times", "left"),
    [
        pytest.param((0.0,), None, id="one report says nothing of the speed"),
        pytest.param(
            (60.0, 61.0), 8.0, id="the first report ends a warm-up of a minute, which does not count"
        ),
        pytest.param((60.0, 61.0, 62.0, 63.0), 6.0, id="an even speed"),
        pytest.param((1.0, 1.0), 0.0, id="two reports at one time"),
    ],
)
def test_the_time_left_leaves_the_warm_up_out(times: tuple[float, ...], left: float | None) -> None:
    clock = ticks(*times)
    work = TimeLeft(10, lambda: next(clock))
    for _ in times:
        work.advance(1)
    assert work.seconds() == left


def test_the_time_left_follows_a_machine_that_gets_slower() -> None:
    times = [*(float(k) for k in range(100)), *(100.0 + 10 * k for k in range(100))]
    clock = iter(times)
    work = TimeLeft(300, lambda: next(clock))
    for _ in times:
        work.advance(1)
    assert work.seconds() == pytest.approx(1000.0)
