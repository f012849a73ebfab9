"""What became of people's identities in sequences, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.render import Column, Table
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.bench.result.tracking import TrackedSet, Tracking
from osnet_edge.runtime.counted import counted

#: How the baseline is called, which has no embeddings.
MOTION = "motion alone"


@dataclass(frozen=True)
class TrackedRow:
    """A row: tracks by an engine, or by motion alone.

    Attributes:
        name: of the engine.
        measured: of its tracks.
        base: the same of the reference; None where that was not measured, and of the reference itself.
    """

    name: str
    measured: Tracking
    base: Tracking | None

    @property
    def across_change(self) -> float | None:
        """IDF1 across cameras less the reference's, in points."""
        if self.base is None or self.base.across_idf1 is None or self.measured.across_idf1 is None:
            return None
        return self.measured.across_idf1 - self.base.across_idf1


def tracked_rows(result: BenchResult) -> list[TrackedRow]:
    """Return a row for each engine that was measured, and the baseline behind them."""
    base = result.reference.tracking
    found = [
        TrackedRow(each.name, each.tracking, None if each.reference else base)
        for each in result.engines
        if each.tracking
    ]
    return [*found, *([TrackedRow(MOTION, result.tracked.motion, base)] if result.tracked else [])]


def tracking_table(result: BenchResult) -> Table[TrackedRow]:
    """Return the scores and the times of tracks by each engine and by motion alone."""

    def percent(heading: str, name: str) -> Column[TrackedRow]:
        return Column(
            lambda row: getattr(row.measured.scores, name),
            _percent,
            page=heading,
            unit="%",
            text=f"{heading} %",
            csv=name,
            below=lambda row: _change(row, name),
        )

    def milliseconds(heading: str, name: str) -> Column[TrackedRow]:
        return Column(
            lambda row: getattr(row.measured, name),
            numbers.milliseconds,
            page=heading,
            unit="ms",
            text=f"{heading.lower()} ms",
            csv=f"track_{name}",
        )

    columns: list[Column[TrackedRow]] = [
        Column(lambda row: row.name, text="engine", csv="engine", words=True),
        percent("IDF1", "idf1"),
        Column(
            lambda row: row.measured.change and row.measured.change.idf1,
            _points,
            text="points",
            csv="idf1_change",
        ),
        Column(
            lambda row: row.measured.change and row.measured.change.idf1_interval,
            _interval,
            text="95 % interval",
        ),
        percent("HOTA", "hota"),
        percent("MOTA", "mota"),
        Column(lambda row: row.measured.scores.deta, csv="deta"),
        Column(lambda row: row.measured.scores.assa, csv="assa"),
        Column(lambda row: row.measured.scores.switches, page="Switches", text="switches", csv="switches"),
        Column(
            lambda row: row.measured.scores.fragmentations,
            page="Fragments",
            text="fragments",
            csv="fragmentations",
        ),
        Column(
            lambda row: row.measured.across_idf1,
            _percent,
            page="IDF1 across cameras",
            unit="%",
            text="across cameras %",
            csv="across_idf1",
            below=lambda row: [] if row.across_change is None else [_points(row.across_change)],
        ),
        milliseconds("Crop", "crop_ms"),
        milliseconds("Embed", "embed_ms"),
        milliseconds("Associate", "associate_ms"),
        Column(
            lambda row: row.measured.frames_per_second,
            numbers.rate,
            page="Rate",
            unit="frames/s",
            text="frames/s",
            csv="track_frames_per_second",
        ),
    ]
    rows = tracked_rows(result)
    note = _note(result.tracked, rows) if result.tracked else ""
    return Table(columns, rows, "Identities through sequences", note, group=lambda row: row.name)


def _change(row: TrackedRow, name: str) -> Sequence[str]:
    """Say the change from the reference, and the interval of that where there is one."""
    if row.measured.change is None:
        return ()
    ends = getattr(row.measured.change, f"{name}_interval")
    return (_points(getattr(row.measured.change, name)), *([_interval(ends)] if ends else []))


def _note(tracked: TrackedSet, rows: Sequence[TrackedRow]) -> str:
    resampled = {row.measured.change.resampled for row in rows if row.measured.change}
    interval = f", and its 95 % interval by a paired bootstrap over {' or '.join(sorted(resampled))}"
    sentences = [
        f"By the reference tracker in {counted(len(tracked.sequences), 'sequence')} of "
        f"{counted(tracked.frames, 'frame')} in all, with {tracked.people:.1f} boxes a frame on average; for "
        f"every engine a cosine of {tracked.threshold:.4g} or more is taken for the same person.",
        "The boxes are those marked, and no detector's." if "gt.txt" in tracked.detectors else "",
        "IDF1: boxes with the right identity over a whole sequence; HOTA: detection and association alike; "
        "switches: how often a person gets another identity; fragments: how often a track is interrupted.",
        f"Below each, its change from the reference in points{interval if resampled else ''}.",
        "Across cameras: with a gallery that the cameras of a site share." if tracked.sites else "",
        "Times are means of a frame, from the frame and its boxes on; the rate is that of one stream.",
        f"{MOTION.capitalize()}: without embeddings.",
    ]
    return " ".join(filter(None, sentences))


def _percent(value: float) -> str:
    return numbers.percent(value / 100)


def _points(change: float) -> str:
    return numbers.points(change / 100)


def _interval(ends: tuple[float, float]) -> str:
    return numbers.interval((ends[0] / 100, ends[1] / 100))
