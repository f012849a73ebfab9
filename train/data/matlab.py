"""MATLAB files, by which some authors publish their splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError, UnavailableError


def read_matlab(file: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file of version 5.

    Raises:
        UnavailableError: SciPy, which reads it, is not installed.
        InputError: it cannot be read.
    """
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError:
        raise UnavailableError(
            f"reading {file.name} needs scipy, which is not installed: pip install 'osnet-edge[data]'"
        ) from None
    try:
        return dict(loadmat(file))
    # A damaged file surfaces as whatever its bytes happen to break.
    except Exception as error:
        raise InputError(f"{file} cannot be read as a MATLAB file ({error}); copy it again") from None
