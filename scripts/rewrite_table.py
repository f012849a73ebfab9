"""`python scripts/rewrite_table.py`: what each pass of `export --rewrite` makes of a GPU's plan.

No GPU is needed: TensorRT-RTX compiles ahead of time, and a plan says what it will launch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from osnet_edge.cli.progress import step
from osnet_edge.runtime.backends.tensorrt.plan_schedule import PlanSchedule


@click.command()
@click.argument("variants", nargs=-1, required=True)
@click.option("--capability", default="8.6", show_default=True, help="Compute capability to compile for.")
@click.option("--precision", default="fp16", show_default=True, type=click.Choice(["fp16", "fp32"]))
def rewrite_table(variants: tuple[str, ...], capability: str, precision: str) -> None:
    """Print a Markdown table for VARIANTS with random weights, a row for each pass on top of those above.

    \b
    Example:
      python scripts/rewrite_table.py osnet_x1_0 osnet_x0_25 osnet_ain_x1_0
    """
    from osnet_edge.export.rewrite import PASSES

    click.echo("| network | passes | launches | convolutions | generated | fused | only move | events | MB |")
    click.echo("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for variant in variants:
        for count in range(len(PASSES) + 1):
            passes = tuple(item.name for item in PASSES[:count])
            label = f"+ {passes[-1]}" if passes else "none"
            step(f"{variant}: {label}")
            schedule, size = _plan(variant, passes, capability, precision)
            click.echo(
                f"| {variant} | {label} | {schedule.launches} | {schedule.convolutions} | "
                f"{schedule.generated} | {schedule.fused} | {schedule.copies} | {schedule.events} | "
                f"{size / 1e6:.1f} |"
            )


def _plan(variant: str, passes: tuple[str, ...], capability: str, precision: str) -> tuple[PlanSchedule, int]:
    """Return the schedule of a network's plan, and the plan's bytes."""
    import torch

    from osnet_edge.engines.backends.tensorrt.plan import build_plan
    from osnet_edge.engines.graph.reading import read_onnx
    from osnet_edge.export.to_onnx import export_onnx
    from osnet_edge.runtime.backends.tensorrt.plan_schedule import read_plan_schedule
    from osnet_edge.runtime.errors import OsnetEdgeError
    from osnet_edge.runtime.package.manifest import BatchRange
    from osnet_edge.train.checkpoint import save_osnet
    from osnet_edge.train.osnet import OSNet
    from osnet_edge.train.variants import variant_named

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_osnet(OSNet(variant_named(variant)), folder / "osnet.pth")
        export_onnx(folder / "osnet.pth", folder / "osnet.onnx", passes=passes)
        build_plan(
            read_onnx(folder / "osnet.onnx"),
            folder / "model.plan",
            library="tensorrt_rtx",
            capabilities=(capability,),
            precision="fp16" if precision == "fp16" else "fp32",
            batch=BatchRange(1, 8, 32),
        )
        schedule = read_plan_schedule(folder / "model.plan")
        if schedule is None:
            raise OsnetEdgeError("this TensorRT-RTX writes no schedule into its plans; 1.7.1 does")
        return schedule, (folder / "model.plan").stat().st_size


if __name__ == "__main__":
    rewrite_table()
