"""Published against rewritten on a GPU, in every library that is there: the figures of docs/GPU.md.

    python scripts/gpu_bench.py --variant osnet_x1_0 -o gpu

It writes gpu.json and gpu.md. PyTorch is all it must have; each library that is missing is a row that says
so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_runners import HOW, Engines, EngineVariant, Runner, torch_runners
from gpu_timing import Ceilings, Work, count_work, measure_ceilings, time_in_rounds

from osnet_edge.bench.measure.latency import Run
from osnet_edge.bench.report.render import TextTable, markdown
from osnet_edge.cli.progress import step
from osnet_edge.runtime.errors import InputError, OsnetEdgeError, first_line
from osnet_edge.runtime.files import write_aside, write_json
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.train.checkpoint import load_osnet, save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import sample_crops
from osnet_edge.train.variants import variant_named

DEFAULT_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Measurement(EngineVariant):
    """One way to run the network, at one batch size.

    Attributes:
        batch: images a call.
        ms: median time of a call, until the device was idle; None where it could not run.
        images_per_second: images a second at that time.
        of_floor: the least time that this device could take, over this one: 1 is as fast as can be.
        error: largest difference from the published network in float32, over its largest value.
        why_not: why it could not run.
    """

    batch: int
    ms: float | None = None
    images_per_second: float | None = None
    of_floor: float | None = None
    error: float | None = None
    why_not: str = ""


def measure(
    runners: Sequence[Runner],
    batches: Sequence[int],
    device: str,
    seconds: float,
    work: Work,
    ceilings: Ceilings,
    progress: Callable[[str], None] = lambda step: None,
) -> Iterator[Measurement]:
    """Time every runner at every batch size, those of one size in rounds.

    Args:
        runners: the first is the published network in float32, which others are compared with.
        batches: sizes.
        device: `cuda` or `cpu`.
        seconds: for each runner and size.
        work: of one image.
        ceilings: of the device.
        progress: called with a line for each step: engines are built when they are first loaded.
    """
    for batch in batches:
        images = torch.from_numpy(sample_crops(min(batch, 8), HOW.height, HOW.width))
        images = images.repeat(-(-batch // len(images)), 1, 1, 1)[:batch].contiguous().to(device)
        present = [runner for runner in runners if runner.batches is None or batch in runner.batches]
        runs: dict[str, Run] = {}
        errors, reasons = dict[str, float](), dict[str, str]()
        wanted: torch.Tensor | None = None
        for index, runner in enumerate(present, start=1):
            progress(f"loading {runner.name} at batch {batch} ({index} of {len(present)})")
            try:
                run, rows_of = runner.make(images)
                # Twice: what compiles or captures on the first call is done by the second.
                rows_of()
                rows = rows_of().cpu()
            # Libraries raise what they like, and one that fails is a row, not the end.
            except Exception as error:
                reasons[runner.name] = first_line(error)
                continue
            wanted = rows if wanted is None else wanted
            runs[runner.name] = run
            errors[runner.name] = float((rows - wanted).abs().max() / wanted.abs().max())
        progress(f"timing {len(runs)} ways at batch {batch}, {seconds:g} s each")
        times = time_in_rounds(runs, device, seconds)
        for runner in present:
            what = (runner.library, runner.network, runner.precision, runner.cuda_graph, batch)
            if runner.name in reasons:
                yield Measurement(*what, why_not=reasons[runner.name])
                continue
            ms = times[runner.name]
            floor = ceilings.floor_ms(work, batch, runner.precision)
            yield Measurement(*what, ms, 1000 * batch / ms, floor / ms, errors[runner.name])


def to_markdown(rows: Sequence[Measurement]) -> str:
    """Return a table, and a list of what could not run and why."""
    cells = [
        [
            row.library,
            row.network,
            row.precision,
            "yes" if row.cuda_graph else "no",
            str(row.batch),
            f"{row.ms:.3f}",
            f"{row.images_per_second:,.0f}",
            f"{row.of_floor:.1%}",
            f"{row.error:.1e}",
        ]
        for row in rows
        if row.ms is not None
    ]
    heads = ("library", "network", "precision", "CUDA graph", "batch", "ms", "images/s", "of floor", "error")
    text = markdown(TextTable(heads, cells, words=4))
    missing = {row.name: row.why_not for row in rows if row.ms is None}
    if missing:
        text += "\nCould not run:\n\n" + "".join(f"- {name}: {why}\n" for name, why in missing.items())
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write OUTPUT.json and OUTPUT.md."""
    parser = argparse.ArgumentParser(prog="python scripts/gpu_bench.py", description=__doc__)
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--checkpoint", type=Path, help="weights; without, random ones of --variant")
    weights.add_argument("--variant", default="osnet_x1_0", help="default: osnet_x1_0")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu is for trying it out")
    parser.add_argument("--batch", default=",".join(map(str, DEFAULT_BATCHES)), help="sizes, with commas")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each row; default: 1")
    parser.add_argument("--calibration", type=Path, help="set of osnet-edge calibrate, for INT8")
    parser.add_argument("--compile", default="1,64", help="sizes for torch.compile, a minute each; or none")
    parser.add_argument("-o", "--output", type=Path, required=True, help="name of the two files, less suffix")
    given = parser.parse_args(arguments)
    batches = _batches(given.batch)
    compiled = frozenset([] if given.compile == "none" else _batches(given.compile))
    if given.device == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no GPU here; pass --device cpu to try the script out")
    # Float32 means it, as in the engines.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as name:
        checkpoint = given.checkpoint or Path(name) / f"{given.variant}.pth"
        if not given.checkpoint:
            torch.manual_seed(0)
            save_osnet(OSNet(variant_named(given.variant), num_classes=2), checkpoint)
        osnet = load_osnet(checkpoint, "auto").eval()
        step("measuring the device's ceilings")
        ceilings, work = measure_ceilings(given.device), count_work(osnet, HOW.height, HOW.width)
        engines = Engines(checkpoint, Path(name), max(batches), given.calibration)
        runners = [
            *torch_runners(osnet, given.device, compiled),
            *engines.runners(given.device),
        ]
        rows = []
        for row in measure(runners, batches, given.device, given.seconds, work, ceilings, step):
            rows.append(row)
            print(row.library, row.network, row.precision, row.batch, row.why_not or f"{row.ms:.3f} ms")
    on_gpu = given.device == "cuda"
    facts = {
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "network": osnet.variant.name,
        "weights": given.checkpoint.name if given.checkpoint else "random",
        "work": to_json(work),
        "ceilings": to_json(ceilings),
    }
    write_json(given.output.with_suffix(".json"), {**facts, "rows": to_json(rows)})
    with write_aside(given.output.with_suffix(".md")) as partial:
        partial.write_text(_heading(facts) + to_markdown(rows), encoding="utf-8")


def _heading(facts: dict[str, object]) -> str:
    return f"{facts['network']} on {facts['device']}, torch {facts['torch']}, CUDA {facts['cuda']}.\n\n"


def _batches(text: str) -> list[int]:
    sizes = [int(item) if item.strip().isdecimal() else 0 for item in text.split(",")]
    if not all(1 <= size <= 4096 for size in sizes):
        raise InputError(f"expected batch sizes of 1 to 4096 with commas between them, got {text!r}")
    return sizes


if __name__ == "__main__":
    try:
        main()
    except OsnetEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
