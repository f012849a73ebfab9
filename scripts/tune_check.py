"""Whether the tuner tunes: what it picks in ten runs, against every candidate timed as long as its finalists.

Run it as `python scripts/tune_check.py MODEL` on a quiet machine. Losses play no part in it: what
is checked is that the fastest is found. Nothing is kept between runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import click

from osnet_edge.cli.options import parse_numbers, parse_size, read_calibration
from osnet_edge.cli.progress import step
from osnet_edge.cli.tune import graphs_of
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.cache import TuningCache
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.halving import Plan, exhaust, halve
from osnet_edge.engines.tuning.measure import choose, field_of
from osnet_edge.engines.tuning.race import Race
from osnet_edge.engines.tuning.request import TuneRequest, list_candidates
from osnet_edge.engines.tuning.stopwatch import Stopwatch
from osnet_edge.engines.tuning.tune import make_stopwatch
from osnet_edge.train.synthetic import sample_crops

if TYPE_CHECKING:
    from osnet_edge.runtime.precisions import Precision

#: Where its weights come to lie in memory makes an engine some percent faster or slower: all are timed in so
#: many passes, and loaded anew for each.
_PASSES = 3
#: How much slower than the best still counts as found.
_NEAR = 1.05


@dataclass(frozen=True)
class Run:
    """One tuning: what it picked, its time over the best's, and seconds of timing and in all."""

    picked: Candidate
    over_best: float
    over_published: float
    timing: float
    elapsed: float


@click.command()
@click.argument("model")
@click.option("--target", default="cpu:fastest", show_default=True, help="One of a CPU's.")
@click.option("--batch", default="1,8,32", show_default=True, help="Batch sizes.")
@click.option("--precision", default="fp32,bf16", show_default=True, help="Precisions to try.")
@click.option("--calibration", metavar="FILE", help="For int8 among them.")
@click.option("--rewrite", "rewrites", multiple=True, help="As tune takes them.")
@click.option("--size", default="256x128", show_default=True, help="Of a checkpoint's input.")
@click.option("--runs", default=10, show_default=True, help="How often the tuner runs.")
def main(
    model: str,
    target: str,
    batch: str,
    precision: str,
    calibration: str | None,
    rewrites: tuple[str, ...],
    size: str,
    runs: int,
) -> None:
    """Run the check on MODEL, and print what each run picked and what it cost.

    \b
    Example:
      python scripts/tune_check.py osnet_x0_25_msmt17.pth --batch 1,8
    """
    with graphs_of(model, target, rewrites, parse_size(size)) as (graphs, _), TemporaryDirectory() as scratch:
        request = TuneRequest(
            graphs,
            target,
            parse_numbers(batch, "--batch"),
            sample_crops(2, 100, 40),
            read_calibration(calibration, 100.0, None, budget_alone=True),
            precisions=cast("tuple[Precision, ...]", tuple(precision.split(","))),
        )
        candidates, _ = list_candidates(request, timed=True)
        cache = TuningCache(None, None)
        accuracy = Accuracy(
            request.by_rewrite,
            request.calibration,
            cache,
            request.golden_crops,
            request.spec.processor,
            lambda _: None,
        )

        def stopwatch() -> Stopwatch:
            return make_stopwatch(request, candidates, accuracy, cache, Path(scratch), lambda _: None)

        step(f"timing all {len(candidates)} candidates")
        began, every, truth = time.monotonic(), stopwatch(), Race(str(candidates[0]))
        rounds = sum(rounds for _, rounds in request.plan.rungs(len(candidates)))
        for _ in range(_PASSES):
            truth.add(exhaust(field_of(candidates), every, rounds // _PASSES, request.plan))
            every.close()
        elapsed = time.monotonic() - began
        done = []
        for number in range(runs):
            step(f"run {number + 1} of {runs}")
            done.append(_tune(candidates, stopwatch(), truth, request.plan))
    for line in _lines(candidates, truth, every.seconds, elapsed, done):
        click.echo(line)


def _tune(candidates: Sequence[Candidate], stopwatch: Stopwatch, truth: Race, plan: Plan) -> Run:
    """Halve and pick as the tuner does, and look up what was picked in the times of all."""
    began = time.monotonic()
    race, last = halve(field_of(candidates), stopwatch, plan)
    elapsed = time.monotonic() - began
    stopwatch.close()
    picked, _ = choose(candidates, race, last)
    best = min(truth.score(name) for name in truth.names())
    score, published = truth.score(str(picked)), truth.score(str(picked.plain))
    return Run(picked, score / best, score / published, stopwatch.seconds, elapsed)


def _lines(
    candidates: Sequence[Candidate], truth: Race, timing: float, elapsed: float, runs: Sequence[Run]
) -> list[str]:
    best = sorted(truth.names(), key=truth.score)[:3]
    found = sum(run.over_best <= _NEAR for run in runs)
    slower = sum(run.over_published > 1 for run in runs)
    return [
        f"{len(candidates)} candidates; all timed in {timing:.1f} s ({elapsed:.1f} s with loading)",
        f"{truth.reference} is 1; best: " + ", ".join(f"{name} {truth.score(name):.3f}" for name in best),
        *(
            f"run {number}: {run.picked}, {run.over_best:.3f} times the best, timed in {run.timing:.1f} s"
            for number, run in enumerate(runs, start=1)
        ),
        f"the best, or one within {_NEAR - 1:.0%}, in {found} of {len(runs)} runs",
        f"a rewrite slower than the published graph in {slower} of {len(runs)} runs",
        f"in {statistics.fmean(run.timing for run in runs) / timing:.2f} of the time, "
        f"{statistics.fmean(run.elapsed for run in runs) / elapsed:.2f} with loading",
    ]


if __name__ == "__main__":
    main()
