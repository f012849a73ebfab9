"""One HTTP exchange with a limit on bytes and seconds, whatever the server sends.

Every byte that a server sends (status lines, headers, `100 Continue`, chunk sizes, trailers, a proxy's
answers, bodies of redirects) is read through one counted stream below `http.client`. Before each read, the
stream sets the socket's timeout to the time that is left, and it ends the exchange at the last byte allowed.
So no form of answer can exceed the limits. The fetchers of python-tuf, urllib3 and requests limit only the
silence between two bytes, and read the whole body of a redirect.

It uses the standard library's client, with proxies from the environment and the system's certificates.
"""

from __future__ import annotations

import functools
import http.client
import io
import queue
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple, cast

from osnet_edge.runtime.errors import first_line

_BLOCK = 1 << 18
#: What a body may have around it: status lines, headers, redirects, chunk sizes.
_AROUND = 1 << 18
_SERVER_ERROR = 500


class ExchangeError(Exception):
    """A failed exchange; the message says why in one line.

    Args:
        message: the reason.
        status: HTTP status code, if that is the reason.
        again: whether another try soon may help.
    """

    def __init__(self, message: str, *, status: int = 0, again: bool = True) -> None:
        super().__init__(message)
        self.status, self.again = status, again


class TooLongError(ExchangeError):
    """A body that is longer than allowed."""

    def __init__(self, length: int) -> None:
        super().__init__(f"more than {length:,} bytes", again=False)


@dataclass
class Bound:
    """Limits of an exchange, and what is left of them.

    Attributes:
        length: most bytes of the body.
        seconds: time for all of it, from now on.
        silence_s: seconds without a byte after which the connection is taken for dead.
        grace_s: seconds in which it may be arbitrarily slow.
        rate: bytes per second that must have arrived after that, so that a slow server cannot block an
            update.
    """

    length: int
    seconds: float
    silence_s: float = 20.0
    grace_s: float = 60.0
    rate: float = 250.0
    _began: float = field(default_factory=time.monotonic)
    _came: int = 0

    def left(self) -> float:
        """Return how long the next read may take, in seconds.

        Raises:
            ExchangeError: no time is left.
        """
        passed = time.monotonic() - self._began
        left = min(self.seconds, self.grace_s + self._came / self.rate) - passed
        if left <= 0:
            raise ExchangeError(f"it took too long: {self._came:,} bytes in {passed:.3g} s", again=False)
        return min(self.silence_s, left)

    def count(self, size: int) -> None:
        """Count bytes that arrived.

        Raises:
            ExchangeError: they are more than allowed.
        """
        self._came += size
        if self._came > self.length + self.length // 64 + _AROUND:
            raise ExchangeError(
                f"{self._came:,} bytes came for a file of at most {self.length:,}", again=False
            )


class Answer(NamedTuple):
    """A server's answer.

    Attributes:
        status: HTTP status code.
        is_framed: whether the answer says where its body ends; otherwise a truncated body looks complete.
        blocks: the body, block by block.
    """

    status: int
    is_framed: bool
    blocks: Iterator[bytes]


@contextmanager
def exchange(url: str, bound: Bound, start: int = 0) -> Iterator[Answer]:
    """Request a URL.

    Args:
        url: http or https.
        bound: limits on everything that the server sends.
        start: the first byte to request.

    Yields:
        The answer; its body has at most `bound.length` bytes.

    Raises:
        ExchangeError: there is no answer, it breaks off, or it exceeds its limits.
    """
    request = urllib.request.Request(url)  # noqa: S310 - the opener knows http and https alone
    if start:
        request.add_header("Range", f"bytes={start}-")
    with _told():
        response = cast("http.client.HTTPResponse", _opener(bound).open(request, timeout=bound.left()))
    with response:
        is_framed = response.length is not None or bool(response.chunked)
        yield Answer(response.status, is_framed, _blocks(response, bound.length))


def _blocks(response: http.client.HTTPResponse, length: int) -> Iterator[bytes]:
    declared, came = response.length, 0
    # One more than there may be shows that there is more.
    most = length + 1 if declared is None else min(length + 1, declared)
    while came < most:
        with _told():
            block = response.read1(min(_BLOCK, most - came))
            if not block and declared is not None:
                # http.client takes a body that is cut short for one that has ended.
                raise ConnectionError("the connection ended early")
        if not block:
            return
        came += len(block)
        if came > length:
            # Who has had enough by now stops here, and is not disturbed by what a server sends beyond.
            yield block[:-1]
            raise TooLongError(length)
        yield block


