"""torch's threads beside other processes, in fresh processes, since OpenMP reads what it should do once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from osnet_edge.runtime.backends.onnxruntime import allowed_cores

SCRIPT = """
import os, sys
if sys.argv[1] == "loaded":
    import torch
from osnet_edge.train.threads import spare_busy_cores
free = spare_busy_cores(print)
import torch
print(free, torch.get_num_threads(), os.environ.get("OMP_WAIT_POLICY"))
"""
CORES = allowed_cores()


@pytest.fixture
def busy() -> Iterator[None]:
    """Something to compute on every core."""
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(CORES)]
    yield
    for process in running:
        process.kill()
        process.wait()


def told(how: str = "fresh", **environment: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-c", SCRIPT, how]
    ran = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()


@pytest.mark.skipif(CORES < 2, reason="there is no fewer than one thread")
@pytest.mark.usefixtures("busy")
def test_beside_others_torch_gets_fewer_threads_than_cores_and_they_do_not_spin() -> None:
    said, result = told()
    free, threads, policy = result.split()
    assert int(free) < CORES
    assert threads == free
    assert policy == "passive"
    assert (
        said == f"other processes keep {CORES - int(free)} of {CORES} cores busy, so torch uses {free} here"
    )


@pytest.mark.usefixtures("busy")
def test_what_the_user_chose_is_left_as_it_is() -> None:
    assert told(OMP_NUM_THREADS="1") == [f"{CORES} 1 None"]


@pytest.mark.usefixtures("busy")
def test_a_torch_that_is_loaded_is_left_as_it_is() -> None:
    (result,) = told("loaded")
    assert result.split()[::2] == [str(CORES), "None"]
