"""How far a run has come: plain numbers, that JSON holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from osnet_edge.runtime.errors import InputError


@dataclass(frozen=True)
class EpochReport:
    """How an epoch went.

    Attributes:
        epoch: its number, from 1.
        loss: mean over its steps.
        accuracy: share of pictures put to the right identity.
        learning_rate: at its end.
        images_per_second: trained on, waiting for pictures included.
        skipped_steps: left out because float16 gradients overflowed, as some do until their scale is found.
        tests: scores on test sets after it, by name of the set, where they were asked for.
    """

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float
    skipped_steps: int = 0
    tests: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class RunProgress:
    """Where a run stands; order, augmentation and rate follow from it, so no random state is kept.

    Attributes:
        epoch: epochs done.
        step: steps done in the epoch at hand.
        loss_sum: of those steps.
        hits: pictures of those steps put to the right identity.
        seconds: spent on those steps.
        skipped: those steps that changed nothing, see `EpochReport.skipped_steps`.
        reports: of the epochs done.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    seconds: float = 0.0
    skipped: int = 0
    reports: tuple[EpochReport, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no run comes to."""
        if min(self.step, self.hits, self.seconds, self.skipped) < 0 or self.skipped > self.step:
            raise InputError(f"expected counts of 0 or more, got {self}"[:200])
        if [report.epoch for report in self.reports] != list(range(1, self.epoch + 1)):
            raise InputError(
                f"expected a report of each epoch done, got {len(self.reports)} for {self.epoch}"
            )

    def add(self, loss: float, hits: int, seconds: float, *, skipped: bool) -> None:
        """Count a step."""
        self.step += 1
        self.loss_sum += loss
        self.hits += hits
        self.seconds += seconds
        self.skipped += skipped

    def close_epoch(self, report: EpochReport) -> None:
        """Count an epoch."""
        self.epoch += 1
        self.step, self.loss_sum, self.hits, self.seconds, self.skipped = 0, 0.0, 0, 0.0, 0
        self.reports = (*self.reports, report)