@contextmanager
def _told() -> Iterator[None]:
    """Turn every error that a server can cause in the standard library into an ExchangeError."""
    try:
        yield
    except ExchangeError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        raise ExchangeError(
            f"{error.code} {first_line(error.reason)}", status=error.code, again=error.code >= _SERVER_ERROR
        ) from None
    except Exception as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ExchangeError):
            raise reason from None
        # An address that cannot be one: of a redirect, since the configuration's was looked at.
        lasting = isinstance(reason, ValueError | OverflowError) and not isinstance(reason, OSError)
        raise ExchangeError(_words(reason), again=not lasting) from None


def _words(reason: object) -> str:
    if isinstance(reason, ssl.SSLError):
        return f"TLS: {first_line(reason)}"
    return first_line(getattr(reason, "strerror", None) or reason)


def _opener(bound: Bound) -> urllib.request.OpenerDirector:
    """Return an opener for http and https only, since a redirect could name another scheme."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _Handler(bound),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections whose reads are counted."""

    def __init__(self, bound: Bound) -> None:
        urllib.request.HTTPSHandler.__init__(self)
        self._bound = bound

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open an address of http."""
        return self.do_open(cast("Any", functools.partial(_connection, self._bound)), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open an address of https."""
        return self.do_open(cast("Any", functools.partial(_tls_connection, self._bound)), req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without reading their bodies."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any
    ) -> Any:
        """Follow one."""
        fp.close()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _connection(bound: Bound, host: str, **given: Any) -> http.client.HTTPConnection:
    return _bounded(http.client.HTTPConnection(host, **given), bound)


def _tls_connection(bound: Bound, host: str, **given: Any) -> http.client.HTTPConnection:
    return _bounded(http.client.HTTPSConnection(host, **given), bound)


def _bounded(connection: http.client.HTTPConnection, bound: Bound) -> http.client.HTTPConnection:
    # The two places where http.client gets a socket and where it reads from it.
    vars(connection)["_create_connection"] = functools.partial(_connect, bound)
    vars(connection)["response_class"] = functools.partial(_Response, bound)
    return connection


def _connect(bound: Bound, address: tuple[str, int], *given: object) -> socket.socket:
    """Connect to the first address of a host name that answers, within the limits."""
    problem = OSError("no address of it answers")
    for family, kind, protocol, _, place in _look_up(bound, address):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(bound.left())
            connection.connect(place)
            # TLS shakes hands, and the request is sent, within it too.
            connection.settimeout(bound.left())
        except OSError as error:
            connection.close()
            problem = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise problem


def _look_up(bound: Bound, address: tuple[str, int]) -> list[Any]:
    """Return the addresses of a host name; in a thread, since the system's resolver has no time limit."""
    found: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(socket.getaddrinfo(*address, 0, socket.SOCK_STREAM))
        except Exception as error:
            found.put(error)

    threading.Thread(target=ask, name="osnet-edge-look-up", daemon=True).start()
    try:
        answer = found.get(timeout=bound.left())
    except queue.Empty:
        raise OSError(f"no answer for the name {address[0]}") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


class _Response(http.client.HTTPResponse):
    """An answer that is read through a counted stream."""

    def __init__(self, bound: Bound, sock: socket.socket, *given: Any, **more: Any) -> None:
        super().__init__(sock, *given, **more)
        stream = cast("Any", self.fp).detach()
        self.fp = io.BufferedReader(_Counted(stream, sock, bound))


class _Counted(io.RawIOBase):
    """A socket's stream, each read of which is timed and counted."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, bound: Bound) -> None:
        super().__init__()
        self._stream, self._sock, self._bound = stream, sock, bound

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come."""
        self._sock.settimeout(self._bound.left())
        try:
            size: int | None = cast("Any", self._stream).readinto(buffer)
        except TimeoutError:
            # Of silence, or of all: the second says so.
            self._bound.left()
            raise
        self._bound.count(size or 0)
        return size

    def close(self) -> None:
        """Close the stream, and with it the socket."""
        self._stream.close()
        super().close()
