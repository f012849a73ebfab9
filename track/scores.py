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
from osnet_edge.track.sequence import Ids, Marked, Sequence, Tracks, mot_cells

#: IoU from which a box is on a person, for IDF1.
_NEAR = 0.5
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


@dataclass(frozen=True, eq=False)
class ScoredTracks:
    """What TrackEval says of the tracks of sequences.

    Attributes:
        parts: its result of each sequence, by metric.
        kept: of each sequence, (frames, 3) counts of boxes: those right by IDF1, those marked, and those
            tracked.
    """

    parts: tuple[Mapping[str, Any], ...]
    kept: tuple[Ids, ...]

    def scores(self) -> TrackingScores:
        """The figures over all sequences."""
        whole = {
            name: metric.combine_sequences({str(k): part[name] for k, part in enumerate(self.parts)})
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
    parts, kept = [], []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for number, (sequence, found) in enumerate(zip(sequences, tracks, strict=True)):
            if sequence.truth is None:
                raise InputError(f"expected who is who in gt/gt.txt of {sequence.name}, found no such file")
            data = _read(Path(folder, str(number)), sequence.truth, found)
            parts.append({name: metric.eval_sequence(data) for name, metric in _metrics().items()})
            kept.append(_kept(data))
    return ScoredTracks(tuple(parts), tuple(kept))


def _read(folder: Path, truth: Listed[Marked], found: Tracks) -> Mapping[str, Any]:
    """Let TrackEval read a sequence from files in its MOT17 layout, and return what its metrics take."""
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
    read: Mapping[str, Any] = dataset.get_preprocessed_seq_data(
        dataset.get_raw_seq_data(_NAME, "one"), "pedestrian"
    )
    return read


def _kept(data: Mapping[str, Any]) -> Ids:
    """Return `ScoredTracks.kept` of a sequence, of which TrackEval has only the sums."""
    from scipy.optimize import linear_sum_assignment

    frames = list(zip(data["gt_ids"], data["tracker_ids"], data["similarity_scores"], strict=True))
    near = [np.nonzero(alike >= _NEAR) for _, _, alike in frames]
    hits = [(who[some], whom[others]) for (who, whom, _), (some, others) in zip(frames, near, strict=True)]
    together = np.zeros((data["num_gt_ids"], data["num_tracker_ids"]), np.int64)
    for who, whom in hits:
        together[who, whom] += 1
    right = np.full(len(together), -1)
    people, tracks = linear_sum_assignment(-together)
    right[people] = tracks
    return np.array(
        [
            (np.count_nonzero(right[who] == whom), len(marked), len(tracked))
            for (who, whom), (marked, tracked, _) in zip(hits, frames, strict=True)
        ],
        np.int64,
    )


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
