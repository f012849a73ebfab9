"""How much better some tracks are than others, and how sure that is: a paired bootstrap.

Sequences are resampled where there are enough of them, and windows of sequences otherwise. Windows go by who
is taken for whom over the whole sequence: somebody who came back as somebody else is wrong in every window
from then on. A window scored by itself would know nothing of that, and identities that are lost while nobody
looks are what appearance is for. Only IDF1 is a sum over frames in this way, so that HOTA and MOTA have an
interval over sequences alone.

Source: "An Introduction to the Bootstrap" (Efron and Tibshirani, 1993).
"""

from __future__ import annotations

from collections.abc import Sequence as Listed
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.counted import counted
from osnet_edge.track.scores import ScoredTracks
from osnet_edge.track.sequence import Ids

#: Resamples of an interval.
_DRAWS = 1000
#: So many sequences are enough to resample, and so many windows at least are taken otherwise.
_SEQUENCES, _WINDOWS = 8, 16

Ends = tuple[float, float]
_Percent = NDArray[np.float64]


@dataclass(frozen=True)
class TracksChange:
    """What an engine's tracks are less others, in points (hundredths); below 0 they are worse.

    Attributes:
        idf1: of IDF1.
        hota: of HOTA.
        mota: of MOTA.
        idf1_interval: 95 % interval of that of IDF1.
        hota_interval: the same of HOTA; None where windows were resampled.
        mota_interval: the same of MOTA; None as above.
        resampled: what the intervals are over, such as "8 sequences" or "16 windows of 25 frames".
    """

    idf1: float
    hota: float
    mota: float
    idf1_interval: Ends
    hota_interval: Ends | None
    mota_interval: Ends | None
    resampled: str


def compare_tracks(mine: ScoredTracks, other: ScoredTracks, seed: int = 0) -> TracksChange:
    """Compare tracks of the same sequences.

    Args:
        mine: to be compared.
        other: to compare with.
        seed: of the resampling.
    """
    here, there, count = mine.scores(), other.scores(), len(mine.parts)
    hota = mota = None
    if count >= _SEQUENCES:
        units = [np.array([each.sum(0) for each in scored.kept]) for scored in (mine, other)]
        resampled = f"{count} sequences"
    else:
        length = _window([len(each) for each in mine.kept])
        units = [_windows(scored, length) for scored in (mine, other)]
        resampled = f"{counted(len(units[0]), 'window')} of {counted(length, 'frame')}"
    draws = _resamples(len(units[0]), seed)
    if count >= _SEQUENCES:
        hota = _ends(_hota(draws, mine) - _hota(draws, other))
        mota = _ends(_mota(draws, mine) - _mota(draws, other))
    return TracksChange(
        idf1=here.idf1 - there.idf1,
        hota=here.hota - there.hota,
        mota=here.mota - there.mota,
        idf1_interval=_ends(_idf1(draws @ units[0]) - _idf1(draws @ units[1])),
        hota_interval=hota,
        mota_interval=mota,
        resampled=resampled,
    )


def _resamples(count: int, seed: int) -> Ids:
    """Return (draws, count): how often each is in each resample."""
    return np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=_DRAWS)


def _ends(differences: _Percent) -> Ends:
    low, high = np.percentile(differences, (2.5, 97.5))
    return float(low), float(high)


def _window(lengths: Listed[int]) -> int:
    """Return the frames of the longest window of which sequences of these lengths have enough.

    Example:
        >>> _window([400]), _window([100, 60])
        (25, 10)
    """
    longest = range(max(lengths), 0, -1)
    return next((each for each in longest if sum(n // each for n in lengths) >= _WINDOWS), 1)


def _windows(scored: ScoredTracks, length: int) -> Ids:
    """Return (windows, 3) sums over windows; frames at a sequence's end that make none are left out."""
    whole = [each[: len(each) // length * length] for each in scored.kept]
    return np.concatenate([each.reshape(-1, length, 3).sum(1) for each in whole])


def _idf1(sums: Ids) -> _Percent:
    return np.asarray(200 * sums[:, 0] / np.maximum(1, sums[:, 1] + sums[:, 2]))


def _hota(draws: Ids, scored: ScoredTracks) -> _Percent:
    """Return HOTA of each resample, as TrackEval combines sequences."""
    parts = [part["HOTA"] for part in scored.parts]
    right, missed, wrong = (
        draws @ np.array([part[f"HOTA_{name}"] for part in parts]) for name in ("TP", "FN", "FP")
    )
    associated = draws @ np.array([part["AssA"] * part["HOTA_TP"] for part in parts])
    shares = right / np.maximum(1, right + missed + wrong) * associated / np.maximum(1, right)
    return np.asarray(100 * np.sqrt(shares).mean(1))


def _mota(draws: Ids, scored: ScoredTracks) -> _Percent:
    """Return MOTA of each resample, as TrackEval combines sequences."""
    names = ("CLR_TP", "CLR_FN", "CLR_FP", "IDSW")
    sums = draws @ np.array([[part["CLEAR"][name] for name in names] for part in scored.parts])
    right, missed, wrong, switches = sums.T
    return np.asarray(100 * (right - wrong - switches) / np.maximum(1, right + missed))
