"""Frames with boxes in MOT17's layout: `img1/000001.jpg`..., and a line for each box in `gt/gt.txt`.

    frame,id,x,y,w,h,considered,class,visibility

The first six columns are required: frame and person, counted from 1, and the box's upper left corner and size
in pixels. A detector that does not identify people writes the id -1, and each such box counts as another
person. Lines that are not considered (0), of another class than pedestrians (1), or with a visibility below a
third are skipped, and so are frames whose image is missing.

Source: "MOT16: A Benchmark for Multi-Object Tracking" (Milan et al., 2016), section 3.3 and table 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.reid_set import list_pictures

_PEDESTRIAN = 1
#: Less of a person is a detector unlikely to find.
_LEAST_VISIBLE = 1 / 3
#: What no number of such a file reaches, unless it is broken.
LARGEST = 1e9
#: x1, y1, x2, y2, the last two exclusive.
Corners = tuple[float, float, float, float]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class BoxedPerson:
    """A person in a frame.

    Attributes:
        path: the frame's file.
        identity: number of the person, from 0 over all sequences that were read together.
        camera: number of the sequence, as above.
        box: x1, y1, x2, y2 in whole pixels, the last two exclusive; it may extend beyond the frame.
    """

    path: Path
    identity: int
    camera: int
    box: Box


def read_boxed_frames(folders: Sequence[Path | str]) -> tuple[BoxedPerson, ...]:
    """Read the boxes of sequences; no frame is opened. Each sequence counts as a camera with its own people.

    Args:
        folders: sequences, or folders of sequences.

    Returns:
        The people, sequence by sequence, in the order of the lines.

    Raises:
        InputError: a folder neither is a sequence nor contains one, a line is wrong, or a sequence has no box
            in its frames.
    """
    people: list[BoxedPerson] = []
    known: dict[tuple[int, int], int] = {}
    for camera, sequence in enumerate(found for folder in folders for found in _sequences(Path(folder))):
        frames = {int(path.stem): path for path in list_pictures(sequence / "img1") if path.stem.isdecimal()}
        before = len(people)
        file = sequence / "gt" / "gt.txt"
        rows = read_boxes(file)
        for (frame, track, _), box in zip(rows, whole_pixels([row[2] for row in rows], file), strict=True):
            if frame in frames:
                somebody = track if track >= 0 else -len(people) - 1
                identity = known.setdefault((camera, somebody), len(known))
                people.append(BoxedPerson(frames[frame], identity, camera, box))
        if len(people) == before:
            raise InputError(
                f"expected boxes of people in frames of {sequence / 'img1'}, found none in gt/gt.txt for its "
                f"{counted(len(frames), 'image')}; images go by their frame's number, such as 000001.jpg"
            )
    return tuple(people)


def _sequences(folder: Path) -> list[Path]:
    """Return the folder, if it is a sequence, or the sequences in it, by name."""
    tried = [folder] if (folder / "img1").is_dir() else sorted(folder.glob("*"))
    found = [each for each in tried if (each / "img1").is_dir() and (each / "gt" / "gt.txt").is_file()]
    if not found:
        raise InputError(
            f"expected frames in img1/ with boxes in gt/gt.txt in {folder}, or in folders in it; for a "
            "detector's boxes, use calibrate --detections FILE"
        )
    return found


@dataclass(frozen=True)
class BoxLine:
    """A line of a file of boxes; -1 is how detectors and trackers leave a field open.

    Attributes:
        frame: counted from 1.
        track: who it is, or -1.
        box: x1, y1, x2, y2 in pixels.
        considered: 0 for a line that does not count, or a detector's score.
        kind: the class, 1 for pedestrians.
        visible: the part of the person that is in view, 0 to 1.
    """

    frame: int
    track: int
    box: Corners
    considered: float
    kind: float
    visible: float

    @property
    def counts(self) -> bool:
        """Whether somebody is there, for a detector to find."""
        return (
            self.considered != 0 and self.kind in (_PEDESTRIAN, -1) and not 0 <= self.visible < _LEAST_VISIBLE
        )


def read_lines(file: Path) -> list[BoxLine]:
    """Return all lines of a file of boxes.

    Raises:
        InputError: a line is wrong.
    """
    lines = []
    text = file.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(cell) for cell in line.split(",")]
        except ValueError:
            values = []
        if len(values) < 6 or not all(abs(value) < LARGEST for value in values):
            raise InputError(
                f"expected frame,id,x,y,w,h and more numbers in line {number} of {file}, got {line[:60]!r}"
            )
        considered, kind, visible = (*values[6:9], *(1.0, 1.0, 1.0)[len(values[6:9]) :])
        frame, track, left, top, width, height = values[:6]
        box = (left, top, left + width, top + height)
        lines.append(BoxLine(int(frame), int(track), box, considered, kind, visible))
    return lines


def read_boxes(file: Path) -> list[tuple[int, int, Corners]]:
    """Return frame, track and box of each line that counts.

    Raises:
        InputError: a line is wrong.
    """
    return [(line.frame, line.track, line.box) for line in read_lines(file) if line.counts]


def read_found(file: Path) -> list[tuple[int, Corners, float]]:
    """Return frame, box and score of each line of a detector that counts; 1 where it left the score open.

    Raises:
        InputError: a line is wrong.
    """
    return [
        (line.frame, line.box, 1.0 if line.considered == -1 else line.considered)
        for line in read_lines(file)
        if line.counts
    ]


def whole_pixels(boxes: Sequence[Corners], file: Path) -> Iterator[Box]:
    """Yield the boxes of a file in whole pixels.

    Raises:
        InputError: they are fractions of their frames.
    """
    if boxes and all(0 <= number <= 1 for box in boxes for number in box):
        raise InputError(
            f"expected boxes in pixels in {file}, got only numbers from 0 to 1, which are fractions of a "
            "frame; multiply x by its width and y by its height"
        )
    for x1, y1, x2, y2 in boxes:
        yield round(x1), round(y1), round(x2), round(y2)
