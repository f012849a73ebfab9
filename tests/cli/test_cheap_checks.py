"""What can be told to be wrong is told before torch is imported, which takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from osnet_edge.cli.main import main
code = main(sys.argv[1:])
print(*sorted({"onnx", "torch"} & set(sys.modules)))
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        pytest.param("train quick --data nowhere -o run", "nowhere", id="train: no such set"),
        pytest.param("train slow --data set -o run", "no recipe 'slow'", id="train: no such recipe"),
        pytest.param(
            "train adapt --data set -o run", "expected --weights with this recipe", id="train: no weights"
        ),
        pytest.param("train quick --data set -o run --threads 0", "--threads", id="train: no thread"),
        pytest.param("tune no.pth --target cpu", "no.pth", id="tune: no such file"),
        pytest.param("tune osnet.pth --target moon", "moon", id="tune: no such target"),
        pytest.param("tune osnet.pth --target cpu --size big", "--size", id="tune: no size"),
        pytest.param("eval osnet.pth --data nowhere", "nowhere", id="eval: no such set"),
        pytest.param("eval osnet.pth --data set --far 2", "--far", id="eval: no such rate"),
        pytest.param("track nowhere --frames . -o a.txt", "nowhere", id="track: no such package"),
        pytest.param("track --frames . -o a.txt", "--motion-alone", id="track: nothing to go by"),
        pytest.param("search --data nowhere -o found", "nowhere", id="search: no such set"),
    ],
)
def test_wrong_input_is_told_before_torch_is_imported(typed: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "osnet.pth").write_bytes(b"PK\x03\x04")
    command = [sys.executable, "-c", SCRIPT, *typed.split()]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (2, ""), ran.stderr
    (line,) = ran.stderr.splitlines()
    assert message in line
