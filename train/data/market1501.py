"""Market-1501's folders: an image's name says who is in it and which camera took it.

Most re-ID sets are offered in this layout too:

    bounding_box_train/0002_c1s1_000451_03.jpg     identity 2, camera 1
    query/0001_c1s1_001051_00.jpg
    bounding_box_test/0000_c2s1_000301_01.jpg      identity 0, a distractor: nobody's right answer
    bounding_box_test/-1_c3s1_000101_02.jpg        identity -1, junk: left out of every count

Example:
    >>> found = read_market1501("Market-1501-v15.09.15")        # doctest: +SKIP
    >>> len(found.train), found.train[0].identity, found.train[0].camera      # doctest: +SKIP
    (12936, 2, 1)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import SUFFIXES
from osnet_edge.train.data.reid_set import Picture, ReidSet, list_pictures
from osnet_edge.train.data.unknown_folder import advice

SPLIT_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
JUNK = -1

# The sequence number is optional because DukeMTMC and MSMT17 in this layout have none.
_NAME = re.compile(r"(-1|[0-9]+)_c([0-9]+)(?:s[0-9]+)?(?:[_.-].*)?", re.ASCII | re.DOTALL)


def read_market1501(root: Path | str, *, splits: Sequence[str] = ("train", "query", "gallery")) -> ReidSet:
    """Read the names of a set in the Market-1501 layout; no image is opened.

    Junk images (identity -1) are dropped, and files that are no images (`Thumbs.db`) are skipped.

    Args:
        root: the folder that holds `bounding_box_train`, `query` and `bounding_box_test`, or some of them.
        splits: the splits to read, of "train", "query" and "gallery". A split whose folder is missing is
            empty, if another one exists.

    Returns:
        The set, with absolute or relative paths as `root` was given.

    Raises:
        InputError: the root is missing or no folder, it has none of the splits, there is a query folder
            without a gallery or the reverse, a split has no usable image, or an image's name has another
            form.
    """
    root = Path(root)
    unknown = [split for split in splits if split not in SPLIT_FOLDERS]
    if unknown or not splits:
        raise InputError(f"expected splits among {', '.join(SPLIT_FOLDERS)}, got {list(splits)}")
    _require_folder(root)
    folders = {split: root / SPLIT_FOLDERS[split] for split in splits}
    present = {split for split, folder in folders.items() if folder.is_dir()}
    if not present:
        wanted = ", ".join(f"{folder.name}/" for folder in folders.values())
        raise InputError(f"expected {wanted} in {root}, found none of them; {_advice(root)}")
    for one, other in (("query", "gallery"), ("gallery", "query")):
        if one in present and other in folders and other not in present:
            raise InputError(
                f"{root} has {SPLIT_FOLDERS[one]}/ but no {SPLIT_FOLDERS[other]}/, and accuracy needs both; "
                f"add the folder, or leave {one} out"
            )
    found = {split: _read_split(folders[split]) for split in present}
    return ReidSet(
        name=root.resolve().name,
        root=root,
        train=found.get("train", ()),
        query=found.get("query", ()),
        gallery=found.get("gallery", ()),
    )


def parse_name(name: str) -> tuple[int, int] | None:
    """Return the identity and the camera in a Market-1501 file name, or None if it does not fit.

    Example:
        >>> parse_name("0012_c3s1_000451_03.jpg")
        (12, 3)
        >>> parse_name("holiday.jpg") is None
        True
    """
    path = Path(name)
    fits = _NAME.fullmatch(path.stem) if path.suffix.lower() in SUFFIXES else None
    return (int(fits[1]), int(fits[2])) if fits else None


def _require_folder(root: Path) -> None:
    if not root.exists():
        raise InputError(f"the folder {root} does not exist; give the folder that holds the re-ID set")
    if not root.is_dir():
        raise InputError(f"expected a folder, but {root} is a file; unpack it if it is an archive")


def _advice(root: Path) -> str:
    """Guess what the caller meant: the usual mistakes are a folder too deep or not deep enough."""
    if root.resolve().name in SPLIT_FOLDERS.values():
        return f"give the folder that holds {root.resolve().name}/, not that folder itself"
    for inner in sorted(root.iterdir()):
        if any((inner / name).is_dir() for name in SPLIT_FOLDERS.values()):
            return f"did you mean {inner}?"
    return "give the folder of a set in the Market-1501 layout"


def _read_split(folder: Path) -> tuple[Picture, ...]:
    pictures = []
    dropped = 0
    for path in list_pictures(folder):
        parsed = parse_name(path.name)
        if parsed is None:
            raise InputError(
                f"expected names such as 0001_c1s1_000151_00.jpg (IDENTITY_cCAMERA...) in {folder}, "
                f"got {path.name}; rename it or move it out"
            )
        identity, camera = parsed
        if identity == JUNK:
            dropped += 1
        else:
            pictures.append(Picture(path, identity, camera))
    if not pictures:
        if dropped:
            raise InputError(
                f"{folder} holds only {dropped} junk images (identity -1); add others, or remove the folder"
            )
        raise InputError(f"{folder} holds no image itself; {advice(folder)}")
    return tuple(pictures)
