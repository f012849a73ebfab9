"""Servers that drip, flood, redirect, lie about lengths, and cut: each exchange ends within its bound."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet, archive_of, make_camera, make_fleet, serving, tiny_package, update
from web_server import counted

from osnet_edge.ship.device import download as downloads
from osnet_edge.ship.device.config import Limits, write_config
from osnet_edge.ship.device.exchange import Bound, ExchangeError, exchange

#: Seconds and bytes that each exchange below is given, and what it may take of either at most: the rest of
#: the bytes is what may stand around a body.
SECONDS, LENGTH = 1.0, 1000
MOST_SECONDS, MOST_BYTES = 3.0, 600_000
OK = b"HTTP/1.1 200 OK\r\n"

Hostile = Callable[[socket.socket], None]


def test_a_resolver_that_does_not_answer_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    # The system's hangs in the test below, for its owner.
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given: asked.wait(30))
    try:
        with (
            pytest.raises(ExchangeError, match="no answer for the name hangs"),
            exchange("http://hangs/", Bound(LENGTH, 0.2)),
        ):
            pass
    finally:
        asked.set()


def test_an_agent_whose_resolver_hangs_ends_and_lets_go_of_its_lock(tmp_path: Path) -> None:
    """The system's own resolver, whose server takes questions and never answers: it waits for a minute."""
    camera = make_camera(tmp_path / "camera", make_fleet(tmp_path / "fleet"), limits=Limits(metadata_s=1.0))
    write_config(camera.config_file, replace(camera.config(), url="http://hangs.example"))
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: dns\n")
    mounts = [f"mount --bind {tmp_path}/{name} /etc/{name}" for name in ("resolv.conf", "nsswitch.conf")]
    alone = [
        "unshare",
        "--mount",
        "--net",
        "sh",
        "-c",
        " && ".join((*mounts, "ip link set lo up", 'exec "$@"')),
    ]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*alone, "sh", "true"], capture_output=True).returncode
    ):
        pytest.skip("needs a network and mounts of its own, which root may make")
    script = (
        "import socket, subprocess, sys\n"
        "server = socket.socket(type=socket.SOCK_DGRAM)\n"
        "server.bind(('127.0.0.1', 53))\n"
        # The agent is killed, and this fails, long before the resolver gives up.
        "agent = subprocess.run([sys.executable, '-m', 'osnet_edge.cli.main', *sys.argv[1:]], timeout=30)\n"
        "assert agent.returncode == 1, agent\n"
        "assert server.recv(512, socket.MSG_DONTWAIT), 'the resolver never asked'\n"
    )
    agent = [sys.executable, "-c", script, "device", "update", "--store", str(camera.root)]
    ended = subprocess.run([*alone, "sh", *agent], capture_output=True, text=True)
    # Not the agent's 1, which is also that of a script that fails, by what it waited for too.
    assert ended.returncode == 0, ended.stderr
    last = camera.read_state().last
    assert last is not None
    assert (last.what, last.reason) == ("refused", "network")
    assert "no answer for the name hangs.example" in last.why
    with camera.lock():
        pass


def drip(before: bytes, dripped: bytes) -> Hostile:
    """Send something, and then a few bytes over and over, often enough to pass for alive."""

    def serve(client: socket.socket) -> None:
        client.sendall(before)
        while True:
            for each in dripped:
                client.sendall(bytes([each]))
                time.sleep(0.02)

    return serve


