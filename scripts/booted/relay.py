"""A camera's only way out: `relay.py PORT` joins standard input and output to a server on the loopback.

QEMU starts one for each connection, and nothing else of this machine or beyond can be reached.
"""

from __future__ import annotations

import os
import socket
import sys
import threading


def main(port: int) -> None:
    """Carry bytes both ways until the server closes."""
    with socket.create_connection(("127.0.0.1", port)) as server:

        def ask() -> None:
            while asked := os.read(0, 65536):
                server.sendall(asked)
            server.shutdown(socket.SHUT_WR)

        threading.Thread(target=ask, daemon=True).start()
        while answered := server.recv(65536):
            while answered:
                answered = answered[os.write(1, answered) :]


if __name__ == "__main__":
    main(int(sys.argv[1]))
