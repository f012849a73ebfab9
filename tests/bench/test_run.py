"""A benchmark as a whole: engines in processes of their own, of which any may fail, and the rest goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import bench_engines as engines
import numpy as np
import pytest

from osnet_edge.bench import BenchResult, from_json, html_report, text_table, to_json
from osnet_edge.bench.devices.nvml import GpuFacts
from osnet_edge.bench.measure.engine_process import BenchTarget, EngineFailedError, EngineProcess
from osnet_edge.bench.measure.plan import Frames, Plan, Scene
from osnet_edge.bench.measure.run import run_bench
from osnet_edge.bench.measure.runners import NotSupportedError
from osnet_edge.bench.measure.stages import EngineRun, measure_cold_starts
from osnet_edge.bench.measure.worker import Worker
from osnet_edge.cli.main import main
from osnet_edge.runtime.errors import CheckError, InputError, InterruptedRunError, UnavailableError


def plan(**options: object) -> Plan:
    settings: dict[str, object] = {"batches": (1, 4), "duration_s": 0.04, "warmup_s": 0.0, "threads": 1}
    return Plan(**{**settings, **options})  # type: ignore[arg-type]


def run(*targets: BenchTarget, **options: object) -> BenchResult:
    result = run_bench(targets, plan(**options), command="bench")
    # Whatever happened, the result can be stored, read and shown.
    assert from_json(to_json(result)) == result
    assert all(engine.name in html_report([result]) for engine in result.engines)
    assert all(engine.name in text_table(result) for engine in result.engines)
    return result


def test_engines_that_fail_are_rows_that_say_so_and_the_rest_goes_on() -> None:
    result = run(
        engines.bench_target("reference", role="reference"),
        # One call to warm up, one that leads, and then in the middle of its first round.
        engines.bench_target("dies", dies_after=3),
        BenchTarget("missing", engines.missing, role="versus"),
        BenchTarget("other program", engines.OtherProgram, role="versus"),
        BenchTarget("broken", engines.broken),
        BenchTarget("refused", engines.missing, role="versus", refused="needs --weights"),
        engines.bench_target("steady"),
    )
    problems = {engine.name: engine.problem for engine in result.engines}
    assert problems == {
        "reference": None,
        "dies": "its process died of SIGSEGV",
        "missing": "its library is not installed",
        "other program": "trtexec ended with exit code 1: out of memory",
        "broken": "RuntimeError: bad magic number",
        "refused": "needs --weights",
        "steady": None,
    }
    for name in ("reference", "steady"):
        engine = next(each for each in result.engines if each.name == name)
        assert [each.batch for each in engine.batches] == [1, 4]
        assert all(each.latency.iterations >= 10 for each in engine.batches)
    assert result.common_batch == 1
    assert [engine.name for engine in result.candidates] == ["steady"]


def test_an_engine_that_dies_later_keeps_what_was_measured() -> None:
    result = run(
        engines.bench_target("reference", role="reference"),
        engines.bench_target("dies", dies_after=60),
        batches=(1, 2, 3),
    )
    dead = result.engines[1]
    assert dead.problem == "its process died of SIGSEGV"
    assert dead.batches[0].batch == 1
    assert [each.batch for each in result.engines[0].batches] == [1, 2, 3]


def test_an_engine_that_hangs_is_a_row_that_says_so_and_the_rest_goes_on() -> None:
    began = time.perf_counter()
    result = run(
        engines.bench_target("reference", role="reference"),
        engines.bench_target("hangs", hangs_at=4),
        engines.bench_target("steady"),
        patience_s=4.0,
    )
    problems = [engine.problem for engine in result.engines]
    assert problems == [None, "its process hangs: no answer within 4 s to 'round'", None]
    assert [[each.batch for each in engine.batches] for engine in result.engines] == [[1, 4], [1], [1, 4]]
    assert time.perf_counter() - began < 60


def test_an_engine_that_fails_in_other_threads_says_so() -> None:
    """It does not hang, and its throughput is not that of the threads that are left."""
    result = run(
        engines.bench_target("reference", role="reference"),
        BenchTarget("alone", engines.ForOneThread),
        streams=(2,),
        patience_s=5.0,
    )
    assert result.engines[1].problem == "RuntimeError: wrong thread"
    assert result.engines[1].streams == ()
    assert len(result.engines[0].streams) == 2


def test_what_an_engine_does_not_support_is_left_out(tmp_path: Path) -> None:
    frame, boxes = np.zeros((40, 40, 3), np.uint8), np.array([[0, 0, 9, 9]], float)
    result = run(
        engines.bench_target("reference", role="reference"),
        BenchTarget("only frames", engines.OnlyFrames, role="versus"),
        frames=Frames("a box", (Scene(frame, boxes),)),
        streams=(1,),
        layers=True,
        sustained_s=0.06,
    )
    engine = result.engines[1]
    assert engine.problem is None
    assert [each.people for each in engine.frames] == [1]
    assert engine.frames[0].crop_ms is None
    assert (engine.batches, engine.streams, engine.layers, engine.sustained) == ((), (), None, None)
    assert engine.memory is not None


def test_what_makes_figures_doubtful_stands_beside_them() -> None:
    result = run(
        engines.bench_target("reference", role="reference"),
        BenchTarget("device", engines.HostBound),
        batches=(1,),
    )
    (measured,) = result.engines[1].batches
    assert measured.parts is not None
    assert (measured.parts.compute_ms, measured.parts.without_graph_ms) == (1.0, 2.0)
    assert (measured.cuda_graph, measured.transfers) == (True, True)
    vary, wait, *_ = measured.warnings
    assert vary.startswith("calls vary: standard deviation")
    assert wait.startswith("handing the work over takes more than 0.8 of the compute time")
    assert all("handing" not in warning for warning in result.engines[0].batches[0].warnings)


def test_a_start_that_hangs_is_ended_and_said(package: Path) -> None:
    target = engines.bench_target("a")
    run = EngineRun.of(replace(target, package=str(package)))
    run.start(EngineProcess(target))
    measure_cold_starts([run], plan(cold_starts=1, patience_s=0.01), lambda what, share: None)
    assert run.result.problem == "a new process hangs: it did not end within 0 s"
    assert not run.process


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells it there")
def test_memory_is_the_engines_own_however_much_its_parent_has() -> None:
    hoard = np.ones(800_000_000, np.uint8)
    process = EngineProcess(engines.bench_target("a"))
    try:
        peak = process.ask(Worker.memory).peak_host_bytes
    finally:
        process.close()
    assert 20_000_000 < peak < len(hoard)


def test_an_engine_that_never_loads_is_ended() -> None:
    with pytest.raises(EngineFailedError, match="hangs: no answer within 0 s to 'load'"):
        EngineProcess(BenchTarget("hangs", engines.sleep_for_ever), load_s=0.1)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        # Five minutes, and twice the 3 s that are asked for.
        ({}, 306),
        ({"duration_s": 600.0}, 1500),
        # Windows of a long run, a sixtieth of it each.
        ({"sustained_s": 36_000.0}, 1500),
    ],
)
def test_how_long_an_engine_may_be_silent(options: dict[str, float], seconds: float) -> None:
    assert Plan(batches=(1,), **options).limit_s == seconds  # type: ignore[arg-type]


def test_an_interruption_keeps_what_was_measured() -> None:
    def interrupt(what: str, share: float) -> None:
        if what == "latency at batch 4" and share > 0.4:
            raise KeyboardInterrupt

    targets = [engines.bench_target("reference", role="reference"), engines.bench_target("other")]
    result = run_bench(targets, plan(duration_s=0.3), command="bench", progress=interrupt)
    assert result.settings.interrupted
    for engine in result.engines:
        assert [each.batch for each in engine.batches] == [1, 4]
        # Half of what was asked for.
        assert engine.batches[1].latency.iterations < engine.batches[0].latency.iterations
    assert from_json(to_json(result)) == result
    assert "interrupted" in html_report([result])


def test_the_load_is_that_of_before_and_the_gpus_clocks_are_those_of_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages: list[str] = []
    monkeypatch.setattr("osnet_edge.bench.measure.run.load_average", lambda: float(len(stages)))
    gpu = GpuFacts("Orin", "540.4", None, None, None, None, ())
    clock = lambda: 1020 if stages[-1:] == ["latency at batch 1"] else 300  # noqa: E731
    monkeypatch.setattr("osnet_edge.bench.measure.run.gpu_facts", lambda: replace(gpu, sm_mhz=clock()))
    result = run_bench(
        [engines.bench_target("reference", role="reference")],
        plan(batches=(1,)),
        command="bench",
        progress=lambda what, share: stages.append(what),
    )
    assert stages[0] == "loading"
    assert result.machine.load == 0
    assert result.machine.gpu is not None
    assert result.machine.gpu.sm_mhz == 1020


def test_every_stage_leaves_its_figures() -> None:
    frame, boxes = np.zeros((40, 40, 3), np.uint8), np.array([[0, 0, 9, 9], [5, 5, 20, 30]], float)
    result = run(
        engines.bench_target("reference", role="reference"),
        engines.bench_target("other", seconds=0.002, grows=50_000),
        frames=Frames("two boxes", (Scene(frame, boxes),)),
        streams=(1, 3),
        sustained_s=0.6,
    )
    other = result.engines[1]
    assert [(each.streams, each.batch) for each in other.streams] == [(1, 1), (3, 1), (1, 4), (3, 4)]
    assert all(each.images_per_second > 0 for each in other.streams)
    (time_of_frame,) = other.frames
    assert time_of_frame.people == 2
    assert time_of_frame.crop_ms is not None
    assert other.sustained is not None
    assert len(other.sustained.median_ms) == 60
    if Path("/proc/self/statm").exists():
        # Some 300 calls of 50 kB, less what the first fifth had.
        assert other.sustained.memory_growth_bytes > 3_000_000
    assert other.memory is not None
    assert other.memory.peak_host_bytes > 20_000_000
    assert [(each.engine, each.against, each.people) for each in result.frame_ratios()] == [
        ("other", "reference", 2)
    ]


@pytest.mark.parametrize(
    ("load", "error"),
    [(engines.missing, UnavailableError), (engines.broken, CheckError)],
)
def test_when_no_package_runs_the_first_problem_ends_it(load: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"not installed|bad magic number$"):
        run_bench([BenchTarget("a", load)], plan(), command="bench")  # type: ignore[arg-type]


def test_a_batch_that_an_engine_does_not_take_is_refused() -> None:
    with pytest.raises(InputError, match="expected ascending batches"):
        plan(batches=(4, 1))


def test_what_an_engine_raises_comes_as_what_it_is() -> None:
    process = EngineProcess(engines.bench_target("a"))
    try:
        with pytest.raises(EngineFailedError, match="TypeError"):
            process.ask(Worker.set_batch, "eight", 0.0)  # type: ignore[arg-type]
        with pytest.raises(NotSupportedError, match="is no other program"):
            process.ask(Worker.read_batch, 1, 0.0)
        with pytest.raises(InputError, match="found nothing at nowhere"):
            process.ask(Worker.embed, [Path("nowhere")], 1)
        # It still answers.
        assert process.facts.target == "waiting"
        assert len(process.ask(Worker.round, 0.0, lead=False)) == 1
    finally:
        process.close()
    with pytest.raises(EngineFailedError, match="ended with exit code 0"):
        process.ask(Worker.round, 0.0)


def test_an_interruption_before_anything_was_measured_is_no_result() -> None:
    def interrupt(what: str, share: float) -> None:
        raise KeyboardInterrupt

    targets = [engines.bench_target("reference", role="reference")]
    with pytest.raises(InterruptedRunError, match="before anything was measured; nothing was written"):
        run_bench(targets, plan(), command="bench", progress=interrupt)


def test_batches_that_nobody_named_are_what_the_package_takes(graph: Path, tmp_path: Path) -> None:
    """Such as a package tuned for 1 and 8."""
    build = ["build", str(graph), "--target", "cpu", "--batch", "1,8,8", "-o", str(tmp_path / "small")]
    assert main(build) == 0
    bench = ["bench", str(tmp_path / "small"), "--duration", "0.01", "--json", str(tmp_path / "r.json")]
    assert main(bench) == 0
    result = from_json((tmp_path / "r.json").read_text())
    assert result.settings.batches == (1, 8)
    assert "--batch 1,8" in result.settings.command


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_on_the_command_line_writes_the_result(package: Path, tmp_path: Path) -> None:
    given = [str(package), "--batch", "1,2", "--duration", "600", "--json", str(tmp_path / "r.json")]
    command = [sys.executable, "-m", "osnet_edge.cli.main", "bench", *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "latency at batch 1" in line:
                break
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the results so far were kept" in err
    assert "Traceback" not in err
    result = from_json((tmp_path / "r.json").read_text())
    assert result.settings.interrupted
    assert all(engine.at(1) for engine in result.engines)
