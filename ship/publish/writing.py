"""One writer of a repository at a time: by a lock, and by files that are never overwritten.

A lock excludes processes of one machine, and of several machines if the file system supports it, as NFS does.
On other file systems three rules remain: a numbered file is created only if it does not exist; of those who
have begun to write, whoever has the lowest number goes on; and the timestamp is replaced only while it is the
one that was read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from osnet_edge.runtime.errors import CheckError, InputError, first_line
from osnet_edge.runtime.files import ASIDE_SUFFIX, sync, write_all, write_aside

#: Beside `metadata` and `targets`, which are all that is copied to a web server.
LOCK_NAME = ".lock"
#: Names of metadata that a writer has begun to put in place; what is not in this folder has been published.
UNFINISHED_NAME = ".unfinished"
#: How long a writer waits for another one.
WAIT_S = 30.0
_POLL_S = 0.05
#: Seconds after which a writer on another machine is taken for ended; one that stalls for longer, between its
#: comparison and its rename, may be lost.
_ENDED_S = 60.0
#: Between a name and whose note of it this is.
_OWNER = "+"
#: How a file system says that it has no locks, or no hard links.
_WITHOUT = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EMLINK)


class WriteLock:
    """The lock of a repository; the system releases it when the process ends.

    Args:
        folder: the repository's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._depth = folder, 0

    @contextmanager
    def hold(self, wait: float = WAIT_S) -> Iterator[None]:
        """Hold the lock while the block runs; nested blocks of the same object share it.

        Args:
            wait: seconds to wait for another writer.

        Raises:
            InputError: the folder does not exist, or is not writable.
            CheckError: another writer still has the lock.
        """
        descriptor = None if self._depth else self._take(wait)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if descriptor is not None:
                os.close(descriptor)

    def _take(self, wait: float) -> int:
        path = self._folder / LOCK_NAME
        try:
            descriptor = _open(path)
        except OSError as error:
            if not self._folder.is_dir():
                raise InputError(
                    f"{self._folder} is no repository yet: make its root with osnet-edge keys root"
                ) from None
            raise InputError(f"cannot write to the repository {self._folder}: {error.strerror}") from None
        until = time.monotonic() + wait
        try:
            while not _try(descriptor):
                if time.monotonic() >= until:
                    holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown"
                    raise CheckError(
                        f"another osnet-edge is writing to {self._folder} ({first_line(holder)}), and "
                        "nothing was changed: run this again when that has ended"
                    )
                time.sleep(_POLL_S)
            _sign(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def create_file(path: Path, content: bytes) -> None:
    """Create a file atomically; if two writers do so at once, one of them succeeds.

    Raises:
        FileExistsError: the file exists already.
    """
    aside = Path(tempfile.mkdtemp(ASIDE_SUFFIX, f".{path.name[:40]}.", path.parent))
    try:
        partial = aside / path.name
        partial.write_bytes(content)
        sync(partial)
        try:
            os.link(partial, path)
        except OSError as error:
            if error.errno not in _WITHOUT:
                raise
            _create_in_place(path, content)
        sync(path.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def replace_file(path: Path, content: bytes, before: bytes | None) -> bool:
    """Replace a file's content if it is still the one that was read.

    Args:
        path: the file.
        content: the new content.
        before: the content that was read; None if there was no file.

    Returns:
        Whether it was replaced; if not, nothing is changed.
    """
    try:
        with write_aside(path) as partial:
            partial.write_bytes(content)
            # Now, so that nothing slow is between the comparison and the rename.
            sync(partial)
            if read_if_there(path) != before:
                raise _ChangedError
    except _ChangedError:
        return False
    return True


def read_if_there(path: Path) -> bytes | None:
    """Return a file's content; None if there is no file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def note_unfinished(folder: Path, *names: str) -> list[Path]:
    """Record on the disk that these metadata files are about to be installed; return the records."""
    place = folder / UNFINISHED_NAME
    place.mkdir(exist_ok=True)
    # Another writer may have begun with the same name: each has notes of its own.
    notes = [place / f"{name}{_OWNER}{uuid4().hex}" for name in names]
    for note in notes:
        note.write_text(f"{socket.gethostname()}\n{os.getpid()}\n", encoding="utf-8")
    sync(place)
    sync(folder)
    return notes


def unfinished(folder: Path) -> set[str]:
    """Return the metadata files that a writer began to install, and neither finished nor withdrew."""
    place = folder / UNFINISHED_NAME
    if not place.is_dir():
        return set()
    # Other files come from elsewhere: NFS keeps a deleted one that is still open as `.nfs...`.
    names = (path.name.split(_OWNER) for path in place.glob(f"[0-9]*.json{_OWNER}*"))
    return {name for name, *_ in names if name.split(".")[0].isdecimal()}


def writers_before(folder: Path, above: int, mine: Path) -> bool:
    """Return whether somebody else has begun a metadata file of a role, and is to be let go first.

    Each creates the next number where there is none, so that two have the same begun only by a higher one who
    saw the lower. Of a machine that is not this one, or that did not say, the age of the note tells: by the
    clock of the file system, which wrote ours too.

    Args:
        folder: the repository's.
        above: the number that is in place.
        mine: our note, of the file that we have begun.
    """
    number, role = _number_and_role(mine)
    now = mine.stat().st_mtime
    for note in mine.parent.glob(f"[0-9]*.{role}.json{_OWNER}*"):
        other, _ = _number_and_role(note)
        if not above < other < number:
            continue
        with contextlib.suppress(FileNotFoundError):
            if _still_writes(note, now):
                return True
    return False


def forget_unfinished(notes: Iterable[Path]) -> None:
    """Delete these records: all of the files are installed, or none."""
    for note in notes:
        note.unlink(missing_ok=True)


def _number_and_role(note: Path) -> tuple[int, str]:
    number, role, *_ = note.name.split(".")
    return int(number), role


def _still_writes(note: Path, now: float) -> bool:
    host, *process = note.read_text(encoding="utf-8", errors="replace").split() or [""]
    # Windows would send the process a signal.
    if os.name == "posix" and host == socket.gethostname() and process and process[0].isdecimal():
        return _runs(int(process[0]))
    return now - note.stat().st_mtime < _ENDED_S


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # Somebody else's.
        return True
    return True


class _ChangedError(Exception):
    """Another writer changed the file."""


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        # A colleague's, who shares the folder with us: locks need no writing.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _try(descriptor: int) -> bool:
    """Take the lock if it is free; return True also if the file system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (*_WITHOUT, errno.EBADF):
            raise
    return True


def _sign(descriptor: int) -> None:
    """Write into the lock who holds it."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} of {socket.gethostname()}\n".encode(), 0)
    except OSError:
        # It was opened for reading alone, or the disk is full: others wait without knowing for whom.
        pass


def _create_in_place(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
