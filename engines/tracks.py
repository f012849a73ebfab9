"""What an engine loses of people's identities in sequences, against float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.measure.plan import Footage
from osnet_edge.bench.measure.runners import cut_out
from osnet_edge.bench.measure.tracking import FrameRows, fill_rows, follow
from osnet_edge.engines.graph.running import batches_of
from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.decisions import TracksLoss
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture, Preprocessing

#: Embeds batches of a graph's input to (N, D), one row for each image.
Embed = Callable[[Iterable[npt.NDArray[np.generic]]], npt.NDArray[np.float32]]
_BATCH = 32


class KeptTracks:
    """Sequences that people are followed through, and the tracks by float32's embeddings.

    Crops are cut anew for each engine: those of a minute would take gigabytes.

    Args:
        footage: the sequences.
        preprocessing: of the graphs.
        embed: the float32 graph.

    Raises:
        InputError: an image cannot be read, or there is no box.
    """

    def __init__(self, footage: Footage, preprocessing: Preprocessing, embed: Embed) -> None:
        if not any(len(found.boxes) for each in footage.sequences for found in each.detections):
            raise InputError("expected boxes in the sequences of --track, found none")
        self._footage, self._preprocessing = footage, preprocessing
        self._reference = follow(footage, self._rows(embed))

    def loss(self, embed: Embed) -> TracksLoss:
        """Return what another engine loses."""
        change = follow(self._footage, self._rows(embed)).change_from(self._reference)
        low, high = change.idf1_interval
        return TracksLoss(
            idf1=-change.idf1,
            interval=(-high, -low),
            resampled=change.resampled,
            sequences=tuple(each.name for each in self._footage.sequences),
            threshold=self._footage.threshold,
        )

    def _rows(self, embed: Embed) -> list[FrameRows]:
        valid: list[npt.NDArray[np.bool_]] = []
        rows = normalize_rows(embed(batches_of(self._crops(valid), self._preprocessing, _BATCH)))
        ends = np.cumsum([each.sum() for each in valid])
        parts = np.split(rows, ends[:-1])
        of_frames = iter([fill_rows(*pair, rows.shape[1]) for pair in zip(valid, parts, strict=True)])
        return [tuple(next(of_frames) for _ in each.frames) for each in self._footage.sequences]

    def _crops(self, valid: list[npt.NDArray[np.bool_]]) -> Iterator[Picture]:
        """Yield the crops of all frames, and note which boxes of each frame hold a pixel."""
        for sequence in self._footage.sequences:
            for path, found in zip(sequence.frames, sequence.detections, strict=True):
                frame = read_picture(path)
                valid.append(clip_boxes(found.boxes, *frame.shape[:2])[1])
                yield from cut_out(frame, found.boxes)
