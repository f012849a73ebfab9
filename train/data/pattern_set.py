"""A user's own images by a pattern on their file names.

    cams::{camera}/{identity}_*.jpg
      cams/north/anna_001.jpg           anna, on camera north
      cams/south/anna_007.jpg

{identity} is required, {camera} and {split} are optional. A field matches as little text as possible, at
least one character, and * matches any text, even none; neither matches a /. Without {split}, all images are
training images.
"""

from __future__ import annotations

import re
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import SUFFIXES
from osnet_edge.train.data.described import Description, set_of
from osnet_edge.train.data.reid_set import ReidSet

_FIELDS = ("identity", "camera", "split")


def read_pattern(folder: Path | str, pattern: str) -> ReidSet:
    """Read the images below a folder whose names match a pattern; a warning counts the others.

    Args:
        folder: the folder; the pattern applies to paths relative to it, with / between folders.
        pattern: such as `{split}/{identity}_{camera}_*.jpg`.

    Raises:
        InputError: the folder is missing, the pattern has no {identity}, no image matches it, or a split is
            unknown.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist; give the folder that holds the images")
    expression = compile_pattern(pattern)
    described, others = [], []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        if fits := expression.fullmatch(name):
            told = {"camera": "", "split": "train"} | fits.groupdict()
            described.append(Description(path, source=name, **told))
        else:
            others.append(name)
    if not described:
        first = f"of {len(others)} the first is {others[0]}" if others else "it holds none at all"
        raise InputError(f"no image in {folder} fits {pattern}: {first}; change the pattern")
    warnings = (f"images that do not fit {pattern}: {len(others):,}, such as {others[0]}",) if others else ()
    return set_of(folder.resolve().name, folder, described, warnings)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression with its fields as groups.

    Raises:
        InputError: a field is unknown, comes twice, or {identity} is missing.

    Example:
        >>> compile_pattern("{identity}_{camera}_*.jpg").fullmatch("anna_c1_0_17.jpg").groupdict()
        {'identity': 'anna', 'camera': 'c1'}
    """
    parts = re.split(r"(\{[^{}]*\}|\*)", pattern)
    fields = [part[1:-1] for part in parts if part.startswith("{")]
    if "identity" not in fields or set(fields) - set(_FIELDS) or len(set(fields)) < len(fields):
        raise InputError(
            "expected a pattern such as {camera}/{identity}_*.jpg, with {identity} and perhaps {camera} and "
            f"{{split}}, each once; got {pattern!r}"
        )
    return re.compile(
        "".join(
            "[^/]*?" if part == "*" else f"(?P<{part[1:-1]}>[^/]+?)" if part[:1] == "{" else re.escape(part)
            for part in parts
        )
    )
