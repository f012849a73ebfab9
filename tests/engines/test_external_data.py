"""A graph whose weights are in another file: a path that may lead anywhere is not followed."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from fleet import tiny_onnx

from osnet_edge.engines.graph.reading import read_onnx
from osnet_edge.runtime.errors import InputError


@pytest.mark.parametrize("location", ["../../secret", "/etc/passwd", "beside.bin"])
def test_a_graph_with_weights_in_another_file_is_refused(location: str, tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "tiny.onnx", 1)
    read_onnx(path)
    model = onnx.load(path)
    weights = model.graph.initializer[0]
    (tmp_path / "beside.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="keeps kernel in another file; export it into one file"):
        read_onnx(path)
