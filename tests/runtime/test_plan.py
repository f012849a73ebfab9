"""The header of a plan, read without TensorRT."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tensorrt_graphs import tiny_graph

from osnet_edge.runtime.backends.tensorrt.plan_file import PlanHeader, read_plan_header
from osnet_edge.runtime.errors import InputError


def rtx_header(*capabilities: str, open_ended: bool = False) -> PlanHeader:
    return PlanHeader("tensorrt_rtx", "1.7.1.116", capabilities, open_ended, weight_bytes=0)


def rtx_plan(mask: int = 0b1100, size: int | None = None, version: bytes = bytes([1, 7, 1, 116])) -> bytes:
    """A TensorRT-RTX header and a little more, with the layout that 1.7.1 writes."""
    rest = version + b"vtrt" + struct.pack("<I", mask) + bytes(28) + b"weights"
    return struct.pack("<4sIQQ", b"vtrt", 0, 2, 24 + len(rest) if size is None else size) + rest


TENSORRT = b"ftrt" + bytes(20) + bytes([10, 3, 0, 26]) + b"the rest"


@pytest.mark.parametrize(
    ("plan", "header"),
    [
        # A plan of full TensorRT says its version and nothing of the GPU.
        (TENSORRT, PlanHeader("tensorrt", "10.3.0.26", None)),
        # Versions are bytes, so 8.6.1.6 and 11.4.0.106 read as people write them.
        (b"ftrt" + bytes(20) + bytes([11, 4, 0, 106]), PlanHeader("tensorrt", "11.4.0.106", None)),
        # TensorRT-RTX names its GPUs one bit each.
        (rtx_plan(0b1100), rtx_header("8.6", "8.9")),
        (rtx_plan(0b1), rtx_header("7.5")),
        (rtx_plan(0b110000), rtx_header("12.0", "12.1")),
        # Its default sets a bit more, for GPUs yet to come.
        (
            rtx_plan(0x7E),
            rtx_header("8.0", "8.6", "8.9", "12.0", "12.1", open_ended=True),
        ),
    ],
)
def test_headers_are_read(plan: bytes, header: PlanHeader, tmp_path: Path) -> None:
    assert read_plan_header(plan) == header
    (tmp_path / "model.plan").write_bytes(plan)
    assert read_plan_header(tmp_path / "model.plan") == header


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        # An empty file is what a full disk leaves.
        (b"", "an empty file"),
        # A download that broke off inside the header.
        (b"ftrt" + bytes(10), "cut short: a header has 28 bytes, got 14"),
        (rtx_plan()[:40], "cut short: a header has 64 bytes, got 40"),
        # A download that broke off later.
        (rtx_plan(size=10_000), "its header says 10000 bytes, got 71"),
        (rtx_plan() + b"more", "not whole"),
        # Plans before 8.6 had another header.
        (b"\x00\x01\x02\x03" * 20, "found the bytes 00 01 02 03"),
        # Files that are taken for plans.
        (b"\x08\x08\x12\x07pytorch" + bytes(80), "an ONNX graph, which must be built first"),
        (b"PK\x03\x04" + bytes(80), "a zip archive"),
        (b"\x10\x00\x00\x00" + b'{"batch": 1}' + TENSORRT, "JSON before the plan, as Ultralytics writes"),
        # A header that a later TensorRT may write.
        (b"ftrt\x01" + bytes(80), "unknown layout"),
    ],
)
def test_what_is_no_plan_is_said_in_one_line(plan: bytes, said: str) -> None:
    with pytest.raises(InputError) as error:
        read_plan_header(plan)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_plan_header(tmp_path / "none.plan")


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=96).map(lambda rest: b"vtrt" + bytes(4) + rest)))
@example(rtx_plan())
@example(TENSORRT)
def test_any_bytes_give_a_header_or_an_input_error(plan: bytes) -> None:
    try:
        header = read_plan_header(plan)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert plan[:4] in (b"ftrt", b"vtrt")
        assert len(header.version.split(".")) == 4


@pytest.mark.parametrize(
    ("capabilities", "named", "open_ended"),
    [
        ((), ("8.0", "8.6", "8.9", "12.0", "12.1"), True),
        (("8.6",), ("8.6",), False),
        (("8.6", "8.9"), ("8.6", "8.9"), False),
        # The header has an order of its own.
        (("12.1", "8.0", "12.0"), ("8.0", "12.0", "12.1"), False),
    ],
)
def test_real_plans_say_what_they_were_built_for(
    capabilities: tuple[str, ...], named: tuple[str, ...], open_ended: bool, tmp_path: Path
) -> None:
    library = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    pytest.importorskip("onnx")
    from osnet_edge.engines.backends.tensorrt.plan import build_plan
    from osnet_edge.engines.graph.reading import Graph
    from osnet_edge.runtime.package.manifest import BatchRange

    plan = tmp_path / "tiny.plan"
    target = build_plan(
        Graph(tiny_graph()),
        plan,
        library="tensorrt_rtx",
        capabilities=capabilities,
        precision="fp32",
        batch=BatchRange(1, 2, 4),
    )
    header = read_plan_header(plan)
    assert header == replace(
        rtx_header(*named, open_ended=open_ended),
        version=library.__version__,
        weight_bytes=header.weight_bytes,
    )
    # A few numbers and what alignment adds.
    assert header.weight_bytes is not None
    assert 0 < header.weight_bytes < 10_000
    assert (target.compute_capabilities, target.backend_version) == (named, header.version)
    with pytest.raises(InputError, match="not whole"):
        read_plan_header(plan.read_bytes()[:-1])
