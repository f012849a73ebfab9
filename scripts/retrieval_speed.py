"""How long scoring takes, and how much memory, against ranking query by query.

Run it as `python scripts/retrieval_speed.py`. Embeddings are random rows of length 1; what they are
of does not change the time. Each set is measured in a process of its own, so that peak memory is that of one.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import click
import numpy as np

from osnet_edge.bench.metrics.distances import FloatArray, cosine_distances
from osnet_edge.bench.metrics.evaluate import score_retrieval
from osnet_edge.bench.metrics.ranking import Labels
from osnet_edge.runtime.package.golden import normalize_rows

#: Queries that the slow ways are timed on; the rest of their time follows from the share.
_SAMPLE = 200


@dataclass(frozen=True)
class TestSize:
    """The counts of a public test set."""

    queries: int
    gallery: int
    identities: int
    cameras: int


SIZES = {
    "market1501": TestSize(3_368, 15_913, 750, 6),
    "msmt17": TestSize(11_659, 82_161, 3_060, 15),
}


def random_test(size: TestSize, seed: int = 0) -> tuple[FloatArray, FloatArray, Labels]:
    """Return query and gallery embeddings (Q, 512) and (G, 512) and labels, all at random."""
    rng = np.random.default_rng(seed)
    counts = (size.queries, size.gallery)
    features = [normalize_rows(rng.standard_normal((count, 512), dtype=np.float32)) for count in counts]
    ids = [rng.integers(0, size.identities, count) for count in counts]
    cameras = [rng.integers(0, size.cameras, count) for count in counts]
    return features[0], features[1], Labels(*ids, *cameras)


def rank_in_python(row: FloatArray, labels: Labels, query: int) -> list[int]:
    """Return the ranks of a query's matches as one would write it first: sort, and walk down the list."""
    identity, camera = labels.query_ids[query], labels.query_cameras[query]
    ids, cameras = labels.gallery_ids.tolist(), labels.gallery_cameras.tolist()
    distances = row.tolist()
    ranks, place = [], 0
    for entry in sorted(range(len(distances)), key=distances.__getitem__):
        if ids[entry] == identity and cameras[entry] == camera:
            continue
        place += 1
        if ids[entry] == identity:
            ranks.append(place)
    return ranks


def rank_in_numpy(row: FloatArray, labels: Labels, query: int) -> list[int]:
    """Return the same by whole arrays, still one query at a time."""
    order = np.argsort(row, kind="stable")
    same = labels.gallery_ids[order] == labels.query_ids[query]
    kept = ~(same & (labels.gallery_cameras[order] == labels.query_cameras[query]))
    ranks: list[int] = (np.flatnonzero(same[kept]) + 1).tolist()
    return ranks


def _measure(name: str, threads: int) -> None:
    """Print a row for each way to rank one set."""
    query, gallery, labels = random_test(SIZES[name])
    started = time.perf_counter()
    score_retrieval(
        query,
        gallery,
        labels.query_ids,
        labels.gallery_ids,
        labels.query_cameras,
        labels.gallery_cameras,
        threads=threads,
    )
    ours = time.perf_counter() - started
    # Linux counts it in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _row(name, f"score_retrieval, {threads} threads", f"{ours:.2f}", "", f"{peak / 1e6:.0f}")
    chosen = np.linspace(0, len(query) - 1, _SAMPLE).astype(int)
    rows = cosine_distances(query[chosen], gallery)
    for way, rank in {"NumPy": rank_in_numpy, "Python": rank_in_python}.items():
        seconds = _seconds_a_query(rank, rows, labels, chosen.tolist()) * len(query)
        _row(name, f"a query at a time in {way}", f"{seconds:.1f}", f"{seconds / ours:.1f}x", "")


def _seconds_a_query(
    rank: Callable[[FloatArray, Labels, int], list[int]],
    rows: FloatArray,
    labels: Labels,
    queries: list[int],
) -> float:
    started = time.perf_counter()
    for row, query in zip(rows, queries, strict=True):
        rank(row, labels, query)
    return (time.perf_counter() - started) / len(queries)


def _row(name: str, way: str, seconds: str, ratio: str, peak: str) -> None:
    print(f"{name:10}  {way:29}  {seconds:>8}  {ratio:>6}  {peak:>7}", flush=True)


@click.command(help=__doc__)
@click.option("--only", type=click.Choice(list(SIZES)), help="Measure one set, in this process.")
def main(only: str | None) -> None:
    """Print a table of all sets, or the rows of one."""
    if only:
        _measure(only, threads=2)
        return
    _row("set", "way", "s", "ours", "peak MB")
    for name in SIZES:
        # Our own script in our own interpreter.
        subprocess.run([sys.executable, __file__, "--only", name], check=True)  # noqa: S603
    print(
        f"The slow ways are timed on {_SAMPLE} queries, without the distances, which ours includes, and\n"
        "without the metrics; their time for all follows."
    )


if __name__ == "__main__":
    main()
