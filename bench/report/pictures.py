"""Pictures for the page: people, and queries with what was found for them, right or wrong."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass

from PIL import Image

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Picture

# A page that must stay whole when it is mailed may hold pictures, but must not fetch any.
_DATA_URI = re.compile(r"data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}")

#: Pixels a side: twice what is shown, for screens of two pixels a point.
_LARGEST = 400


@dataclass(frozen=True)
class InlinePicture:
    """A picture inside the page.

    Attributes:
        data: a data URI, `data:image/png;base64,...` (or jpeg, webp).
        caption: what it shows; also read aloud in its place.
    """

    data: str
    caption: str

    @classmethod
    def of(cls, pixels: Picture, caption: str) -> InlinePicture:
        """Make one of H x W x 3 uint8 RGB, as JPEG, smaller where it is larger than a page shows."""
        file = io.BytesIO()
        image = Image.fromarray(pixels)
        image.thumbnail((_LARGEST, _LARGEST))
        image.save(file, "JPEG", quality=85)
        return cls(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", caption)

    def __post_init__(self) -> None:
        if not _DATA_URI.fullmatch(self.data):
            raise InputError(
                "expected a picture as data:image/png;base64,... (or jpeg, webp), but got "
                f"{self.data[:40]!r}; encode the file's bytes in base64"
            )


@dataclass(frozen=True)
class Ranking:
    """A query and the gallery pictures nearest to it, nearest first, each with whether it is right."""

    query: InlinePicture
    found: tuple[tuple[InlinePicture, bool], ...]


@dataclass(frozen=True)
class PictureSection:
    """A section of the page: a heading, a sentence, pictures in a row, and rankings in rows of five."""

    title: str
    note: str
    pictures: tuple[InlinePicture, ...] = ()
    rankings: tuple[Ranking, ...] = ()
