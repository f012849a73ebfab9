"""A real web server, nginx, on a free port of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Count the bytes that this process takes from sockets."""
    came: list[int] = []
    receive = socket.socket.recv_into

    def recv_into(connection: socket.socket, *given: Any, **more: Any) -> int:
        size = receive(connection, *given, **more)
        came.append(size)
        return size

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "recv_into", recv_into)
        yield came


@contextmanager
def nginx(folder: Path, scratch: Path) -> Iterator[str]:
    """Serve a folder by nginx on a free port of loopback; yields the address."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/sbin:/bin")
    if program is None:
        pytest.skip("needs nginx, which is not installed: apt-get install nginx-light")
    port = free_port()
    scratch.mkdir(parents=True, exist_ok=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {scratch}/{kind};" for kind in kinds)
    # Its workers, where we are root, would be somebody who may not read our files.
    user = "user root;" if os.geteuid() == 0 else ""
    (scratch / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {scratch}/pid; {user} events {{ worker_connections 2048; }}\n"
        f"http {{ {temporary} access_log {scratch}/access.log; sendfile on;\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; }} }}\n"
    )
    server = subprocess.Popen([program, "-c", str(scratch / "nginx.conf"), "-e", str(scratch / "error.log")])
    try:
        _wait_for(port, server, scratch / "error.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text() if log.exists() else ''}")
