"""Sources by targets: what networks, each trained on its own set, are worth on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.render import Column, Table
from osnet_edge.bench.report.verification import Verifier
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.package import schema

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DomainScores:
    """One network on one set, ranked in one way.

    Attributes:
        source: the network, by its file's name.
        variant: which network it is, such as "osnet_x0_25".
        target: the set.
        protocol: see `score_retrieval`.
        splits: test splits that the scores are the mean of.
        size: height and width of the network's input, in pixels.
        distance: "cosine" or "euclidean".
        reranked: whether by k-reciprocal neighbours.
        scores: the figures.
    """

    source: str
    variant: str
    target: str
    protocol: str
    splits: int
    size: tuple[int, int]
    distance: str
    reranked: bool
    scores: RetrievalScores

    @property
    def way(self) -> str:
        """How it was ranked, in words."""
        return f"{self.distance}, re-ranked" if self.reranked else self.distance

    @property
    def test(self) -> str:
        """What it was tested on and how, in words."""
        scores = self.scores
        splits = f"mean of {self.splits} splits, " if self.splits > 1 else ""
        skipped = f" ({scores.skipped} without a match, left out)" if scores.skipped else ""
        return (
            f"{self.protocol} protocol, {splits}{counted(scores.queries, 'query')}{skipped} against "
            f"{counted(scores.gallery, 'gallery image')}"
        )


def lead(results: Sequence[DomainScores]) -> str:
    """Return what the best of the results is, in a sentence."""
    best = max(results, key=lambda each: each.scores.mean_ap)
    rank1, mean_ap = numbers.percent(best.scores.rank1), numbers.percent(best.scores.mean_ap)
    return f"{best.source} on {best.target}: Rank-1 {rank1} %, mAP {mean_ap} % ({best.way}, {best.test})."


def score_table(results: Sequence[DomainScores]) -> Table[DomainScores]:
    """Return every figure: a row for each source, target and way."""

    def figure(heading: str, name: str, priority: int) -> Column[DomainScores]:
        return Column(
            lambda each: getattr(each.scores, name),
            numbers.percent,
            page=heading,
            unit="%",
            text=f"{heading} %",
            priority=priority,
        )

    columns: list[Column[DomainScores]] = [
        Column(
            lambda each: each.source,
            page="Network",
            text="source",
            words=True,
            below=lambda each: (f"{each.target}, {each.way}",),
        ),
        Column(lambda each: each.target, text="target", words=True),
        Column(lambda each: each.way, text="distance", words=True),
        figure("Rank-1", "rank1", 2),
        figure("Rank-5", "rank5", 2),
        figure("Rank-10", "rank10", 2),
        figure("Rank-20", "rank20", 2),
        figure("mAP", "mean_ap", 1),
        figure("mINP", "mean_inp", 2),
    ]
    tests = "; ".join(
        f"{each.target}: {each.test}" for each in {each.target: each for each in results}.values()
    )
    note = (
        "Rank-k: queries with a match among the first k. mAP: mean average precision. mINP: share of right "
        f"answers down to the last one. {tests}."
    )
    return Table(columns, results, "Scores", note)


def cross_tables(results: Sequence[DomainScores]) -> dict[str, Table[str]]:
    """Return, for each way to rank, Rank-1 / mAP with a row for each source and a column for each target."""
    ways, sources, targets = (
        list(dict.fromkeys(getattr(each, name) for each in results)) for name in ("way", "source", "target")
    )
    shown = {
        (each.way, each.source, each.target): (
            f"{numbers.percent(each.scores.rank1)} / {numbers.percent(each.scores.mean_ap)}"
        )
        for each in results
    }

    def column(way: str, target: str) -> Column[str]:
        return Column(lambda source: shown.get((way, source, target)), page=target, text=target)

    source: Column[str] = Column(str, page="Network", text="source", words=True)
    return {
        way: Table(
            [source, *(column(way, target) for target in targets)], sources, f"Sources by targets, {way}"
        )
        for way in ways
    }


def results_document(results: Sequence[DomainScores], verifiers: Sequence[Verifier] = ()) -> dict[str, Any]:
    """Return the results as what `json.dumps` takes; thresholds only where they were asked for."""
    document = {"schema_version": SCHEMA_VERSION, "results": schema.to_json(list(results))}
    if verifiers:
        document["verification"] = {each.name: schema.to_json(each.figures) for each in verifiers}
    return document
