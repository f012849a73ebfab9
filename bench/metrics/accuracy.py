"""What the metrics ask of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class LabelledPicture(Protocol):
    """A picture of one person, and what is known about it."""

    @property
    def path(self) -> Path | str:
        """The picture's file."""

    @property
    def identity(self) -> int:
        """The number of the person."""

    @property
    def camera(self) -> int:
        """The number of the camera."""
