"""Sets to test on, by what a user types after `--data`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from osnet_edge.cli.bench import DATA_VARIABLE
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.train.data import ReidSet


def parse_specs(text: str) -> tuple[str, ...]:
    """Split what names several sets at its commas.

    Raises:
        InputError: a name is missing.

    Example:
        >>> parse_specs("viper,street")
        ('viper', 'street')
    """
    if Path(text).exists():
        return (text,)
    specs = tuple(part.strip() for part in text.split(","))
    if not all(specs):
        raise InputError(f"expected sets such as viper,street; got {text!r}")
    return specs


def open_sets(spec: str) -> tuple[ReidSet, ...]:
    """Open all test splits of one set, over which its scores are averaged.

    Args:
        spec: a folder in the Market-1501 layout, or a name of one in the folder that `OSNET_EDGE_DATA` names.

    Raises:
        InputError: there is none, or it is no such set.
    """
    from osnet_edge.train.data import read_market1501

    root = Path(spec)
    if not root.exists() and os.environ.get(DATA_VARIABLE):
        root = Path(os.environ[DATA_VARIABLE]) / spec
    if not root.exists():
        raise InputError(
            f"expected --data as a folder, or a name in ${DATA_VARIABLE}; found nothing called {spec}"
        )
    return (read_market1501(root, splits=("query", "gallery")),)
