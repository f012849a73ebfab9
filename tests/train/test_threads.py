"""torch's threads beside other processes, in fresh processes, since OpenMP reads what it should do once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from osnet_edge.runtime.backends.onnxruntime import allowed_cores
from osnet_edge.train.synthetic import write_set

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


def free_env(**more: str) -> dict[str, str]:
    """The environment, without what the user chose for OpenMP."""
    return {**{name: it for name, it in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}, **more}


def run(*arguments: str, **more: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=free_env(**more), capture_output=True, text=True, check=True).stdout


def told(how: str = "fresh", **more: str) -> list[str]:
    return run("-c", SCRIPT, how, **more).splitlines()


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


@pytest.mark.skipif(CORES < 2, reason="there is no fewer than one thread")
@pytest.mark.usefixtures("busy")
def test_eval_says_what_itself_uses_since_a_package_is_no_work_of_torch(
    checkpoint: Path, tmp_path: Path
) -> None:
    write_set(
        tmp_path / "set", train_identities=0, test_identities=2, cameras=2, pictures_per_camera=2, seed=0
    )
    command = [sys.executable, "-m", "osnet_edge.cli.main", "eval", str(checkpoint), "--data"]
    ran = subprocess.Popen(
        [*command, str(tmp_path / "set")], stderr=subprocess.PIPE, text=True, env=free_env()
    )
    # It is said before torch is imported, which takes seconds beside others.
    assert ran.stderr is not None
    line = next(line for line in ran.stderr if "busy" in line)
    ran.kill()
    ran.communicate()
    assert re.search(rf"keep \d+ of {CORES} cores busy, so this command uses \d+ here", line)


@pytest.mark.usefixtures("busy")
def test_who_wants_one_core_is_told_of_no_other() -> None:
    script = "from osnet_edge.train.threads import spare_busy_cores as spare; print(spare(print, most=1))"
    assert run("-c", script) == "1\n"


@pytest.mark.usefixtures("busy")
def test_what_the_user_chose_is_left_as_it_is() -> None:
    assert told(OMP_NUM_THREADS="1") == [f"{CORES} 1 None"]


@pytest.mark.usefixtures("busy")
def test_a_torch_that_is_loaded_is_left_as_it_is() -> None:
    (result,) = told("loaded")
    assert result.split()[::2] == [str(CORES), "None"]
