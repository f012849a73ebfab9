"""What a manifest says of the tuning that a package won: all candidates, and why each was dropped."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from osnet_edge.runtime.package.decisions import AccuracyLoss


@dataclass(frozen=True)
class TunedCandidate:
    """One way to run the network.

    Attributes:
        name: library, precision, rewrite and options, in words.
        backend: the library.
        precision: of its arithmetic.
        rewrite: passes that its graph was rewritten by.
        options: of its builder, by name.
        milliseconds: for a batch, by batch size. Measured ones are medians over rounds of its time against
            the reference's in the same round, times the reference's median; so rounds that the machine was
            busy in weigh on nobody. Empty where it could not be built.
        spread: interquartile range of those times over the median, by batch size; empty in an estimate.
        rounds: how often it was timed; 0 in an estimate.
        loss: what it loses against float32 on held-out people; None where that was not measured.
        launches: kernels that a run of its plan launches; None where there is no plan to read it from.
        dropped: why it was not taken; None for the winner.
    """

    name: str
    backend: str
    precision: str
    rewrite: tuple[str, ...] = ()
    options: dict[str, int] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    rounds: int = 0
    loss: AccuracyLoss | None = None
    launches: int | None = None
    dropped: str | None = None

    @property
    def picture_ms(self) -> float | None:
        """The score: geometric mean over the batch sizes of milliseconds an image.

        Example:
            >>> TunedCandidate("a", "onnxruntime", "fp32", milliseconds={"1": 2.0, "8": 4.0}).picture_ms
            1.0
        """
        if not self.milliseconds:
            return None
        logs = [math.log(ms / int(batch)) for batch, ms in self.milliseconds.items()]
        return math.exp(sum(logs) / len(logs))


@dataclass(frozen=True)
class Tuning:
    """A tuning.

    Attributes:
        how: `measured` on the device, or `estimated` by a cost model, where it could not run.
        device: what it was measured on, or estimated for.
        batches: batch sizes that count alike.
        budget: points of mAP that might be lost; None where none was given.
        budget_rank1: the same of Rank-1.
        reference: name of the published graph, which a winner must beat.
        winner: name of what was taken.
        why: in a line.
        notes: what was not tried, and what the figures rest on, a line each.
        candidates: all of them, fastest first; those without times last.
    """

    how: Literal["measured", "estimated"]
    device: str
    batches: tuple[int, ...]
    budget: float | None
    budget_rank1: float | None
    reference: str
    winner: str
    why: str
    notes: tuple[str, ...]
    candidates: tuple[TunedCandidate, ...]
