"""Room for what is needed for a moment, also while every disk is full: memory, as a folder."""

from __future__ import annotations

import os

#: Of every Linux with glibc, and writable in the agent's unit; not `/tmp`, which may be on the full disk.
_MEMORY = "/dev/shm"  # noqa: S108 - what is made there has a name that nobody can foresee


def scratch_folder() -> str | None:
    """Return a folder in memory for `tempfile`; None, which is its default, where there is none."""
    return _MEMORY if os.access(_MEMORY, os.W_OK) else None
