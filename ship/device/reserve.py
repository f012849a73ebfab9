"""Room kept on the disk for the end of a trial: the journal and the link, when everything else is full."""

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
    """Files in a folder that are there to be deleted.

    Args:
        folder: where; it may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self) -> None:
        """Make what is missing of it, as far as there is room."""
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
        """Do what needs a little room; while the disk is full, give up the reserve for it, file by file.

        Raises:
            OSError: it cannot be done, or the disk is full without the reserve too.
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
