"""A recipe: what a device needs to build its engine itself, in place of a package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from osnet_edge.runtime.backends.registry import BackendName
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.decisions import Int8
from osnet_edge.runtime.package.folder import check_files, check_graph
from osnet_edge.runtime.package.manifest import BatchRange, FileEntry, Golden, ModelInfo, check_names
from osnet_edge.runtime.package.schema import parse_document
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.processor import check_processor

RECIPE_NAME = "recipe.json"
SCHEMA_VERSION: Literal[1] = 1


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
    backend: BackendName
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
        """Hold names to plain ones that are listed, and the processor to a kind."""
        used = (self.graph, self.golden.file, self.table)
        check_names(self.files, RECIPE_NAME, filter(None, used))
        check_processor(self.processor)


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
    """Read the recipe in a folder, hold every file to its size and hash, and the graph to its own file.

    Raises:
        InputError: it is not what `osnet-edge recipe` writes, a file is missing or was changed, or the graph
            names others.
    """
    recipe = read_recipe(folder)
    check_files(folder, recipe.files)
    check_graph(folder / recipe.graph)
    return recipe
