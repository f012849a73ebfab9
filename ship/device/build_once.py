"""A recipe to an engine, on the device that will run it: a plan of full TensorRT fits nowhere else.

The builder is another room, with onnx and TensorRT's parser, so it runs as a process of its own: a camera
that only takes finished engines need not have it. What it makes stays in the slot: the device builds once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from osnet_edge.ship.device.config import Limits
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.subprocess_limits import CommandError, run_limited

_MODULE = "osnet_edge.engines.from_recipe"


def build_apart(recipe: Path, output: Path, limits: Limits) -> None:
    """Build a recipe in a process of its own.

    Args:
        recipe: the recipe's folder.
        output: the package to make.
        limits: on its time and memory.

    Raises:
        RefusedError: it took more, or it failed.
    """
    command = [sys.executable, "-m", _MODULE, str(recipe), str(output)]
    try:
        run_limited(command, limits.build_s, limits.build_mb, "building the engine")
    except CommandError as error:
        raise RefusedError("proof", f"the engine could not be built on this device: {error}") from None
