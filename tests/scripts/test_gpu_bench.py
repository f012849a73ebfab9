"""The bench for GPUs, on the CPU: what it measures, and what it says of what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import gpu_bench
import pytest
import torch
from gpu_bench import Measurement, measure, to_markdown
from gpu_runners import Engines, Runner, torch_runners
from gpu_timing import Ceilings, Work, count_work

from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import variant_named

WORK, CEILINGS = Work(1000, 10, 100), Ceilings({"fp32": 1e12, "fp16": 4e12}, 1e11)


def test_work_is_that_of_the_paper() -> None:
    """Table 1 of the paper: 2.2 million parameters and 979 million multiplications for x1.0."""
    work = count_work(OSNet(variant_named("osnet_x1_0")).eval(), 256, 128)
    assert work.macs == pytest.approx(979e6, rel=0.01)
    assert work.weights == pytest.approx(2.2e6, rel=0.02)
    assert work.io_bytes == 3 * 256 * 128 + 4 * 512


@pytest.mark.parametrize(
    ("work", "batch", "precision", "ms"),
    [
        # Arithmetic takes longer: 2e9 operations at 1e12 a second.
        (Work(10**9, 10, 10), 1, "fp32", 2.0),
        (Work(10**9, 10, 10), 4, "fp16", 2.0),
        # INT8 is held to float16's rate, which every GPU's INT8 can pass.
        (Work(10**9, 10, 10), 4, "int8", 2.0),
        # Memory takes longer: 4e8 bytes of weights, or 2e8 in float16, at 1e11 a second.
        (Work(1, 10**8, 10), 1, "fp32", 4.0),
        (Work(1, 10**8, 10), 1, "fp16", 2.0),
    ],
)
def test_the_floor_is_arithmetic_or_memory(work: Work, batch: int, precision: str, ms: float) -> None:
    assert CEILINGS.floor_ms(work, batch, precision) == pytest.approx(ms, rel=1e-3)


def test_every_runner_is_timed_compared_or_says_why_not() -> None:
    def fine(images: torch.Tensor) -> object:
        rows = images.float().mean((1, 2, 3))[:, None]
        return lambda: rows, lambda: rows

    def doubled(images: torch.Tensor) -> object:
        return fine(images)[0], lambda: 2 * fine(images)[1]()  # type: ignore[index]

    def missing(images: torch.Tensor) -> object:
        raise UnavailableError("TensorRT is not installed; install it")

    runners = [
        Runner("PyTorch eager", "published", "fp32", False, fine),  # type: ignore[arg-type]
        Runner("PyTorch eager", "rewritten", "fp32", False, doubled),  # type: ignore[arg-type]
        Runner("TensorRT", "published", "fp16", True, missing),  # type: ignore[arg-type]
        Runner("torch.compile", "published", "fp32", False, fine, frozenset([3])),  # type: ignore[arg-type]
    ]
    rows = list(measure(runners, [1, 3], "cpu", 0.01, WORK, CEILINGS))
    assert [(row.library, row.batch) for row in rows] == [
        *[(name, 1) for name in ("PyTorch eager", "PyTorch eager", "TensorRT")],
        *[(name, 3) for name in ("PyTorch eager", "PyTorch eager", "TensorRT", "torch.compile")],
    ]
    published, rewritten, lacking = rows[:3]
    assert (published.error, rewritten.error, lacking.ms) == (0, 1, None)
    assert published.images_per_second == pytest.approx(1000 / (published.ms or 0))
    assert published.of_floor == pytest.approx(CEILINGS.floor_ms(WORK, 1, "fp32") / (published.ms or 0))
    text = to_markdown(rows)
    # Once, however many batches it could not run at.
    assert text.count("- TensorRT published fp16, CUDA graph: TensorRT is not installed; install it\n") == 1
    assert text.count("| PyTorch eager | published | fp32 | no |") == 2


def test_it_runs_here_and_writes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without engines, whose building is tested elsewhere."""
    monkeypatch.setattr(Engines, "runners", lambda self, device: iter(()))
    common = ["--variant", "osnet_x0_25", "--device", "cpu", "--batch", "2", "--seconds", "0.01"]
    gpu_bench.main([*common, "--compile", "none", "-o", str(tmp_path / "gpu")])
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert (found["device"], found["network"], found["weights"]) == ("cpu", "osnet_x0_25", "random")
    eager = [row for row in found["rows"] if row["ms"]]
    assert [row["network"] for row in eager] == ["published", "rewritten"]
    # Exactness again: the rewritten network computes what the published one does.
    assert all(row["error"] < 1e-5 for row in eager)
    assert {row["why_not"] for row in found["rows"] if not row["ms"]} == {"CUDA graphs need a GPU"}
    assert "| PyTorch eager | rewritten | fp32 | no | 2 |" in (tmp_path / "gpu.md").read_text()


@pytest.mark.parametrize("text", ["", "1,x", "0", "1,,2", "99999", "-1"])
def test_batches_that_are_none_are_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected batch sizes of 1 to 4096"):
        gpu_bench.main(["--device", "cpu", "--batch", text, "-o", str(tmp_path / "gpu")])


@pytest.mark.skipif(torch.cuda.is_available(), reason="tests a machine without a GPU")
def test_without_a_gpu_it_says_how_to_try_it_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="torch finds no GPU here; pass --device cpu"):
        gpu_bench.main(["-o", str(tmp_path / "gpu")])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch finds")
def test_on_a_gpu_every_way_of_pytorch_computes_the_same() -> None:
    osnet = OSNet(variant_named("osnet_x0_25")).eval()
    runners = list(torch_runners(osnet, "cuda", frozenset()))
    runners = [runner for runner in runners if runner.batches is None]
    rows = list(measure(runners, [1, 5], "cuda", 0.05, WORK, CEILINGS))
    assert len(rows) == 2 * 8
    assert [row.why_not for row in rows] == [""] * len(rows)
    assert all((row.error or 0) < (1e-4 if row.precision == "fp32" else 3e-2) for row in rows)


def test_a_row_without_a_time_needs_no_numbers() -> None:
    assert "could not" in to_markdown(
        [Measurement("TensorRT", "published", "fp16", False, 1, why_not="it could not")]
    )
