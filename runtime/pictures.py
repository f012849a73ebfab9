"""Reading images from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Picture

#: What counts as an image when a folder is given, here and in every reader of a re-ID set.
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif")


def read_picture(path: Path | str) -> Picture:
    """Read an image as H x W x 3 uint8 RGB, as it is stored: EXIF orientation is not applied.

    Raises:
        InputError: the file is missing, cannot be decoded as a whole, or has more than 8 bits a channel.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"expected an image, found {'a folder' if path.is_dir() else 'nothing'} at {path}")
    try:
        with Image.open(path) as picture:
            mode, pixels = picture.mode, np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is no image that Pillow can read; expected JPEG, PNG, BMP, WebP, TIFF, GIF or AVIF"
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow tells of broken PNG chunks by SyntaxError.
        raise InputError(f"{path} cannot be decoded ({error}); copy it again, or leave it out") from None
    if mode.startswith(("I", "F")):
        # Pillow clips, and does not scale, what does not fit into a byte.
        raise InputError(f"{path} has more than 8 bits a channel ({mode}); convert it to 8 bits")
    return pixels


def find_pictures(paths: list[str]) -> list[Path]:
    """List images: files as they are given, and those right inside folders, sorted by name.

    Raises:
        InputError: a path is neither, or a folder holds no image.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            # Names that begin with a dot are a file system's own, such as macOS's ._a.jpg.
            inside = sorted(
                item
                for item in path.iterdir()
                if item.suffix.lower() in SUFFIXES and not item.name.startswith(".")
            )
            if not inside:
                raise InputError(
                    f"the folder {path} holds no image; expected files ending in {', '.join(SUFFIXES)}"
                )
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"expected an image or a folder of images, found nothing at {path}")
    return found
