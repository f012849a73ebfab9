"""A recipe to an engine, on the device: `python -m osnet_edge.engines.from_recipe RECIPE PACKAGE`.

The update agent runs it so, with limits on time and memory: `osnet_edge.ship.device.stage`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from osnet_edge.engines.build import write_package
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.graph.reading import ExportedGraph, read_graph
from osnet_edge.engines.quantization.quantizer import Quantized, Quantizer
from osnet_edge.engines.quantization.rules import ONNXRUNTIME_ARM, rules_named
from osnet_edge.engines.quantization.table import read_table
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.errors import InputError, report
from osnet_edge.runtime.files import write_folder_aside
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.package.recipe import Recipe, read_recipe
from osnet_edge.runtime.processor import AARCH64, ANY, BF16, VNNI


def build_from_recipe(
    folder: Path, output: Path, progress: Callable[[str], None] = lambda step: None
) -> Manifest:
    """Build the engine that a recipe is for, on this device.

    Args:
        folder: the recipe.
        output: the package's folder, made whole or not at all.
        progress: told what is being done.

    Raises:
        InputError: the recipe's graph or table does not hold, or its INT8 was decided by rules that this
            version does not know.
        UnavailableError: the library or the device that it needs is not here.
    """
    recipe = read_recipe(folder)
    graph = read_graph(folder / recipe.graph)
    spec = TargetSpec(recipe.backend, recipe.capabilities, processor=_processor(recipe))
    settled = BuildSpec(spec, recipe.precision, _quantized(recipe, folder, graph), recipe.int8)
    tools = {**recipe.tools, "built by": f"osnet-edge {version('osnet-edge')} by a recipe"}
    with write_folder_aside(output) as fresh:
        # Computed where the recipe was made: what it is held to is not the device's own word.
        shutil.copyfile(folder / recipe.golden.file, fresh / recipe.golden.file)
        return write_package(fresh, graph, settled, recipe.batch, recipe.golden, tools, progress)


def _processor(recipe: Recipe) -> str:
    """Return what a recipe is for; one from before processors were written down has weights of 8 bits."""
    if recipe.processor or not BACKENDS[recipe.backend].on_cpu:
        return recipe.processor
    if recipe.precision == "fp32":
        return ANY
    if recipe.precision == "bf16":
        return BF16
    return AARCH64 if recipe.int8 is not None and recipe.int8.rules == ONNXRUNTIME_ARM.name else VNNI


def _quantized(recipe: Recipe, folder: Path, graph: ExportedGraph) -> Quantized | None:
    if recipe.int8 is None:
        return None
    rules = rules_named(recipe.int8.rules)
    table = read_table(folder / recipe.table)
    if table.graph_sha256 != graph.sha256:
        raise InputError("the recipe's calibration table is of another graph; make the recipe again")
    return Quantized.decided(Quantizer(graph, table, rules), recipe.int8)


if __name__ == "__main__":
    sys.exit(report(lambda: build_from_recipe(Path(sys.argv[1]), Path(sys.argv[2]), print)))
