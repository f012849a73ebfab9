"""MATLAB files, in which some sets publish their splits, and CUHK03 its images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    with damage_named(file):
        return dict(loadmat(file))


def open_hdf5(file: Path) -> Any:
    """Open a MATLAB file of version 7.3, which is HDF5: an `h5py.File`, to be closed.

    Raises:
        UnavailableError: h5py, which reads it, is not installed.
        InputError: it cannot be read.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise UnavailableError(
            f"reading {file.name} needs h5py, which is not installed: pip install 'osnet-edge[data]'"
        ) from None
    with damage_named(file):
        return h5py.File(file, "r")


@contextmanager
def damage_named(file: Path) -> Iterator[None]:
    """Turn all errors that a damaged file may cause into an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        # HDF5 tells a whole stack of its own.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{file} cannot be read as a MATLAB file ({reason}); copy it again") from None
