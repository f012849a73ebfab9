"""Boxes as detectors give them: tensors of torch, which the runtime knows without importing it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osnet_edge.runtime.boxes import clip_boxes

BOXES = [[2.0, 3.0, 30.0, 50.0], [5.0, 5.0, 20.0, 40.0]]


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param(torch.tensor(BOXES), id="float32"),
        pytest.param(torch.tensor(BOXES, dtype=torch.bfloat16), id="bfloat16"),
        pytest.param(torch.tensor(BOXES).half(), id="float16"),
        pytest.param(torch.tensor(BOXES).long(), id="whole numbers"),
        pytest.param(torch.tensor(BOXES, requires_grad=True), id="with a gradient"),
        pytest.param(torch.tensor(BOXES).T.contiguous().T, id="not contiguous"),
    ],
)
def test_tensors_are_boxes(boxes: torch.Tensor) -> None:
    clipped, valid = clip_boxes(boxes, 60, 40)
    assert np.array_equal(clipped, BOXES)
    assert valid.all()
