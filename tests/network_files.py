"""Make a network that tests share: run as `python network_files.py NAME FOLDER`, see `networks.py`.

The name `checkpoint` makes `osnet.pth` and, by our exporter, `osnet.onnx`; a public variant's makes
`osnet.onnx` by torch's exporter alone, as others would.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from pathlib import Path

import onnx
import onnxsim
import torch
from torch import Tensor, nn

from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.train.checkpoint import save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import VARIANTS, variant_named

HEIGHT, WIDTH = 128, 64


class Normalised(nn.Module):
    """A network that takes bytes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = OSNet(VARIANTS[name])
        self.register_buffer("mean", torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1))
        self.register_buffer("factor", 1 / torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.network((pictures.float().permute(0, 3, 1, 2) - self.mean) * self.factor)


def write_checkpoint(folder: Path) -> None:
    """Write an x0_25 with random weights, whose batch norms do something, and a classifier of 5."""
    torch.manual_seed(0)
    model = OSNet(variant_named("osnet_x0_25"), num_classes=5)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
    save_osnet(model, folder / "osnet.pth")
    export_onnx(folder / "osnet.pth", folder / "osnet.onnx")


def write_variant(name: str, folder: Path) -> None:
    """Write a public variant with random weights, as a float32 graph from bytes to embeddings."""
    torch.manual_seed(0)
    graph = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            Normalised(name).eval(),
            (torch.zeros(2, HEIGHT, WIDTH, 3, dtype=torch.uint8),),
            graph,
            dynamo=False,
            opset_version=17,
            input_names=["images"],
            output_names=["embeddings"],
            dynamic_axes={"images": {0: "batch"}, "embeddings": {0: "batch"}},
        )
    simple, fine = onnxsim.simplify(onnx.load_from_string(graph.getvalue()))
    assert fine
    onnx.save(simple, folder / "osnet.onnx")


if __name__ == "__main__":
    if sys.argv[1] == "checkpoint":
        write_checkpoint(Path(sys.argv[2]))
    else:
        write_variant(sys.argv[1], Path(sys.argv[2]))
