"""`osnet-edge integrate`: an engine's network with the files that another program runs it by."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from osnet_edge.cli.build import golden_crops
from osnet_edge.cli.group import CommandWithOthers
from osnet_edge.cli.integrate_check import integrate_check, integrate_compare, open_images
from osnet_edge.cli.options import echo_json, json_flag, output_option
from osnet_edge.cli.paths import PACKAGE_OR_GRAPH, SET
from osnet_edge.cli.progress import step
from osnet_edge.cli.replacing import force_option
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.integrate.consumers.base import Precision
    from osnet_edge.integrate.write import Integration

#: No consumer gathers more crops of people than this.
_LARGEST_BATCH = 1024


@click.command(
    cls=CommandWithOthers,
    others={
        "check": ("check CONFIG", integrate_check),
        "compare": ("compare DUMP", integrate_compare),
    },
)
@click.argument("package", type=PACKAGE_OR_GRAPH)
@click.option(
    "--for",
    "consumer",
    required=True,
    metavar="CONSUMER",
    help="deepstream-tracker, deepstream-nvinfer, triton, triton:openvino, triton:tensorrt, savant, "
    "ultralytics or ultralytics:square.",
)
@output_option("folder")
@click.option(
    "--precision",
    type=click.Choice(["fp16", "fp32", "fp16-typed"], case_sensitive=False),
    help="What the consumer's TensorRT computes in; fp16-typed: written into the graph. Default: fp16.",
)
@click.option("--batch", type=int, metavar="N", help="Most crops at once; default: the package's.")
@click.option("--at", "place", metavar="PLACE", help="Absolute path that the folder will have on the device.")
@click.option("--data", type=SET, metavar="SET", help="Also measure the mAP that the configuration keeps.")
@force_option("Replace a folder written by this command.", expose_value=True)
@json_flag
def integrate(
    package: str,
    consumer: str,
    output: str,
    precision: str | None,
    batch: int | None,
    place: str | None,
    data: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write PACKAGE for DeepStream, Triton, Savant or Ultralytics: graph and configuration.

    PACKAGE is an engine package or an ONNX file from `osnet-edge export`. The written configuration is read
    back and applied to synthetic crops: the embeddings must be those of the package. The folder has a README
    with the commands.

    \b
    Example:
      osnet-edge integrate osnet-cpu --for deepstream-tracker -o deepstream --at /opt/osnet
      osnet-edge integrate osnet-cpu --for triton -o triton --data viper
      osnet-edge integrate check config_tracker.yml --package osnet-cpu --data viper
    """
    if batch is not None and not 1 <= batch <= _LARGEST_BATCH:
        raise InputError(f"expected --batch from 1 to {_LARGEST_BATCH}, got {batch}")
    if place is not None and not place.startswith("/"):
        raise InputError(f"expected --at as an absolute path such as /opt/osnet, got {place!r}")
    from osnet_edge.integrate.consumers.registry import consumer_named
    from osnet_edge.integrate.write import integrate as write

    # A wrong name is told before the set is read.
    consumer_named(consumer)
    made = write(
        package,
        consumer,
        output,
        crops=list(golden_crops()),
        precision=cast("Precision | None", precision and precision.lower()),
        batch=batch,
        place=place,
        images=open_images(data) if data else None,
        replace=force,
        progress=step,
    )
    if as_json:
        echo_json(_document(made))
        return
    variant = made.source.info.model.variant
    click.echo(f"{output}: {variant} for {made.consumer.title}: {', '.join(made.files)}")
    click.echo(f"computed as {made.consumer.config} says, embeddings differ by {made.proof.difference:.0e}")
    if not made.consumer.exact_resize:
        click.echo(f"it resizes crops in its own way: cosine distances up to {made.proof.resize:.1g}")
    if made.proof.float16 is not None:
        click.echo(f"weights in float16 move embeddings by cosine distances up to {made.proof.float16:.0e}")
    if made.kept:
        click.echo(
            f"mAP {made.kept.consumer:.2f}, the package's {made.kept.package:.2f}; against a gallery of the "
            f"package's {made.kept.mixed:.2f}"
        )


def _document(made: Integration) -> dict[str, object]:
    kept = made.kept
    return {
        "folder": str(made.folder),
        "consumer": made.consumer.spelling,
        "files": list(made.files),
        "difference": made.proof.difference,
        "resize_cosine_distance": made.proof.resize,
        "float16_cosine_distance": made.proof.float16,
        "map": {"package": kept.package, "consumer": kept.consumer, "mixed": kept.mixed} if kept else None,
    }