def flood(before: bytes, flooded: bytes) -> Hostile:
    """Send something, and then as much of something else as is taken."""

    def serve(client: socket.socket) -> None:
        client.sendall(before)
        block = flooded * (1 + 65536 // len(flooded))
        while True:
            client.sendall(block)

    return serve


def send(content: bytes) -> Hostile:
    """Send something and hang up."""
    return lambda client: client.sendall(content)


def redirect_to(place: str, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + place.encode() + b"\r\n" + more + b"\r\n"


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
HOSTILE: dict[str, Hostile] = {
    "silence": lambda client: time.sleep(60),
    "dripped status line": drip(b"", b"HTTP/1.1 "),
    "dripped headers": drip(OK, b"X-Y: z\r\n"),
    "dripped name of a header": drip(OK, b"x"),
    "dripped body": drip(OK + b"\r\n", b"x"),
    "dripped chunk size": drip(CHUNKED, b"0"),
    "dripped chunk extension": drip(CHUNKED + b"1;", b"x"),
    "dripped chunks": drip(CHUNKED, b"1\r\nx\r\n"),
    "dripped trailers": drip(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n"),
    "dripped 100 Continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "dripped body of a redirect": drip(redirect_to("/again"), b"x"),
    "dripped body of an error": drip(b"HTTP/1.1 500 Oh\r\n\r\n", b"x"),
    "endless status line": flood(b"", b"HTTP/1.1 "),
    "endless headers": flood(OK, b"X-Y: z\r\n"),
    "endless 100 Continue": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless body": flood(OK + b"\r\n", b"x"),
    "endless body of a length": flood(OK + b"Content-Length: 99999999999\r\n\r\n", b"x"),
    "endless chunks": flood(CHUNKED, b"8\r\nxxxxxxxx\r\n"),
    "endless chunk size": flood(CHUNKED, b"0"),
    "endless chunk": flood(CHUNKED + b"ffffffffffffffffffffff\r\n", b"x"),
    "endless trailers": flood(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n"),
    "endless body of a redirect": flood(redirect_to("/again"), b"x"),
    "endless body of a redirect of a length": flood(
        redirect_to("/again", b"Content-Length: 99999999999\r\n"), b"x"
    ),
    "endless body of an error": flood(b"HTTP/1.1 404 No\r\n\r\n", b"x"),
    "a redirect to itself": send(redirect_to("/")),
    "a redirect to nowhere": send(redirect_to("")),
    "a redirect to half an IPv6 address": send(redirect_to("http://[::1")),
    "a redirect to an empty label": send(redirect_to("http://a..b/")),
    "a redirect to a long label": send(redirect_to(f"http://{'a' * 64}.com/")),
    "a redirect to a long name": send(redirect_to(f"http://{'a.' * 200}com/")),
    "a redirect to a port that is none": send(redirect_to("http://127.0.0.1:99999/")),
    "a redirect to a port of letters": send(redirect_to("http://127.0.0.1:http/")),
    "a redirect to a file": send(redirect_to("file:///etc/passwd")),
    "a redirect to ftp": send(redirect_to("ftp://127.0.0.1/x")),
    "a redirect with a control character": send(redirect_to("http://127.0.0.1/\x01")),
    "a length that is none": send(OK + b"Content-Length: many\r\n\r\n"),
    "a length below zero": flood(OK + b"Content-Length: -5\r\n\r\n", b"x"),
    "a length that is longer": send(OK + b"Content-Length: 900\r\n\r\nshort"),
    "a chunk that is cut": send(CHUNKED + b"ff\r\nshort"),
    "a chunk size that is none": send(CHUNKED + b"many\r\n"),
    "chunks without an end": send(CHUNKED + b"1\r\nx\r\n"),
    "nothing": send(b""),
    "no HTTP": send(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "half a status line": send(b"HTTP/1.1 2"),
    "a status that is none": send(b"HTTP/1.1 two OK\r\n\r\n"),
    "half a header": send(OK + b"Content-Le"),
}
#: They end well: a body without a length ends with the connection, and one of a length with it.
WHOLE = {"a length that is none", "half a header"}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False


@contextmanager
def served(serve: Hostile) -> Iterator[str]:
    """Let a hostile server answer each connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # What the sockets take beyond what is read stays small, so that it can be told from what is read.
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            with contextlib.suppress(OSError):
                self.request.recv(65536)
                serve(self.request)

    with _Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("serve", HOSTILE.values(), ids=HOSTILE)
def test_an_exchange_ends_within_its_bound_of_time_and_bytes_whatever_a_server_sends(
    serve: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    content, why = b"", ""
    with served(serve) as url, counted(monkeypatch) as came:
        try:
            with exchange(url, Bound(LENGTH, SECONDS)) as answer:
                content = b"".join(answer.blocks)
        except ExchangeError as error:
            why = str(error)
        assert time.monotonic() - began < MOST_SECONDS
    assert sum(came) < MOST_BYTES
    assert len(content) <= LENGTH
    # One line, that a terminal may be shown.
    assert why.isprintable()
    name = next(name for name, each in HOSTILE.items() if each is serve)
    assert bool(why) == (name not in WHOLE)


@pytest.mark.parametrize(
    "name", ["dripped body", "dripped headers", "dripped chunks", "dripped 100 Continue"]
)
def test_who_drips_is_left_long_before_the_time_that_a_large_file_has(name: str) -> None:
    began = time.monotonic()
    with (
        served(HOSTILE[name]) as url,
        pytest.raises(ExchangeError, match="it took too long"),
        exchange(url, Bound(10**8, 3600, grace_s=1)) as answer,
    ):
        b"".join(answer.blocks)
    assert time.monotonic() - began < MOST_SECONDS


class Repository(SimpleHTTPRequestHandler):
    """Serves a repository, and gives one kind of file into the hands of a hostile server."""

    folder: Path
    hostile: Hostile
    suffix: str
    asked: list[str]

    def __init__(self, *given: Any) -> None:
        super().__init__(*given, directory=str(self.folder))

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.endswith(self.suffix):
            self.close_connection = True
            with contextlib.suppress(OSError):
                type(self).hostile(self.connection)
        else:
            super().do_GET()

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@contextmanager
def repository(fleet: Fleet, suffix: str, hostile: Hostile) -> Iterator[list[str]]:
    """Serve a fleet's repository, whose files of a name are served by somebody hostile."""
    asked: list[str] = []
    parts = {"folder": fleet.folder, "hostile": staticmethod(hostile), "suffix": suffix, "asked": asked}
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Repository,), parts)) as server:
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fleet.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield asked
        finally:
            server.shutdown()


@pytest.fixture
def unserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A fleet with one release, that nobody serves yet."""
    monkeypatch.setattr(downloads, "_PAUSE_S", 0.01)
    fleet = make_fleet(tmp_path / "repository")
    fleet.publish("r1", tiny_package(1))
    return fleet


FILES = ["timestamp.json", "2.root.json", "snapshot.json", "targets.json", "stable.json", ".tar"]
WORST = [
    "endless body of a redirect",
    "dripped headers",
    "dripped trailers",
    "endless 100 Continue",
    "a redirect to half an IPv6 address",
    "a redirect to an empty label",
    "a redirect to a long label",
    "a length that is longer",
]


@pytest.mark.parametrize("suffix", FILES)
@pytest.mark.parametrize("name", WORST)
def test_an_update_ends_in_an_event_whichever_file_is_served_by_somebody_hostile(
    name: str, suffix: str, unserved: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with repository(unserved, suffix, HOSTILE[name]), counted(monkeypatch) as came:
        limits = Limits(reserve_mb=0, metadata_s=0.5, download_s=0.5)
        camera = make_camera(tmp_path / "camera", unserved, limits=limits)
        began = time.monotonic()
        event = update(camera)
        assert time.monotonic() - began < MOST_SECONDS
        if (name, suffix) == ("endless body of a redirect", "2.root.json"):
            # It leads to a 404, which is how a repository says that there is no newer root.
            assert event.what == "installed"
        else:
            assert (event.what, event.reason) == ("refused", "network"), event.why
        assert sum(came) < 4 * MOST_BYTES
        assert event.why.isprintable()


@pytest.mark.parametrize("suffix", FILES)
def test_what_is_cut_three_times_comes_the_fourth(suffix: str, unserved: Fleet, tmp_path: Path) -> None:
    cuts: list[str] = []
    file = {".tar": archive_of(unserved, "r1")}.get(suffix) or next(unserved.folder.rglob(f"*{suffix}"), None)

    def cut(client: socket.socket) -> None:
        cuts.append(suffix)
        if file is None:
            # There is no second root; only a server that is asked says so.
            client.sendall(b"" if len(cuts) < 4 else b"HTTP/1.1 404 Not Found\r\n\r\n")
            return
        content = file.read_bytes()
        content = content[: len(content) // 2] if len(cuts) < 4 else content
        client.sendall(OK + b"\r\n" + content)

    with repository(unserved, suffix, cut):
        camera = make_camera(tmp_path / "camera", unserved)
        assert update(camera).what == "installed"
        assert serving(camera) == "seed-1"
    assert len(cuts) == 4


def test_a_camera_behind_a_line_that_cuts_a_fifth_of_all_connections_goes_back_from_a_recall_at_once(
    unserved: Fleet, tmp_path: Path
) -> None:
    count = iter(range(10**6))

    class Cutting(Repository):
        def do_GET(self) -> None:
            if next(count) % 5 == 0:
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                SimpleHTTPRequestHandler.do_GET(self)

    parts = {"folder": unserved.folder, "suffix": "", "asked": [], "hostile": staticmethod(send(b""))}
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Cutting,), parts)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        unserved.url = f"http://127.0.0.1:{server.server_port}"
        camera = make_camera(tmp_path / "camera", unserved)
        assert update(camera).release == "r1"
        unserved.publish("r2", tiny_package(2))
        assert update(camera).release == "r2"
        unserved.decide("r2", recalled="boxes flicker", back_to="r1")
        assert update(camera).release == "r1"
        server.shutdown()


def test_a_proxy_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a proxy answers to CONNECT is read before TLS is."""
    for name in ("endless headers", "dripped headers", "endless 100 Continue"):
        with served(HOSTILE[name]) as proxy, counted(monkeypatch) as came:
            monkeypatch.setenv("https_proxy", proxy)
            began = time.monotonic()
            with pytest.raises(ExchangeError), exchange("https://example.org/", Bound(LENGTH, SECONDS)):
                pass
            assert time.monotonic() - began < MOST_SECONDS
            assert sum(came) < MOST_BYTES


@pytest.mark.parametrize("name", ["silence", "no HTTP", "dripped headers"])
def test_tls_is_bounded_too(name: str) -> None:
    began = time.monotonic()
    with (
        served(HOSTILE[name]) as url,
        pytest.raises(ExchangeError),
        exchange(url.replace("http:", "https:"), Bound(LENGTH, SECONDS)),
    ):
        pass
    assert time.monotonic() - began < MOST_SECONDS
