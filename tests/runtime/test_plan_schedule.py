"""The schedule of a plan, read without TensorRT: from real plans, and from bytes that are none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from needs import needs_rtx
from tensorrt_graphs import exported, tiny_graph

from osnet_edge.cli.main import main
from osnet_edge.engines.backends.tensorrt.plan import build_plan
from osnet_edge.engines.build import build_package
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.runtime.backends.tensorrt.plan_schedule import PlanPart, PlanSchedule, read_plan_schedule
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.package.schema import from_json
from osnet_edge.runtime.precisions import Precision
from osnet_edge.train.synthetic import sample_crops

PROGRAM = b"""
main {
 label bb1:
  shape_call={ name="s" stream=9 }
  function={ name=__myl_Cast stream=0 layers="[a]" }
  corrltn={ name="conv stream=7" stream=1 }
  signal={ name="e" stream=8 event=1 }
  wait={ name="e" stream=8 event=1 }
  runtime_function={ name=__myl_Inor stream=1 }
  runtime_fusion={ name="f" stream=0 }
  fully_connected={ name="g" stream=0 }
  avgpool={ name="p" stream=2 }
  copy={ name="c" stream=2 layers="[ONNX Layer: /osnet/conv2/conv2.1/Slice]" }
}
shape_main {
  copy={ name="outside" stream=3 }
}

main {
 label bb1:
  corrltn={ name="of the fused step" stream=4 }
}
"""


def built(graph: onnx.ModelProto, folder: Path, precision: Precision = "fp16") -> bytes:
    build_plan(
        Graph(graph),
        folder / "model.plan",
        library="tensorrt_rtx",
        capabilities=("8.6",),
        precision=precision,
        batch=BatchRange(1, 2, 4),
    )
    return (folder / "model.plan").read_bytes()


def test_steps_of_the_first_program_are_counted_by_kind() -> None:
    expected = PlanSchedule(
        launches=7,
        convolutions=1,
        generated=2,
        fused=1,
        matrix_products=1,
        pools=1,
        # The cast and the copy.
        copies=2,
        events=2,
        streams=3,
        parts=(PlanPart("other", 6, 1), PlanPart("conv2.1", 1, 1)),
    )
    assert read_plan_schedule(b"vtrt\x00\xff" + PROGRAM) == expected


@needs_rtx
def test_a_real_plan_of_one_convolution_has_one_and_kernels_beside_it(tmp_path: Path) -> None:
    plain = read_plan_schedule(built(tiny_graph(), tmp_path, "fp32"))
    assert plain is not None
    assert plain == read_plan_schedule(tmp_path / "model.plan")
    assert (plain.convolutions, plain.events, plain.streams) == (1, 0, 1)
    assert plain.launches == 1 + plain.generated
    # An instance norm is a kernel of its own.
    normed = read_plan_schedule(built(tiny_graph(norm=True), tmp_path, "fp32"))
    assert normed is not None
    assert (normed.convolutions, normed.launches) == (1, 1 + normed.generated)
    assert normed.generated > plain.generated


@needs_rtx
@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x0_25"])
def test_every_convolution_of_a_real_plan_is_accounted_for(name: str, tmp_path: Path) -> None:
    schedule = read_plan_schedule(built(onnx.load(exported(name)), tmp_path))
    assert schedule is not None
    convolutions = sum(node.op_type == "Conv" for node in onnx.load(exported(name)).graph.node)
    assert schedule.convolutions + schedule.fused >= convolutions
    kinds = schedule.convolutions + schedule.generated + schedule.fused
    assert schedule.launches == kinds + schedule.matrix_products + schedule.pools
    assert schedule.pools == 3
    # Streams wait for one another, or there is one.
    assert (schedule.events > 0) == (schedule.streams > 1)
    # The norms of AIN, each a kernel.
    assert schedule.generated >= (5 if "ain" in name else 0) + 25


@pytest.mark.parametrize(
    "plan",
    [
        # A plan of full TensorRT, and an empty file, have no such text.
        b"ftrt" + bytes(100),
        b"",
        # A plan that breaks off inside the program.
        PROGRAM[:200],
        # A program without a step.
        b"\nmain {\n label bb1:\n}\n",
        b"\nmain {\n}\n",
    ],
)
def test_bytes_without_a_schedule_have_none(plan: bytes) -> None:
    assert read_plan_schedule(plan) is None


def test_a_missing_plan_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the plan .*No such file"):
        read_plan_schedule(tmp_path / "none.plan")


@given(cut=st.integers(0, len(PROGRAM)), junk=st.binary(max_size=60), length=st.integers(0, 200))
@example(0, b"\nmain {\n", 0)
def test_damaged_plans_give_counts_or_none(cut: int, junk: bytes, length: int) -> None:
    schedule = read_plan_schedule(PROGRAM[:cut] + junk + PROGRAM[cut + length :])
    if schedule is not None:
        assert schedule.launches >= schedule.convolutions + schedule.generated + schedule.fused
        assert str(schedule.launches) in str(schedule)


@needs_rtx
def test_inspect_shows_the_schedule_of_a_plan(
    graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    build = ["build", str(graph), "--target", "rtx:sm86", "--precision", "fp16"]
    assert main([*build, "-o", str(out)]) == 0
    capsys.readouterr()
    schedule = read_plan_schedule(out / "model.plan")
    assert main(["inspect", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"plan schedule  {schedule}" in lines
    assert schedule is not None
    assert sum(part.launches for part in schedule.parts) == schedule.launches
    blocks = {f"conv{stage}.{block}" for stage in (2, 3, 4) for block in (0, 1)}
    assert {part.name for part in schedule.parts} == {"stem", *blocks, "conv2.2", "conv3.2", "head"}
    assert any(line.startswith("  conv4.1") for line in lines)
    assert any(line.startswith("runs here      ") for line in lines)
    assert main(["inspect", str(out), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["plan_schedule"]
    assert from_json(PlanSchedule, shown, "the schedule") == schedule


@needs_rtx
def test_a_rewritten_network_launches_a_third_and_waits_for_nothing(checkpoint: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "osnet_edge.cli.main", "export", str(checkpoint), "--rewrite", "auto"]
    subprocess.run([*command, "-o", str(tmp_path / "osnet.onnx")], check=True, capture_output=True)
    build_package(
        tmp_path / "osnet.onnx",
        tmp_path / "out",
        target="rtx:sm86",
        precision="fp16",
        golden_crops=sample_crops(2),
    )
    schedule = read_plan_schedule(tmp_path / "out/model.plan")
    assert schedule is not None
    # As published it is 224, with 86 events.
    assert schedule.launches <= 70
    assert schedule.events == 0
    assert schedule.copies <= 1


def test_a_package_without_a_plan_has_no_schedule(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(package)]) == 0
    assert "plan schedule" not in capsys.readouterr().out
    assert main(["inspect", str(package), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan_schedule"] is None
