"""What this machine must have, and running its programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from osnet_edge.runtime.errors import UnavailableError

CHECKOUT = Path(__file__).parents[2]
_SBIN = "/usr/sbin:/sbin"
_NEEDED = ("mmdebstrap", "chroot", "mke2fs", "qemu-system-x86_64", "qemu-img", "nginx", "ssh", "ssh-keygen")


def require_programs() -> None:
    """Hold that this machine can build an image and boot it.

    Raises:
        UnavailableError: it cannot, and what would help.
    """
    os.environ["PATH"] += f":{_SBIN}"
    if missing := [each for each in _NEEDED if shutil.which(each) is None]:
        raise UnavailableError(
            f"this needs {', '.join(missing)}: apt-get install mmdebstrap e2fsprogs qemu-system-x86 "
            "qemu-utils nginx-light openssh-client"
        )
    if os.geteuid() != 0:
        raise UnavailableError("this needs root, to install Debian into a folder: run it with sudo")


def quiet(*command: str) -> str:
    """Run a program of this machine; return what it printed.

    Raises:
        UnavailableError: it failed.
    """
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if ran.returncode != 0:
        said = (ran.stderr or ran.stdout).strip().splitlines() or ["nothing was said"]
        why = next((line for line in said if "error" in line.lower()), said[-1])
        raise UnavailableError(f"{Path(command[0]).name} failed: {why[:300]}")
    return ran.stdout
