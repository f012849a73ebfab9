"""Bytes from a web server, in bounded amounts: metadata for TUF, and archives that can be resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient import FetcherInterface

from osnet_edge.runtime.files import sync, write_all
from osnet_edge.ship.channel import LARGEST
from osnet_edge.ship.device.exchange import Bound, ExchangeError, TooLongError, exchange
from osnet_edge.ship.device.refused import RefusedError

T = TypeVar("T")
#: How often a download is begun, and seconds before the second time; each further one waits twice as long.
_TRIES, _PAUSE_S = 4, 0.5
_PARTIAL_CONTENT, _NOT_SATISFIABLE = 206, 416


class Fetcher(FetcherInterface):
    """TUF's metadata over HTTP.

    Args:
        file_s: seconds for a file, with all tries.
        seconds: for all files of a refresh.
    """

    def __init__(self, file_s: float, seconds: float) -> None:
        self._file_s, self._until = file_s, time.monotonic() + seconds

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Download a file of at most `max_length` bytes.

        Raises:
            DownloadHTTPError: the server answers with an HTTP error.
            DownloadLengthMismatchError: the file is longer.
            DownloadError: it does not arrive, or not completely.
        """
        until = min(self._until, time.monotonic() + self._file_s)
        try:
            return _in_tries(lambda: _read(url, max_length, until), until)
        except TooLongError as error:
            raise DownloadLengthMismatchError(f"{url}: {error}") from None
        except ExchangeError as error:
            if error.status:
                raise DownloadHTTPError(f"{url}: {error}", error.status) from None
            raise DownloadError(f"{url}: {error}") from None

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, LARGEST)


def _read(url: str, most: int, until: float) -> bytes:
    with exchange(url, Bound(most, until - time.monotonic())) as answer:
        content = b"".join(answer.blocks)
    if not answer.is_framed and not content.rstrip().endswith(b"}"):
        # Each of ours is a JSON object.
        raise ExchangeError("the connection ended early")
    return content


def download(
    url: str,
    destination: Path,
    length: int,
    seconds: float,
    progress: Callable[[int], None] = lambda size: None,
) -> None:
    """Download `length` bytes; a file that is partly there is continued.

    Args:
        url: of the file.
        destination: the file to write; its present content is taken for the beginning.
        length: size of the file in bytes; never more are written, whatever the server sends.
        seconds: time limit for all of it.
        progress: called with the number of bytes that are there.

    Raises:
        RefusedError: the server cannot be reached, refuses, or ends early (what arrived is kept), or the disk
            is full.
    """
    until = time.monotonic() + seconds
    try:
        _in_tries(lambda: _go_on(url, destination, length, until, progress), until)
    except ExchangeError as error:
        has = destination.stat().st_size if destination.exists() else 0
        raise RefusedError(
            "network", f"{url}: {has:,} of {length:,} bytes came ({error}); the next try goes on there"
        ) from None
    sync(destination.parent)


def _in_tries(work: Callable[[], T], until: float) -> T:
    """Retry something over a network with growing pauses, if that may help and time is left."""
    for attempt in range(1, _TRIES + 1):
        try:
            return work()
        except ExchangeError as error:
            pause = _PAUSE_S * 2**attempt
            if not error.again or attempt == _TRIES or time.monotonic() + pause >= until:
                raise
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _go_on(url: str, destination: Path, length: int, until: float, progress: Callable[[int], None]) -> None:
    # Whatever else may write into the folder: no link is followed out of it.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(destination, flags, 0o600)
    try:
        done = os.fstat(descriptor).st_size
        if done > length:
            os.ftruncate(descriptor, 0)
            done = 0
        if done < length:
            done = _receive(url, descriptor, done, length, until, progress)
        if done < length:
            raise ExchangeError("the connection ended early")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _receive(
    url: str, descriptor: int, done: int, length: int, until: float, progress: Callable[[int], None]
) -> int:
    """Write what arrives after the first `done` bytes; return how many there are then."""
    try:
        with exchange(url, Bound(length, until - time.monotonic()), done) as answer:
            if done and answer.status != _PARTIAL_CONTENT:
                # A server that knows no ranges sends it all again.
                os.ftruncate(descriptor, 0)
                done = 0
            os.lseek(descriptor, done, os.SEEK_SET)
            for block in answer.blocks:
                _keep(descriptor, block[: length - done])
                done = min(length, done + len(block))
                progress(done)
                if done == length:
                    break
    except ExchangeError as error:
        if error.status == _NOT_SATISFIABLE:
            # What is there is longer than what the server has.
            os.ftruncate(descriptor, 0)
            raise ExchangeError(str(error)) from None
        raise
    return done


def _keep(descriptor: int, block: bytes) -> None:
    """Write a block; a failure of the disk is raised as one of the disk, not of the network."""
    try:
        write_all(descriptor, block)
    except OSError as error:
        raise RefusedError("disk", f"the archive cannot be written: {error.strerror}; make room") from None
