"""Images of people without identities: folders of crops, and frames with a detector's boxes.

Boxes are in a table whose first line names its columns (further columns are ignored), or in MOT's layout,
which `boxed_frames` reads:

    file,x1,y1,x2,y2,score                  file,x1,y1,x2,y2 in pixels; `frame` and a number do for `file`
    000017.jpg,410,220,470,390,0.91

    17,-1,410,220,60,170,0.91,-1,-1,-1      frame, id, left, top, width, height
"""

from __future__ import annotations

import csv
import io
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import SUFFIXES
from osnet_edge.train.data.boxed_frames import LARGEST, Box, Corners, read_found, whole_pixels
from osnet_edge.train.data.reid_set import DataWarning, files_left_out, list_pictures

_NAMES = ("file", "frame")
_CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class Sighting:
    """A person in an image.

    Attributes:
        path: the file of the crop or the frame.
        camera: number of the folder, from 0 over all that were read together.
        box: x1, y1, x2, y2 in whole pixels of a frame, the last two exclusive; it may extend beyond the
            frame.
    """

    path: Path
    camera: int
    box: Box | None = None


def read_crops(folders: Sequence[Path | str]) -> tuple[Sighting, ...]:
    """List the crops in folders and their subfolders; each folder with images counts as a camera.

    A warning counts files without an image suffix.

    Returns:
        The crops, folder by folder, sorted by name with numbers in numerical order, which is taken for the
        order in time.

    Raises:
        InputError: a folder has no image.
    """
    found: list[Path] = []
    for folder in folders:
        inside = [Path(each) for each, _, _ in sorted(os.walk(folder)) if list_pictures(Path(each))]
        if not inside:
            raise InputError(f"the folder {folder} holds no image that ends in {', '.join(SUFFIXES)}")
        found += inside
    for text in files_left_out(found):
        warnings.warn(text, DataWarning, stacklevel=2)
    return tuple(
        Sighting(path, camera)
        for camera, folder in enumerate(dict.fromkeys(found))
        for path in sorted(list_pictures(folder), key=in_time)
    )


def read_detections(sources: Sequence[tuple[Path | str, Path | str]]) -> tuple[Sighting, ...]:
    """Read boxes in frames; no frame is opened. A warning counts boxes of missing frames.

    Args:
        sources: folders of frames, or with the frames in `img1`, each with its file of boxes. Each counts as
            a camera.

    Returns:
        The boxes, source by source, in the order of the frames.

    Raises:
        InputError: a file is no table of boxes, a line is wrong, no box belongs to an existing frame, or
            boxes are fractions of their frames.
    """
    found: list[Sighting] = []
    for camera, (frames, file) in enumerate(sources):
        folder = Path(frames, "img1") if Path(frames, "img1").is_dir() else Path(frames)
        named = _Frames(folder)
        rows = _rows(Path(file))
        there = [(path, box) for frame, box in rows if (path := named.find(frame))]
        if not there:
            held = f"boxes of frames such as {rows[0][0][:60]!r}" if rows else "no line"
            raise InputError(
                f"expected boxes in the {len(named.paths):,} images right inside {folder}, found {held} in "
                f"{file}; name the frames' files, or the numbers at the end of their names"
            )
        if missing := len(rows) - len(there):
            text = f"boxes of {file} in frames that are not in {folder}: {missing:,}"
            warnings.warn(text, DataWarning, stacklevel=2)
        there.sort(key=lambda each: in_time(each[0]))
        found += [Sighting(path, camera, box) for path, box in there]
    return tuple(found)


class _Frames:
    """The frames of a folder, by the names and numbers by which tables refer to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = list_pictures(folder)
        self._numbers: dict[int, list[Path]] = {}
        for path in self.paths:
            if last := re.search(r"\d+$", path.stem):
                self._numbers.setdefault(int(last[0]), []).append(path)

    def find(self, frame: str) -> Path | None:
        """Return the frame of this name, or whose name ends in this number."""
        if not frame.isdecimal():
            path = self.folder / frame
            return path if path.is_file() else None
        found = self._numbers.get(int(frame), [])
        if len(found) > 1:
            raise InputError(
                f"expected one frame {frame} in {self.folder}, found {found[0].name} and {found[1].name}; "
                "name files in the table, in a column `file`"
            )
        return found[0] if found else None


def read_detected(folder: Path, file: Path) -> list[tuple[Path, Corners, float]]:
    """Return frame, box and score of each line of a table of boxes; a line without a score has 1.

    Raises:
        InputError: the file is no table of boxes, or a line is wrong.
    """
    named = _Frames(folder)
    return [(path, box, score) for frame, box, score in _scored_rows(file) if (path := named.find(frame))]


def _rows(file: Path) -> list[tuple[str, Box]]:
    """Return frame and box of each line."""
    rows = _scored_rows(file)
    return list(zip((row[0] for row in rows), whole_pixels([row[1] for row in rows], file), strict=True))


def _scored_rows(file: Path) -> list[tuple[str, Corners, float]]:
    """Return frame, box and score of each line."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a table of boxes ({error}); write it as text") from None
    named = re.search("[a-z]", text.lstrip().partition("\n")[0], re.IGNORECASE)
    return (
        _table(file, text) if named else [(str(frame), box, score) for frame, box, score in read_found(file)]
    )


def _table(file: Path, text: str) -> list[tuple[str, Corners, float]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    name = next((name for name in _NAMES if name in columns), "")
    if not name or not set(_CORNERS) <= set(columns):
        raise InputError(
            f"expected the columns file,{','.join(_CORNERS)} in {file}, got {','.join(columns)[:200]}; or "
            "MOT's frame,id,x,y,width,height in numbers alone"
        )
    rows = []
    try:
        for line in reader:
            x1, y1, x2, y2 = (_number(line[corner]) for corner in _CORNERS)
            score = _number(line["score"]) if "score" in columns else 1.0
            rows.append((line[name].strip(), (x1, y1, x2, y2), score))
    except (csv.Error, TypeError, ValueError, AttributeError):
        raise InputError(
            f"expected a frame and four numbers of pixels in line {reader.line_num} of {file}; correct it"
        ) from None
    return rows


def _number(cell: str) -> float:
    number = float(cell)
    if not abs(number) < LARGEST:
        raise ValueError(cell)
    return number


def in_time(path: Path) -> list[str | int]:
    """Return a sort key by which frame 9 comes before frame 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
