"""What deepstream-app wrote of its embeddings, held to our own of the same boxes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osnet_edge.integrate.pipeline import Floats
from osnet_edge.integrate.source import Source
from osnet_edge.integrate.values import number
from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.pictures import find_pictures, read_picture

#: deepstream-app's names: application, stream and frame, such as 00_000_000012.txt.
_NAME = re.compile(r"(\d+)_(\d+)_(\d+)\.txt")
#: Fields of a line of boxes, counted from its end, since a label may have blanks in it: label, id, three of
#: KITTI's, then left, top, right and bottom in pixels, seven more, and the confidence.
_FIELDS, _ID, _BOX = 17, -16, slice(-12, -8)


@dataclass(frozen=True)
class Agreement:
    """How a dump's embeddings agree with the package's of the same boxes.

    Attributes:
        frames: that were compared.
        objects: in them, by whose cosines the rest is counted.
        median: cosine of the two embeddings of an object.
        lowest: the smallest.
        own_first: share of objects whose embedding is nearer to the package's of the same object than to that
            of any other in its frame; None where no frame has two objects.
        without_box: embeddings with no box of their id in their frame, which were left out.
    """

    frames: int
    objects: int
    median: float
    lowest: float
    own_first: float | None
    without_box: int


def compare_dump(
    dump: Path,
    boxes: Path,
    frames: Path,
    source: Source,
    *,
    stream: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> Agreement:
    """Embed the boxes that DeepStream tracked, and compare with what it computed of them.

    Args:
        dump: folder of `reid-track-output-dir`: a file a frame with lines of an id and its floats.
        boxes: folder of `kitti-track-output-dir`, with files of the same names.
        frames: folder of the video's frames as images, in order of their names and numbers; the first is 0.
        source: the network.
        stream: which of several cameras.
        progress: called with how many frames were just compared.

    Raises:
        InputError: a folder lacks what it must hold, a file cannot be read, or embeddings have another size.
    """
    files = _files(dump, stream)
    pictures = sorted(find_pictures([str(frames)]), key=_in_order)
    cosines: list[float] = []
    firsts: list[bool] = []
    without = 0
    for place, file in files:
        rows = _read_rows(file, source.info.model.embedding_size)
        known_boxes = _read_boxes(boxes / file.name)
        if place >= len(pictures):
            raise InputError(
                f"expected frame {place} in {frames}, which has {len(pictures)} images; give all frames "
                "of the video"
            )
        known = [name for name in rows if name in known_boxes]
        without += len(rows) - len(known)
        if known:
            frame = read_picture(pictures[place])
            theirs = normalize_rows(np.stack([rows[name] for name in known]))
            ours, valid = _embed(frame, [known_boxes[name] for name in known], source)
            alike = theirs[valid] @ ours.T
            cosines += alike.diagonal().tolist()
            if len(alike) > 1:
                firsts += (alike.argmax(axis=1) == np.arange(len(alike))).tolist()
        progress(1)
    if not cosines:
        raise InputError(
            f"expected embeddings of people with boxes in {dump} and {boxes}, found none in common"
        )
    return Agreement(
        frames=len(files),
        objects=len(cosines),
        median=float(np.median(cosines)),
        lowest=min(cosines),
        own_first=float(np.mean(firsts)) if firsts else None,
        without_box=without,
    )


def _files(folder: Path, stream: int) -> list[tuple[int, Path]]:
    """Return the files of a stream that are not empty, each with its frame."""
    found = [(match, path) for path in sorted(folder.iterdir()) if (match := _NAME.fullmatch(path.name))]
    chosen = [(int(match[3]), path) for match, path in found if int(match[2]) == stream]
    if not chosen:
        streams = sorted({int(match[2]) for match, _ in found})
        has = f"has streams {', '.join(map(str, streams))}" if streams else "has no such file"
        raise InputError(
            f"expected files such as 00_{stream:03}_000000.txt, as reid-track-output-dir writes them; "
            f"{folder} {has}"
        )
    return [(number, path) for number, path in chosen if path.stat().st_size]


def _read_rows(path: Path, size: int) -> dict[str, Floats]:
    """Return the embeddings in a file, by the object's id."""
    rows = {}
    for name, *floats in _lines(path):
        if len(floats) != size:
            raise InputError(
                f"{path}: expected {size} floats of an embedding, got {len(floats)}; set reidFeatureSize "
                f"to {size}"
            )
        row = _floats(floats, path)
        if not row.any():
            raise InputError(
                f"{path}: expected an embedding of {name}, got zeros alone; delete "
                "the engine, and run deepstream-app again"
            )
        rows[name] = row
    return rows


def _read_boxes(path: Path) -> dict[str, Floats]:
    """Return the boxes in a file, by the object's id."""
    if not path.is_file():
        raise InputError(
            f"expected boxes in {path}, found nothing; set kitti-track-output-dir too, and run "
            "deepstream-app again"
        )
    # Objects without an id, which the tracker did not take, have a field less.
    return {parts[_ID]: _floats(parts[_BOX], path) for parts in _lines(path) if len(parts) >= _FIELDS}


def _lines(path: Path) -> Iterator[list[str]]:
    """Yield the words of each line that has any; labels may be in whatever encoding."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if words := line.split():
            yield words


def _floats(texts: Sequence[str], path: Path) -> Floats:
    return np.array([number(text, str(path)) for text in texts], np.float32)


def _in_order(picture: Path) -> list[str | int]:
    """Return what sorts frames as they are counted: frame_2 before frame_10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", picture.name)]


def _embed(
    frame: npt.NDArray[np.uint8], boxes: Sequence[Floats], source: Source
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Embed boxes of a frame: (N, D) of those with a pixel in it, and which these are."""
    clipped, valid = clip_boxes(np.stack(boxes), *frame.shape[:2])
    crops = [frame[y1:y2, x1:x2] for x1, y1, x2, y2 in clipped[valid]]
    if not crops:
        return np.empty((0, source.info.model.embedding_size), np.float32), valid
    return source.embed(crops), valid
