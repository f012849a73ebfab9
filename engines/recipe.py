"""A recipe: what a device needs to build its engine itself, written here, and built on the device.

The update agent builds it with limits on time and memory, by `python -m osnet_edge.engines.recipe RECIPE
PACKAGE`: see `osnet_edge.ship.device.stage`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from osnet_edge.engines.build import file_entry, tools_of, write_package
from osnet_edge.engines.build_spec import DEFAULT_BATCH, BuildSpec
from osnet_edge.engines.golden import make_golden, write_golden
from osnet_edge.engines.graph.reading import ExportedGraph, read_graph
from osnet_edge.engines.int8 import Calibration
from osnet_edge.engines.precision import check_asked, resolve_precision
from osnet_edge.engines.quantization.quantizer import Quantized, Quantizer
from osnet_edge.engines.quantization.rules import ONNXRUNTIME_ARM, rules_named
from osnet_edge.engines.quantization.table import read_table, write_table
from osnet_edge.engines.targets import TargetSpec, parse_target
from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.errors import InputError, report
from osnet_edge.runtime.files import require_folder, write_folder_aside, write_json
from osnet_edge.runtime.package.manifest import BatchRange, Manifest
from osnet_edge.runtime.package.recipe import RECIPE_NAME, SCHEMA_VERSION, Recipe, read_recipe
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import AARCH64, ANY, BF16, VNNI

GRAPH_NAME, TABLE_NAME = "graph.onnx", "table.json"


def write_recipe(
    graph: Path | str,
    output: Path | str,
    *,
    target: str,
    golden_crops: Picture,
    processor: str = ANY,
    precision: Precision = "fp32",
    batch: BatchRange | None = None,
    calibration: Calibration | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Recipe:
    """Write a recipe for an engine that its device will build.

    Args:
        graph: ONNX file of `osnet-edge export`.
        output: the recipe's folder, made whole or not at all.
        target: see `osnet_edge.engines.targets`; its library need not be here.
        golden_crops: as for `osnet_edge.engines.build.build_package`.
        processor: as for `build_package`, but `any` where none is named: the device is another machine.
        precision: of weights and arithmetic.
        batch: batch sizes the engine takes; None for the default.
        calibration: as for `build_package`.
        progress: called with a line for each step.

    Raises:
        InputError: the graph, target, precision, calibration set or output cannot be used.
        CheckError: nothing in INT8 is within the budget.
    """
    output = Path(output)
    if processor == ANY and not parse_target(target).row.on_cpu:
        # Which is so for a GPU, whatever the processor beside it.
        processor = "this"
    # One kind alone has bf16.
    spec = parse_target(target, BF16 if (precision, processor) == ("bf16", ANY) else processor)
    check_asked(spec, precision, calibration)
    if spec.fastest or "current" in spec.capabilities:
        raise InputError(f"expected a target that another device can be built for, got {target}")
    require_folder(output)
    progress("reading the graph")
    read = read_graph(Path(graph))
    batch = batch or DEFAULT_BATCH
    resolved = resolve_precision(read, spec, precision, calibration, batch.opt, golden_crops, progress)
    with write_folder_aside(output) as folder:
        shutil.copyfile(graph, folder / GRAPH_NAME)
        names = [GRAPH_NAME]
        if resolved.quantized:
            write_table(resolved.quantized.quantizer.table, folder / TABLE_NAME)
            names.append(TABLE_NAME)
        progress("writing golden pairs")
        pairs = make_golden(read, golden_crops, resolved.precision, resolved.quantized)
        golden = write_golden(pairs, folder)
        recipe = Recipe(
            schema_version=SCHEMA_VERSION,
            model=read.info.model,
            backend=spec.backend,
            capabilities=spec.capabilities,
            precision=resolved.precision,
            batch=batch,
            graph=GRAPH_NAME,
            table=TABLE_NAME if TABLE_NAME in names else "",
            int8=resolved.int8,
            processor=resolved.spec.processor,
            golden=golden,
            files={name: file_entry(folder / name) for name in (*names, golden.file)},
            tools=tools_of(read),
        )
        write_json(folder / RECIPE_NAME, to_json(recipe))
    return recipe


def build_from_recipe(
    folder: Path, output: Path, progress: Callable[[str], None] = lambda step: None
) -> Manifest:
    """Build the engine that a recipe is for, on this device.

    Args:
        folder: the recipe.
        output: the package's folder, made whole or not at all.
        progress: called with a line for each step.

    Raises:
        InputError: the recipe's graph or table does not hold, or its INT8 was decided by rules that this
            version does not know.
        UnavailableError: the library or the device that it needs is not here.
    """
    recipe = read_recipe(folder)
    graph = read_graph(folder / recipe.graph)
    spec = TargetSpec(recipe.backend, recipe.capabilities, processor=_processor(recipe))
    resolved = BuildSpec(
        spec, recipe.precision, _quantized(recipe, folder, graph), recipe.int8, batch=recipe.batch
    )
    tools = {**recipe.tools, "built by": f"osnet-edge {version('osnet-edge')} by a recipe"}
    with write_folder_aside(output) as fresh:
        # Computed where the recipe was made, so that the device does not verify itself with its own values.
        shutil.copyfile(folder / recipe.golden.file, fresh / recipe.golden.file)
        return write_package(fresh, graph, resolved, recipe.golden, tools, progress)


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
