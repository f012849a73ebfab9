"""One update at a time: a lock that the system lets go of when its holder ends, however that is."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osnet_edge.ship.device.refused import RefusedError

_POLL = 0.05


@contextmanager
def hold_lock(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock for a block.

    Args:
        path: the lock's file; it is made where it is missing, and stays.
        wait: seconds to wait for another holder.

    Raises:
        RefusedError: another process holds it still.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + wait
        while not _take(descriptor):
            if time.monotonic() >= until:
                raise RefusedError("busy", f"another update holds {path}; wait for it to end, then try again")
            time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
