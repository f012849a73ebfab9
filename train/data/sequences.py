"""Sequences of cameras to follow people in: MOT17, MOT20 and DanceTrack's layouts, and a user's own frames.

    img1/000001.jpg ...     frames; their numbers tell their times
    det/det.txt             frame,-1,x,y,w,h,score: the boxes of a detector
    gt/gt.txt               frame,id,x,y,w,h,considered,class,visibility: who is who
    seqinfo.ini             frameRate; and `site`, the same for cameras whose ids are of the same people

Where there is no det.txt, as in DanceTrack, the boxes of gt.txt are the detections. Only frames whose image
is there count, so that a part of a sequence is a sequence.

Source: "MOT16: A Benchmark for Multi-Object Tracking" (Milan et al., 2016), section 3.3; "DanceTrack"
(Sun et al., 2022).
"""

from __future__ import annotations

import configparser
import os
from collections import Counter
from collections.abc import Container, Iterable
from collections.abc import Sequence as Listed
from pathlib import Path
from typing import TypeVar

import numpy as np

from osnet_edge.runtime.errors import InputError
from osnet_edge.track.sequence import Detections, Marked, Sequence
from osnet_edge.train.data.boxed_frames import BoxLine, Corners, read_found, read_lines
from osnet_edge.train.data.reid_set import list_pictures
from osnet_edge.train.data.unlabelled import in_time, read_detected

T = TypeVar("T")

#: Frames to a second where nothing says how many.
USUAL_RATE = 25.0


def read_sequences(folders: Listed[Path | str]) -> tuple[Sequence, ...]:
    """Read sequences; no frame is opened.

    Args:
        folders: sequences, or folders that hold some, at any depth.

    Returns:
        The sequences, folder by folder, by name; where two have the same, with the folder that they are in.

    Raises:
        InputError: a folder holds no sequence, a file of one is wrong, or one sequence or site cannot be told
            from another.
    """
    found = [each for folder in folders for each in _find(Path(folder))]
    often = Counter(name for _, name in found)
    named = [(path, _longer(path) if often[name] > 1 else name) for path, name in found]
    for name, count in Counter(name for _, name in named).items():
        if count > 1:
            raise InputError(f"expected sequences of different names, got {name} twice; leave one out")
    sequences = tuple(_read(path, name) for path, name in named)
    cameras: dict[tuple[str, str], str] = {}
    for (path, name), each in zip(named, sequences, strict=True):
        # Two sites that are called alike would be taken for one, and strangers for the same person.
        other = cameras.setdefault((each.site, path.resolve().name), name)
        if other != name:
            raise InputError(
                f"expected one {path.resolve().name} at a site, found {other} and {name}, both of "
                f"site={each.site}; name another site in one's seqinfo.ini, and in its other cameras'"
            )
    return sequences


def read_own_frames(folder: Path | str, table: Path | str, rate: float = USUAL_RATE) -> Sequence:
    """Read a user's own frames with a table of a detector's boxes; no frame is opened.

    Args:
        folder: the frames, in the order of the numbers in their names; or with the frames in `img1`.
        table: a CSV of file,x1,y1,x2,y2,score with these names in its first line, or MOT's det.txt.
        rate: frames to a second.

    Raises:
        InputError: the folder holds no image, the table is none, or none of its boxes is in a frame.
    """
    folder = Path(folder)
    name = folder.name
    if (folder / "img1").is_dir():
        folder /= "img1"
    frames = tuple(sorted(list_pictures(folder), key=in_time))
    if not frames:
        raise InputError(f"expected frames right inside {folder}, found no image")
    found = read_detected(folder, Path(table))
    if not found:
        raise InputError(f"expected boxes in the {len(frames)} images of {folder}, found none in {table}")
    by_frame = _by_frame(frames, ((path, (box, score)) for path, box, score in found))
    detections = tuple(_detections(each) for each in by_frame)
    return Sequence(
        name=name,
        site=name,
        frames=frames,
        numbers=tuple(range(1, len(frames) + 1)),
        rate=rate,
        detections=detections,
        detector=Path(table).name,
        truth=None,
    )


