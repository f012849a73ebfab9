"""The figures of a run for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

# At the top, so that a library that is missing is said before a run's folder is made.
from tensorboardX import SummaryWriter

from osnet_edge.train.run_progress import EpochReport


class EventLog:
    """Event files of a run, one more each time it resumes.

    Args:
        folder: where they go.
        first: epochs done when the log opens; later ones of an earlier file are hidden by it.
        write: whether this process writes at all.
    """

    def __init__(self, folder: Path, first: int, *, write: bool) -> None:
        self._writer: Any = None
        if write:
            self._writer = SummaryWriter(str(folder), purge_step=first + 1, flush_secs=10)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, report: EpochReport) -> None:
        """Add the figures of an epoch."""
        if self._writer is None:
            return
        for name in ("loss", "accuracy", "learning_rate", "images_per_second"):
            self._writer.add_scalar(f"train/{name}", getattr(report, name), report.epoch)
        for data, scores in report.tests.items():
            for name, value in scores.items():
                self._writer.add_scalar(f"{data}/{name}", value, report.epoch)
        self._writer.flush()
