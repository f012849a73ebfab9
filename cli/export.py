"""`osnet-edge export`: a checkpoint to ONNX."""

from __future__ import annotations

from typing import cast

import click

from osnet_edge.cli.options import (
    echo_json,
    json_flag,
    output_option,
    parse_size,
    placement_option,
    weights_key_option,
)
from osnet_edge.cli.paths import CHECKPOINT
from osnet_edge.cli.progress import step
from osnet_edge.cli.replacing import ONNX
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.runtime.preprocessing import Interpolation, Preprocessing
from osnet_edge.train.threads import spare_busy_cores


@click.command()
@click.argument("checkpoint", type=CHECKPOINT)
@output_option("ONNX file", ONNX)
@click.option(
    "--arch", default="auto", show_default=True, help="Variant, or auto to recognise it by tensor shapes."
)
@placement_option
@click.option(
    "--input",
    "contract",
    type=click.Choice(["uint8", "float32"]),
    default="uint8",
    show_default=True,
    help="uint8: (N,H,W,3) RGB bytes, normalised in the graph. float32: (N,3,H,W), normalised by the caller.",
)
@click.option("--size", default="256x128", show_default=True, metavar="HxW", help="Input size in pixels.")
@click.option(
    "--interpolation",
    type=click.Choice(["pillow-bilinear", "opencv-bilinear"]),
    default="pillow-bilinear",
    show_default=True,
    help="How the runtime resizes crops; opencv-bilinear is faster and needs the extra opencv.",
)
@click.option(
    "--opset", default=17, show_default=True, help="ONNX operator set; 17 suits TensorRT 8.6 to 11."
)
@click.option(
    "--rewrite",
    default="none",
    show_default=True,
    metavar="none|auto|PASS,...",
    help="Passes that rewrite the network for GPUs, see below; auto: all of them.",
)
@click.option("--l2-normalize", is_flag=True, help="Scale embeddings to length 1 in the graph.")
@weights_key_option
@json_flag
def export(
    checkpoint: str,
    output: str,
    arch: str,
    placement: str | None,
    contract: str,
    size: str,
    interpolation: str,
    opset: int,
    rewrite: str,
    l2_normalize: bool,
    weights_key: str | None,
    as_json: bool,
) -> None:
    """Export an OSNet CHECKPOINT to ONNX, and check it against torch.

    CHECKPOINT may be a file of torch.save, torch.jit.save or torch.export.save, of safetensors, or an ONNX
    graph of another exporter, whose weights are recovered. Nothing in the file is run.

    \b
    Example:
      osnet-edge export osnet_x0_25_msmt17.pth -o osnet.onnx
      osnet-edge export theirs.onnx -o osnet.onnx
      osnet-edge export osnet_x0_25_msmt17.pth --rewrite auto -o osnet-gpu.onnx

    A pass replaces operations of the graph; embeddings change by no more than rounding. With all passes, a
    GPU launches a third of the kernels. On a CPU, the passes make the network slower.

    \b
    Passes:
      streams     the streams' layers of one depth as one grouped
                  convolution
      carry       finished streams pass on unchanged, so that nothing is
                  sliced (needs streams)
      dense       each 1x1 and depthwise 3x3 as one dense 3x3
      gate        the four calls of the gate as one
      unroll      the gate's second layer as a sum, in the kernel that
                  scales (needs gate)
      sum         the sum of the streams folded into the next 1x1
      projection  the residual path's 1x1 folded into the same 1x1
                  (needs sum)
    """
    height, width = parse_size(size)
    preprocessing = Preprocessing(
        height=height,
        width=width,
        interpolation=cast(Interpolation, interpolation),
        normalize_in="graph" if contract == "uint8" else "host",
    )
    spare_busy_cores(step)
    from osnet_edge.export.rewrite import parse_rewrite
    from osnet_edge.export.to_onnx import export_onnx
    from osnet_edge.train.variants import read_placement

    result = export_onnx(
        checkpoint,
        output,
        arch=arch,
        placement=read_placement(placement) if placement else None,
        preprocessing=preprocessing,
        l2_normalize=l2_normalize,
        opset=opset,
        passes=parse_rewrite(rewrite),
        weights_key=weights_key,
        progress=step,
    )
    if as_json:
        echo_json({"path": str(result.path), "relative_error": result.relative_error, **to_json(result.info)})
        return
    click.echo(
        f"{output}: {result.info.model.variant}, {contract} {height}x{width}, {result.nodes} operations, "
        f"within {result.relative_error:.1g} of torch"
    )
