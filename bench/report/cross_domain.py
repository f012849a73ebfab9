"""Sources by targets: what networks, each trained on its own set, are worth on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.bench.report import _format
from osnet_edge.bench.report.text_tables import Table
from osnet_edge.runtime.package import schema

SCHEMA_VERSION = 1

_FIGURES = ("Rank-1 %", "Rank-5 %", "Rank-10 %", "Rank-20 %", "mAP %", "mINP %")


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
    def figures(self) -> tuple[str, ...]:
        """Rank-1, 5, 10, 20, mAP and mINP in percent."""
        s = self.scores
        shares = (s.rank1, s.rank5, s.rank10, s.rank20, s.mean_ap, s.mean_inp)
        return tuple(_format.MISSING if share is None else _format.percent(share) for share in shares)


def score_table(results: Sequence[DomainScores]) -> Table:
    """Return every figure: a row for each source, target and way."""
    rows = [
        [_format.printable(each.source), _format.printable(each.target), each.way, *each.figures]
        for each in results
    ]
    return Table(("source", "target", "distance", *_FIGURES), rows, words=3)


def cross_tables(results: Sequence[DomainScores]) -> dict[str, Table]:
    """Return, for each way to rank, Rank-1 / mAP with a row for each source and a column for each target."""
    ways, sources, targets = (
        list(dict.fromkeys(getattr(each, name) for each in results)) for name in ("way", "source", "target")
    )
    shown = {
        (each.way, each.source, each.target): f"{each.figures[0]} / {each.figures[4]}" for each in results
    }
    return {
        way: Table(
            ("source", *map(_format.printable, targets)),
            [
                [
                    _format.printable(source),
                    *(shown.get((way, source, target), _format.MISSING) for target in targets),
                ]
                for source in sources
            ],
        )
        for way in ways
    }


def results_document(results: Sequence[DomainScores]) -> dict[str, Any]:
    """Return the results as what `json.dumps` takes."""
    return {"schema_version": SCHEMA_VERSION, "results": schema.to_json(list(results))}