def _find(folder: Path) -> list[tuple[Path, str]]:
    """Return the sequences in a folder and their names."""
    if (folder / "img1").is_dir():
        return [(folder, folder.resolve().name)]
    found = sorted(Path(root) for root, folders, _ in os.walk(folder) if "img1" in folders)
    if not found:
        raise InputError(
            f"expected a sequence in {folder}, with its frames in img1/, found none; "
            "give frames of another layout to osnet-edge track, with --detections"
        )
    return [(path, str(path.relative_to(folder))) for path in found]


def _longer(sequence: Path) -> str:
    """Return the names of the folder that a sequence is in, and of its own."""
    return "/".join(sequence.resolve().parts[-2:])


def _read(folder: Path, name: str) -> Sequence:
    named = (path for path in list_pictures(folder / "img1") if path.stem.isdecimal() and int(path.stem))
    frames = tuple(sorted(named, key=lambda path: int(path.stem)))
    if not frames:
        raise InputError(f"expected frames such as 000001.jpg in {folder / 'img1'}, found none")
    numbers: dict[int, Path] = {}
    for path in frames:
        if (other := numbers.setdefault(int(path.stem), path)) != path:
            raise InputError(
                f"expected one frame {int(path.stem)} in {folder / 'img1'}, found {other.name} and "
                f"{path.name}; remove one"
            )
    truth = folder / "gt" / "gt.txt"
    found = folder / "det" / "det.txt"
    marked = None
    if truth.is_file():
        lines = read_lines(truth)
        _once(lines, numbers, truth)
        marked = tuple(
            _marked(each) for each in _by_frame(frames, ((numbers.get(line.frame), line) for line in lines))
        )
    if found.is_file():
        boxes = [(numbers.get(number), (box, score)) for number, box, score in read_found(found)]
    elif truth.is_file():
        boxes = [(numbers.get(line.frame), (line.box, 1.0)) for line in lines if line.counts]
    else:
        raise InputError(f"expected boxes in det/det.txt or gt/gt.txt of {folder}, found neither")
    facts = _facts(folder / "seqinfo.ini")
    return Sequence(
        name=name,
        site=facts.get("site", name),
        frames=frames,
        numbers=tuple(numbers),
        rate=_rate(facts, folder),
        detections=tuple(_detections(each) for each in _by_frame(frames, boxes)),
        detector="det.txt" if found.is_file() else "gt.txt",
        truth=marked,
    )


def _once(lines: Listed[BoxLine], numbers: Container[int], file: Path) -> None:
    """Check that nobody is twice in a frame."""
    seen: set[tuple[int, int]] = set()
    for line in lines:
        if line.frame in numbers and (line.frame, line.track) in seen:
            raise InputError(
                f"expected everybody once in a frame in {file}, got id {line.track} twice in frame "
                f"{line.frame}; correct it, or move the file away to track without scores"
            )
        seen.add((line.frame, line.track))


def _facts(file: Path) -> dict[str, str]:
    """Return what seqinfo.ini says; nothing where there is none."""
    parser = configparser.ConfigParser(interpolation=None)
    # Names of keys are frameRate and the like.
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read ({error}); expected [Sequence] with frameRate=25") from None
    return dict(parser["Sequence"]) if parser.has_section("Sequence") else {}


def _rate(facts: dict[str, str], folder: Path) -> float:
    given = facts.get("frameRate", str(USUAL_RATE))
    try:
        rate = float(given)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise InputError(f"expected frameRate of 1000 or less in {folder / 'seqinfo.ini'}, got {given!r}")
    return rate


def _by_frame(frames: Listed[Path], lines: Iterable[tuple[Path | None, T]]) -> list[list[T]]:
    """Share lines out among frames; those of other frames are left out."""
    places: dict[Path | None, list[T]] = {frame: [] for frame in frames}
    for frame, line in lines:
        if frame in places:
            places[frame].append(line)
    return list(places.values())


def _detections(found: Listed[tuple[Corners, float]]) -> Detections:
    return Detections(
        np.array([box for box, _ in found], np.float64).reshape(-1, 4),
        np.array([score for _, score in found], np.float64),
    )


def _marked(lines: Listed[BoxLine]) -> Marked:
    return Marked(
        ids=np.array([line.track for line in lines], np.int64),
        boxes=np.array([line.box for line in lines], np.float64).reshape(-1, 4),
        considered=np.array([line.considered != 0 for line in lines], np.bool_),
        kinds=np.array([line.kind for line in lines], np.int64),
        visible=np.array([line.visible for line in lines], np.float64),
    )
