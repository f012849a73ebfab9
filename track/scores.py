"""HOTA, IDF1, MOTA and what they are made of, computed by TrackEval from MOT17's files.

Source: "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking" (Luiten et al., 2021); "Performance
Measures and a Data Set for Multi-Target, Multi-Camera Tracking" (Ristani et al., 2016) for IDF1; "Evaluating
Multiple Object Tracking Performance: The CLEAR MOT Metrics" (Bernardin and Stiefelhagen, 2008) for MOTA.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence as Listed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.track.sequence import Marked, Sequence, Tracks, mot_cells

#: Resamples of an interval.
_DRAWS = 1000
_NAME = "tracks"


@dataclass(frozen=True)
class TrackingScores:
    """How well identities were kept; all but the counts in percent.

    Attributes:
        hota: higher order tracking accuracy, the mean over thresholds of IoU from 0.05 to 0.95.
        deta: its part for detection.
        assa: its part for association.
        idf1: F1 of identities, over the whole of each sequence.
        mota: multiple object tracking accuracy.
        switches: identity switches.
        fragmentations: how often a person's track was interrupted and went on.
    """

    hota: float
    deta: float
    assa: float
    idf1: float
    mota: float
    switches: int
    fragmentations: int


class ScoredTracks:
    """TrackEval's figures of each sequence, and of all or some of them together.

    Args:
        parts: TrackEval's result of each sequence, by metric.
    """

    def __init__(self, parts: Listed[Mapping[str, Any]]) -> None:
        self._parts = tuple(parts)

    @property
    def count(self) -> int:
        """How many sequences, or windows of them, these are."""
        return len(self._parts)

    def scores(self, chosen: Listed[int] | None = None) -> TrackingScores:
        """Return the figures over sequences.

        Args:
            chosen: indices of sequences, some more than once; None takes each once.
        """
        parts = self._parts if chosen is None else [self._parts[k] for k in chosen]
        whole = {
            name: metric.combine_sequences({str(k): part[name] for k, part in enumerate(parts)})
            for name, metric in _metrics().items()
        }
        hota, clear, identity = whole["HOTA"], whole["CLEAR"], whole["Identity"]
        return TrackingScores(
            hota=100 * float(np.mean(hota["HOTA"])),
            deta=100 * float(np.mean(hota["DetA"])),
            assa=100 * float(np.mean(hota["AssA"])),
            idf1=100 * float(identity["IDF1"]),
            mota=100 * float(clear["MOTA"]),
            switches=int(clear["IDSW"]),
            fragmentations=int(clear["Frag"]),
        )


def score_tracks(sequences: Listed[Sequence], tracks: Listed[Tracks]) -> ScoredTracks:
    """Score tracks against who is who.

    Args:
        sequences: with their ground truth.
        tracks: of each sequence.

    Returns:
        The figures of each sequence, in order.

    Raises:
        InputError: a sequence has no ground truth.
        UnavailableError: TrackEval is not installed.
    """
    parts = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for number, (sequence, found) in enumerate(zip(sequences, tracks, strict=True)):
            if sequence.truth is None:
                raise InputError(f"expected who is who in gt/gt.txt of {sequence.name}, found no such file")
            parts.append(_evaluate(Path(folder, str(number)), sequence.truth, found))
    return ScoredTracks(parts)


def paired_interval(
    mine: ScoredTracks, other: ScoredTracks, metric: str, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of `mine` minus `other`, by a paired bootstrap over sequences.

    Args:
        mine: figures of the same sequences as `other`.
        other: what to compare with.
        metric: a field of `TrackingScores`.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(_DRAWS):
        chosen = rng.integers(mine.count, size=mine.count).tolist()
        differences.append(getattr(mine.scores(chosen), metric) - getattr(other.scores(chosen), metric))
    low, high = np.percentile(differences, (2.5, 97.5))
    return float(low), float(high)


def _evaluate(folder: Path, truth: Listed[Marked], found: Tracks) -> dict[str, Any]:
    """Let TrackEval read a sequence from files in its MOT17 layout, and return its figures by metric."""
    trackeval = _trackeval()
    for kind in ("truth/one/gt", f"results/{_NAME}/data"):
        (folder / kind).mkdir(parents=True)
    lines = [
        f"{frame},{who},{mot_cells(box)},{considered:d},{kind},{visible!r}\n"
        for frame, marked in enumerate(truth, 1)
        for who, box, considered, kind, visible in zip(
            marked.ids.tolist(),
            marked.boxes.tolist(),
            marked.considered.tolist(),
            marked.kinds.tolist(),
            marked.visible.tolist(),
            strict=True,
        )
    ]
    (folder / "truth/one/gt/gt.txt").write_text("".join(lines), encoding="ascii")
    (folder / f"results/{_NAME}/data/one.txt").write_text(
        "".join(found.lines(range(1, len(truth) + 1))), encoding="ascii"
    )
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder / "truth"),
            "TRACKERS_FOLDER": str(folder / "results"),
            "TRACKERS_TO_EVAL": [_NAME],
            "SEQ_INFO": {"one": len(truth)},
            "SKIP_SPLIT_FOL": True,
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data(_NAME, "one"), "pedestrian")
    return {name: metric.eval_sequence(data) for name, metric in _metrics().items()}


def _metrics() -> dict[str, Any]:
    metrics = _trackeval().metrics
    quiet = {"PRINT_CONFIG": False}
    return {"HOTA": metrics.HOTA(), "CLEAR": metrics.CLEAR(quiet), "Identity": metrics.Identity(quiet)}


def _trackeval() -> Any:
    """Import TrackEval, which prints what it misses for data sets that are not read here."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import trackeval
    except ImportError as error:
        raise UnavailableError(
            f"tracking is scored by TrackEval, which is not installed here ({error}); "
            "pip install 'osnet-edge[tracking]'"
        ) from None
    return trackeval
