"""Temporary failures, of the device and not of the engine: how they are recognised, and when to retry."""

from __future__ import annotations

import errno
from datetime import datetime, timedelta

from osnet_edge.runtime.errors import EX_TEMPFAIL
from osnet_edge.ship.device.refused import Reason, RefusedError

#: What tells in a failure's line that memory, room, a thread, or a part of a library was missing.
_WORDS = (
    *("memoryerror", "bad_alloc", "out of memory", "out_of_memory", "outofmemory", "cannot allocate memory"),
    *("importerror", "modulenotfounderror", "undefined symbol", "cannot open shared object"),
    *("no space left on device", "too many open files", "can't start new thread"),
    "resource temporarily unavailable",
)
#: With these no process can be started, whatever it would do; ETXTBSY: its program is being written.
_ERRORS = frozenset(
    {
        *(errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE),
        *(errno.ENOSPC, errno.EDQUOT, errno.ETXTBSY),
    }
)
#: A shell says by 128 and more that what it ran was ended by a signal.
_BY_SIGNAL = range(129, 160)
#: Reasons for which a release is tried again by the schedule below. `network` is not among them: each look
#: goes on with a download where the one before ended.
RETRIED: frozenset[Reason] = frozenset({"corrupt", "disk", "limit", "unwatched"})
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(hours=1), timedelta(hours=24)


class PassingError(RefusedError):
    """A command lacked something on this device, and may succeed another time.

    Args:
        message: one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__("limit", message)


def is_passing(code: int, said: str) -> bool:
    """Return whether an exit code (negative for a signal) and the last line mean a temporary failure."""
    return code < 0 or code == EX_TEMPFAIL or code in _BY_SIGNAL or says_passing(said)


def says_passing(said: str) -> bool:
    """Return whether a line means a temporary failure.

    Example:
        >>> says_passing("MemoryError: std::bad_alloc")
        True
    """
    return any(word in said.casefold() for word in _WORDS)


def lacks_system(error: OSError) -> bool:
    """Return whether the system only lacked the resources to run something."""
    return error.errno in _ERRORS


def next_try(times: int, now: datetime) -> datetime:
    """Return when to retry after so many failures in a row.

    At the next check; then after 1, 2, 4, 8 and 16 hours; then every 24 hours.
    """
    doubled = _FIRST_PAUSE * 2 ** min(times - 2, 10) if times > 1 else timedelta()
    return now + min(doubled, _LONGEST_PAUSE)


def is_due(failed: datetime, again: datetime, now: datetime) -> bool:
    """Return whether it is time for another try; also if the clock was set back to before the last one."""
    return not failed <= now < again
