"""A recipe to an engine, on the device that will run it: a plan of full TensorRT fits nowhere else.

The builder is another room, with onnx and TensorRT's parser, so it runs as a process of its own: a camera
that only takes finished engines need not have it. What it makes stays in the slot: the device builds once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from osnet_edge.runtime.device.channel import Needs
from osnet_edge.runtime.device.config import Limits
from osnet_edge.runtime.device.fit import processor_needed
from osnet_edge.runtime.device.limited import CommandError, run_limited
from osnet_edge.runtime.device.refused import RefusedError
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.manifest import (
    Backend,
    BatchRange,
    FileEntry,
    Golden,
    ModelInfo,
    Precision,
    check_names,
)
from osnet_edge.runtime.package import check_files
from osnet_edge.runtime.precision import Int8
from osnet_edge.runtime.schema import parse_document

RECIPE_NAME = "recipe.json"
SCHEMA_VERSION: Literal[1] = 1
_MODULE = "osnet_edge.engines.from_recipe"


@dataclass(frozen=True)
class Recipe:
    """The whole of `recipe.json`: everything that `osnet-edge build` was told, and decided.

    Attributes:
        schema_version: of this document.
        model: network and checkpoint, as the graph says.
        backend: what builds and runs it.
        capabilities: compute capabilities to build for; empty for the GPU that is there.
        precision: of the arithmetic.
        batch: sizes that the engine takes.
        graph: name of the ONNX file.
        table: name of the calibration table; empty but for INT8.
        int8: what was decided on INT8; None in other precisions.
        golden: the pairs that the engine is held to.
        files: every file but this one.
        tools: versions of what made it.
        processor: the kind that a CPU's engine is made for, as a manifest says it; empty for a GPU's, and in
            recipes from before it was written down.
    """

    schema_version: Literal[1]
    model: ModelInfo
    backend: Backend
    capabilities: tuple[str, ...]
    precision: Precision
    batch: BatchRange
    graph: str
    table: str
    int8: Int8 | None
    golden: Golden
    files: dict[str, FileEntry]
    tools: dict[str, str]
    processor: str = ""

    def __post_init__(self) -> None:
        """Hold names to plain ones that are listed."""
        used = (self.graph, self.golden.file, self.table)
        check_names(self.files, RECIPE_NAME, filter(None, used))

    @property
    def needs(self) -> Needs:
        """What a device must be to build it."""
        machine = processor_needed(self.precision, self.processor) if self.processor else ""
        return Needs(self.backend, machine=machine, compute_capabilities=self.capabilities)


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe in a folder.

    Raises:
        InputError: it is not what `osnet-edge recipe` writes.
    """
    path = folder / RECIPE_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the recipe {path}: {error.strerror}") from None
    return parse_document(Recipe, content, str(path), SCHEMA_VERSION, "make the recipe again")


def open_recipe(folder: Path) -> Recipe:
    """Read the recipe in a folder, and hold every file to its size and hash.

    Raises:
        InputError: it is not what `osnet-edge recipe` writes, or a file is missing or was changed.
    """
    recipe = read_recipe(folder)
    check_files(folder, recipe.files)
    return recipe


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
