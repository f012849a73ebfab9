"""Bytes from a web server, in bounded amounts: metadata for TUF, and archives that can be resumed.

The standard library's client: it takes proxies from the environment, and the system's certificates.
"""

from __future__ import annotations

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from osnet_edge.runtime.errors import first_line
from osnet_edge.runtime.files import sync, write_all
from osnet_edge.ship.device.refused import RefusedError

#: No byte for so long, and the connection is taken for dead.
_SILENCE_S = 20.0
#: Of metadata, in all: a server that drips bytes must not hold an update for ever.
_METADATA_S = 120.0
_BLOCK = 1 << 18
#: How often a download is begun, and seconds before the second time; each further one waits twice as long.
_TRIES, _PAUSE_S = 4, 0.5
_PARTIAL_CONTENT, _NOT_SATISFIABLE = 206, 416


class Fetcher(FetcherInterface):
    """TUF's metadata over HTTP; lengths are bounded by TUF, which reads from here."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            response = _open(url, 0)
        except urllib.error.HTTPError as error:
            error.close()
            raise DownloadHTTPError(f"{url}: {error.code} {error.reason}", error.code) from None
        except (OSError, http.client.HTTPException) as error:
            raise DownloadError(f"{url}: {_words(error)}") from None
        return self._blocks(response, url)

    def _blocks(self, response: http.client.HTTPResponse, url: str) -> Iterator[bytes]:
        until = time.monotonic() + _METADATA_S
        with response:
            try:
                while block := response.read1(_BLOCK):
                    yield block
                    if time.monotonic() > until:
                        raise SlowRetrievalError(f"{url}: not whole after {_METADATA_S:.0f} s")
            except (OSError, http.client.HTTPException) as error:
                raise DownloadError(f"{url}: {_words(error)}") from None


def download(
    url: str,
    destination: Path,
    length: int,
    seconds: float,
    progress: Callable[[int], None] = lambda size: None,
) -> None:
    """Download `length` bytes, going on from what is there already.

    Args:
        url: where from.
        destination: where to; what of it is there is taken for the beginning.
        length: how many bytes it has: one more is never written, whatever is sent.
        seconds: how long it may take in all.
        progress: called with the number of bytes that are there.

    Raises:
        RefusedError: the server cannot be reached or says no, or it ends early; what came stays there. Or the
            disk is full.
    """
    until = time.monotonic() + seconds
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(min(_PAUSE_S * 2**attempt, max(0.0, until - time.monotonic())))
            if time.monotonic() >= until:
                break
        try:
            _go_on(url, destination, length, until, progress)
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"{error.code} {error.reason}"
            if error.code == _NOT_SATISFIABLE:
                # What is there is longer than what the server has.
                destination.unlink(missing_ok=True)
            elif error.code < http.client.INTERNAL_SERVER_ERROR:
                break
        except (OSError, http.client.HTTPException) as error:
            problem = _words(error)
        else:
            return
    has = destination.stat().st_size if destination.exists() else 0
    raise RefusedError(
        "network", f"{url}: {has:,} of {length:,} bytes came ({problem}); the next try goes on there"
    )


def _go_on(url: str, destination: Path, length: int, until: float, progress: Callable[[int], None]) -> None:
    descriptor = os.open(destination, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        done = os.fstat(descriptor).st_size
        if done > length:
            os.ftruncate(descriptor, 0)
            done = 0
        if done < length:
            with _open(url, done) as response:
                if done and response.status != _PARTIAL_CONTENT:
                    # A server that knows no ranges sends it all again.
                    os.ftruncate(descriptor, 0)
                    done = 0
                os.lseek(descriptor, done, os.SEEK_SET)
                while done < length and (block := response.read1(min(_BLOCK, length - done))):
                    _keep(descriptor, block, destination)
                    done += len(block)
                    progress(done)
                    if time.monotonic() > until:
                        raise TimeoutError("it took too long")
        if done < length:
            raise ConnectionError("the connection ended early")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync(destination.parent)


def _keep(descriptor: int, block: bytes, destination: Path) -> None:
    """Write a block; a failure of the disk is raised as one of the disk, not of the network."""
    try:
        write_all(descriptor, block)
    except OSError as error:
        raise RefusedError("disk", f"{destination} cannot be written: {error.strerror}; make room") from None


def _open(url: str, start: int) -> http.client.HTTPResponse:
    request = urllib.request.Request(url)  # noqa: S310 - the scheme was checked with the configuration
    if start:
        request.add_header("Range", f"bytes={start}-")
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_SILENCE_S)  # noqa: S310
    return response


def _words(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLError):
        return f"TLS: {first_line(reason)}"
    return first_line(getattr(reason, "strerror", None) or reason)
