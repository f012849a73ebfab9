"""Processes that an agent starts: nothing of the folder and the user that it was started by is in them."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

import pytest
from fleet import Fleet, make_camera, serving, tiny_package

from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.health import watch
from osnet_edge.ship.device.refused import LASTING, RefusedError
from osnet_edge.ship.device.subprocess_limits import run_limited, run_module

#: Modules that the proof and the builder import.
SHADOWED = ("statistics", "json", "numpy", "onnxruntime", "osnet_edge", "sitecustomize", "usercustomize")


def shadow(folder: Path, told: Path) -> None:
    """Put modules into a folder that tell of being run."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHADOWED:
        (folder / f"{name}.py").write_text(f"open({str(told)!r}, 'a').write({name!r})\n")


def test_an_update_in_a_folder_of_somebody_else_runs_nothing_of_it(fleet: Fleet, tmp_path: Path) -> None:
    told, folder = tmp_path / "told", tmp_path / "downloads"
    shadow(folder, told)
    home = tmp_path / "home"
    users = Path(site.getusersitepackages()).relative_to(Path(site.getuserbase()))
    shadow(home / ".local" / users, told)
    camera = make_camera(folder / "store", fleet)
    program = Path(sys.executable).with_name("osnet-edge")
    ran = subprocess.run(
        # Also with a store that is named relative to the folder.
        [program, "device", "update", "--store", "store"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONNOUSERSITE": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert serving(camera) == "seed-1"
    assert not told.exists(), told.read_text()


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE"])
def test_variables_of_python_lead_a_proof_nowhere_else(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    shadow(tmp_path / "lib", told)
    monkeypatch.setenv(variable, str(tmp_path / "lib"))
    monkeypatch.chdir(tmp_path / "lib")
    stdout = run_module("osnet_edge.ship.device.verify", [str(tiny_package(1))], 60, 2000, "proving")
    assert "latency_ms" in stdout
    assert not told.exists()


def test_a_command_of_the_operator_runs_as_the_timer_would_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "of the shell")
    monkeypatch.setenv("PATH", f".:{tmp_path}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    seen = run_limited(["/bin/sh", "-c", "pwd; env"], 10, 500, "looking").splitlines()
    assert seen[0] == "/"
    assert not [line for line in seen if line.startswith("SECRET=") or str(tmp_path) in line]
    assert "CUDA_VISIBLE_DEVICES=1" in seen


@pytest.mark.parametrize(
    "script",
    [
        "kill -9 $$",
        "kill -SEGV $$",
        # A shell's word for a program that was killed.
        "sh -c 'kill -9 $$'; exit $?",
        "exit 75",
        "echo std::bad_alloc >&2; exit 1",
        "echo MemoryError >&2; exit 1",
        "echo 'CUDA_ERROR_OUT_OF_MEMORY: out of memory' >&2; exit 1",
        "echo 'libcudart.so.12: cannot open shared object file' >&2; exit 1",
        "echo 'OSError: [Errno 28] No space left on device' >&2; exit 1",
    ],
)
def test_what_fails_for_want_of_memory_or_by_a_signal_is_not_remembered_as_bad(script: str) -> None:
    with pytest.raises(RefusedError) as refused:
        run_limited(["/bin/sh", "-c", script], 10, 500, "proving")
    assert refused.value.reason not in LASTING
    # As a probe it says no more of the engine.
    with pytest.raises(RefusedError) as refused:
        watch(Health("probe", 0, probe=("/bin/sh", "-c", script)), Path("/"), 0)
    assert refused.value.reason not in LASTING


def test_a_machine_that_lacks_a_library_just_now_is_not_the_engines_fault() -> None:
    code = (
        "import sys; from osnet_edge.runtime.errors import UnavailableError, report\n"
        "def lacks(): raise UnavailableError('libnvinfer.so.10 is not there')\n"
        "sys.exit(report(lacks))"
    )
    with pytest.raises(RefusedError, match=r"libnvinfer\.so\.10 is not there") as refused:
        run_limited([sys.executable, "-c", code], 60, 2000, "proving")
    assert refused.value.reason not in LASTING
