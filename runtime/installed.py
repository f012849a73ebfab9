"""What is installed beside us: versions of distributions, and libraries that may be missing or broken."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from osnet_edge.runtime.errors import UnavailableError, first_line


def installed_version(*distributions: str) -> str | None:
    """Return the version of the first of some distributions that is installed; None where none is.

    Args:
        distributions: that bring the same library, the likeliest first.
    """
    for distribution in distributions:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def import_library(module: str, title: str, install: str) -> Any:
    """Import a library that an engine needs.

    Args:
        module: to import.
        title: the library's name, for the message.
        install: what installs it, for the message.

    Raises:
        UnavailableError: it is not installed, or is and cannot be opened; the message says which.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise UnavailableError(f"this engine needs {title}, which is not installed: {install}") from None
        raise UnavailableError(_broken(title, error)) from None
    # OSError: so does ctypes say that a shared library is missing.
    except (ImportError, OSError) as error:
        raise UnavailableError(_broken(title, error)) from None


def _broken(title: str, error: Exception) -> str:
    return (
        f"this engine needs {title}, which is installed and cannot be opened ({first_line(error)}); install "
        "what that names, or the library again with pip's --force-reinstall"
    )
