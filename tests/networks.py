"""Networks with random weights that tests share: each made once a run, and in a process of its own.

So tests of rooms without torch have none in their process.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

#: Where the workers of a run keep what they share; `conftest.py` sets it.
FOLDER_VARIABLE = "OSNET_EDGE_TESTS_SHARED"


def network(name: str) -> Path:
    """Return the folder that `network_files.py` makes for a name."""
    folder = Path(os.environ[FOLDER_VARIABLE]) / name
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = folder.with_suffix(".making")
            made.mkdir(exist_ok=True)
            script = Path(__file__).with_name("network_files.py")
            subprocess.run([sys.executable, str(script), name, str(made)], check=True)
            made.rename(folder)
    return folder
