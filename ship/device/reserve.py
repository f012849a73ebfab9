"""Disk space reserved for the journal and the link, so that a rollback works on a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from osnet_edge.runtime.files import sync

#: Each gives back two blocks of 4 KiB and an inode. All together: a journal of the largest size beside the
#: one that it replaces, and the names that are written aside on the way.
_FILES, _BYTES = 8, 8192
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Reserve:
    """Files that are there to be deleted when space is needed.

    Args:
        folder: their folder; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self) -> None:
        """Write the files that are missing, as far as there is space."""
        with contextlib.suppress(OSError):
            if self._folder.is_symlink():
                # What it leads to is not ours to fill, and less so to delete.
                self._folder.unlink()
            self._folder.mkdir(exist_ok=True)
        for path in self._paths():
            with contextlib.suppress(OSError):
                if path.is_symlink() or not path.is_file() or path.stat().st_size != _BYTES:
                    path.unlink(missing_ok=True)
                    with path.open("xb") as file:
                        # Random, since a file system that compresses keeps no room for zeros.
                        file.write(os.urandom(_BYTES))

    def spend_on(self, work: Callable[[], None]) -> None:
        """Do something that needs a little space; while the disk is full, delete the reserve, file by file.

        Raises:
            OSError: it cannot be done, or the disk is full even without the reserve.
        """
        while True:
            try:
                return work()
            except OSError as error:
                if error.errno not in _FULL or not self._give_up_one():
                    raise

    def _give_up_one(self) -> bool:
        for path in () if self._folder.is_symlink() else self._paths():
            with contextlib.suppress(OSError):
                path.unlink()
                # Journaling file systems hand out a deleted file's blocks once the deletion is on the disk.
                sync(self._folder)
                return True
        return False

    def _paths(self) -> list[Path]:
        return [self._folder / str(number) for number in range(_FILES)]
