"""The file of a calibration set: which images, by path and hash, and how they were drawn."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import sha256_of, write_json
from osnet_edge.runtime.package.schema import parse_document, to_json
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture

Box = tuple[int, int, int, int]
#: Whether somebody named the people of its images: of all, of none, or of some.
Kind = Literal["labelled", "unlabelled", "mixed"]
#: The identity of somebody whom nobody named, as in MOT's files.
UNKNOWN = -1


@dataclass(frozen=True)
class CalibrationPicture:
    """One crop of one person.

    Attributes:
        path: the file; in the set's own file from the folder of that file, in memory absolute.
        sha256: of the file's bytes.
        identity: the number of the person, over all sources of the set; `UNKNOWN` where nobody knows.
        camera: the number of the camera, as above; a folder of images without identities counts as one.
        box: x1, y1, x2, y2 in pixels, the last two exclusive, where the file is a frame; None for a crop.
    """

    path: str
    sha256: str
    identity: int
    camera: int
    box: Box | None = None

    def __post_init__(self) -> None:
        """Refuse what is no SHA-256, and a box without a pixel."""
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise InputError(f"expected 64 hexadecimal digits of SHA-256, got {self.sha256!r}")
        if self.box and not (0 <= self.box[0] < self.box[2] and 0 <= self.box[1] < self.box[3]):
            raise InputError(f"expected a box 0 <= x1 < x2, 0 <= y1 < y2, got {list(self.box)}")


@dataclass(frozen=True)
class HowDrawn:
    """Where the images came from, and what was left out.

    Attributes:
        sources: sets and folders of frames, as the user named them.
        excluded: sets whose query and gallery images were looked for among the sources and not found.
        seed: of the drawing.
        asked: how many images were asked for.
        available: images, or boxes, that were there to draw from.
        identities: how many people are on those that were drawn, of those who are known.
        cameras: how many cameras took those; a folder of images without identities counts as one.
        near_duplicates: images passed over because they look like one that was drawn before.
        outside: boxes passed over because they hold no pixel of their frame.
        grey: how many of those that were drawn have (nearly) no colour.
        held_out: how many people were held out, from whose images none was drawn.
        kind: what is known of people; "labelled" in older files too.
        changed_copies: how often ranges see each image once more, as another camera would give it; 0 in older
            files.
    """

    sources: tuple[str, ...]
    excluded: tuple[str, ...]
    seed: int
    asked: int
    available: int
    identities: int
    cameras: int
    near_duplicates: int
    outside: int
    grey: int
    held_out: int = 0
    kind: Kind = "labelled"
    changed_copies: int = 0


@dataclass(frozen=True)
class CalibrationSet:
    """The whole of the file; `osnet_edge.runtime.package.schema` holds it to these types.

    Attributes:
        format: tells the file from others.
        version: of the schema.
        drawn: how.
        warnings: what a person should know before building with it.
        pictures: one or more, sorted by path and box: their order means nothing.
        held_out: images of other people, each seen by 2 cameras or more, sorted as above; on them a build
            measures mAP. Empty where too few people can be held out, and in older files. Of an unlabelled
            set, other images, on which a build measures how far embeddings move.
    """

    format: Literal["osnet-edge calibration set"]
    version: Literal[1]
    drawn: HowDrawn
    warnings: tuple[str, ...]
    pictures: tuple[CalibrationPicture, ...]
    held_out: tuple[CalibrationPicture, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a set without images, and one whose held-out people are calibrated on."""
        if not self.pictures:
            raise InputError("expected one calibration image or more, got none; draw the set again")
        if both := {p.identity for p in self.pictures} & {p.identity for p in self.held_out} - {UNKNOWN}:
            raise InputError(
                f"expected nobody both among images and held_out, but {len(both)} are, such as identity "
                f"{min(both)}; draw the set again"
            )


def write_calibration_set(made: CalibrationSet, file: Path | str) -> None:
    """Write a set, whole or not at all; paths are written from the file's folder, so both can move together.

    Args:
        made: the set; its images' paths are absolute, or from the working folder.
        file: where to write.

    Raises:
        InputError: the folder does not exist, or an image's path is no text.
    """
    folder = Path(file).resolve().parent
    write_json(file, to_json(_with_paths(made, lambda path: _from_folder(path, folder))))


def read_calibration_set(file: Path | str) -> CalibrationSet:
    """Read a set; no image is opened. Paths become absolute.

    Raises:
        InputError: the file is missing, or is no calibration set of this version; the
            message names the field.
    """
    file = Path(file)
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        raise InputError(
            f"expected a calibration set, found {found} at {file}; make one with osnet-edge calibrate"
        )
    advice = "expected a calibration set; draw it again with osnet-edge calibrate"
    made = parse_document(CalibrationSet, file.read_bytes(), str(file), None, advice)
    folder = file.resolve().parent
    return _with_paths(made, lambda path: str(folder / path))


def load_pictures(pictures: Iterable[CalibrationPicture]) -> Iterator[Picture]:
    """Read crops one by one, holding every file to its hash.

    Args:
        pictures: those of a set to calibrate with, or those held out.

    Yields:
        (H, W, 3) uint8 RGB crops of any sizes, as a camera would hand them to an `Embedder`.

    Raises:
        InputError: an image vanished, was changed, or cannot be decoded, or a box is outside its frame.
    """
    # Boxes of one frame stand together, so that the last frame is all there is to remember.
    last, frame = "", None
    for each in pictures:
        if frame is None or each.path != last or not each.box:
            _check_file(each)
            last, frame = each.path, read_picture(each.path)
        yield cut_box(frame, each.box, each.path)


def cut_box(frame: Picture, box: Box | None, name: str) -> Picture:
    """Cut a box out of a frame as `Embedder.embed_boxes` does; without a box the frame is the crop.

    Raises:
        InputError: the box holds no pixel of the frame.
    """
    if box is None:
        return frame
    clipped, valid = clip_boxes([box], *frame.shape[:2])
    if not valid[0]:
        raise InputError(
            f"expected the box {list(box)} inside the frame {name}, which is {frame.shape[1]}x"
            f"{frame.shape[0]}; draw the calibration set again"
        )
    x1, y1, x2, y2 = clipped[0]
    return frame[y1:y2, x1:x2]


def _with_paths(made: CalibrationSet, change: Callable[[str], str]) -> CalibrationSet:
    def changed(pictures: tuple[CalibrationPicture, ...]) -> tuple[CalibrationPicture, ...]:
        return tuple(replace(each, path=change(each.path)) for each in pictures)

    return replace(made, pictures=changed(made.pictures), held_out=changed(made.held_out))


def _check_file(picture: CalibrationPicture) -> None:
    if not Path(picture.path).is_file():
        raise InputError(
            f"expected the calibration image {picture.path}, found nothing there; bring it back, or draw "
            "the set again with osnet-edge calibrate"
        )
    if sha256_of(picture.path) != picture.sha256:
        raise InputError(
            f"expected the calibration image {picture.path} as it was drawn, but it was changed; bring it "
            "back, or draw the set again with osnet-edge calibrate"
        )


def _from_folder(path: str, folder: Path) -> str:
    try:
        path.encode("utf-8")
        # The folder without links, since `..` leads out of where a link leads to.
        return Path(os.path.relpath(path, folder)).as_posix()
    except UnicodeEncodeError:
        raise InputError(f"expected names of images in UTF-8, got {path!r}; rename it") from None
    except ValueError:
        # Windows: on another drive.
        return Path(path).absolute().as_posix()
