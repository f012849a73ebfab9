"""Facts of the machine: read where they are, and never guessed where they are not."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from pathlib import Path

import pytest
from file_tree import tree

from osnet_edge.bench import NOT_AVAILABLE, machine_facts
from osnet_edge.bench.result.machine import load_average


def test_a_machine_that_tells_everything(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Other\n",
            "proc/meminfo": "MemTotal:       2048 kB\nMemFree: 1 kB\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
        },
    )
    facts = machine_facts(root=root, accelerator="Some GPU", versions={"tensorrt": "10.3"})
    assert (facts.cpu, facts.memory_bytes, facts.governor) == ("Some CPU @ 2 GHz", 2048 * 1024, "performance")
    assert facts.accelerator == "Some GPU"
    assert facts.versions["tensorrt"] == "10.3"
    assert facts.versions["python"] == platform.python_version()


@pytest.mark.parametrize(
    ("text", "load"), [("0.52 0.40 0.31 1/345 6789\n", 0.52), ("", None), ("busy 1 2\n", None)]
)
def test_the_load_is_that_of_the_last_minute(tmp_path: Path, text: str, load: float | None) -> None:
    assert load_average(tree(tmp_path, {"proc/loadavg": text})) == load


def test_a_board_is_named_by_its_device_tree(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {"proc/cpuinfo": "processor : 0\nCPU part : 0xd42\n", "proc/device-tree/model": "Some Board\0"},
    )
    assert machine_facts(root=root).cpu == "Some Board"


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    facts = machine_facts(root=tmp_path)
    assert (facts.cpu, facts.governor, facts.accelerator) == (NOT_AVAILABLE,) * 3
    assert facts.memory_bytes is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux can restrict a process to cores")
def test_only_the_cores_this_process_may_use_count() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine_facts().logical_cores == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_nothing_else_is_told() -> None:
    """No host name, no user name: a result file is meant to be passed on."""
    facts = {
        "cpu",
        "architecture",
        "logical_cores",
        "governor",
        "memory_bytes",
        "os",
        "accelerator",
        "versions",
        "load",
        "jetson",
        "gpu",
        "instruction_sets",
    }
    told = asdict(machine_facts())
    assert set(told) == facts
    assert set(told["versions"]) == {"python", "numpy", "onnxruntime"}
