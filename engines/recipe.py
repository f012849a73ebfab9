"""What a device needs to build its engine itself: graph, calibration table, golden pairs, and decisions.

A plan of full TensorRT fits the GPU, the library and the driver that it was built with and no other, so it
cannot be made on a workstation. Everything that needs pictures, people or a judgement is done there; what is
left for the device is to quantise by the table and to build.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from osnet_edge.engines.build import DEFAULT_BATCH, file_entry, tools_of
from osnet_edge.engines.golden import make_golden, write_golden
from osnet_edge.engines.graph.reading import read_graph
from osnet_edge.engines.int8 import Calibration
from osnet_edge.engines.precision import check_asked, settle_precision
from osnet_edge.engines.quantization.table import write_table
from osnet_edge.engines.targets import parse_target
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import require_folder, write_folder_aside, write_json
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.package.recipe import RECIPE_NAME, SCHEMA_VERSION, Recipe
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import ANY, BF16

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
        progress: told what is being done.

    Raises:
        InputError: the graph, target, precision, calibration set or output cannot be used.
        CheckError: nothing in INT8 is within the budget.
    """
    output, spec = Path(output), parse_target(target)
    if spec.processor:
        # One kind alone has bf16.
        spec = parse_target(target, BF16 if (precision, processor) == ("bf16", ANY) else processor)
    check_asked(spec, precision, calibration)
    if spec.fastest or "current" in spec.capabilities:
        raise InputError(f"expected a target that another device can be built for, got {target}")
    require_folder(output)
    progress("reading the graph")
    read = read_graph(Path(graph))
    batch = batch or DEFAULT_BATCH
    settled = settle_precision(read, spec, precision, calibration, batch.opt, golden_crops, progress)
    with write_folder_aside(output) as folder:
        shutil.copyfile(graph, folder / GRAPH_NAME)
        names = [GRAPH_NAME]
        if settled.quantized:
            write_table(settled.quantized.quantizer.table, folder / TABLE_NAME)
            names.append(TABLE_NAME)
        progress("writing golden pairs")
        pairs = make_golden(read, golden_crops, settled.precision, settled.quantized)
        golden = write_golden(pairs, folder)
        recipe = Recipe(
            schema_version=SCHEMA_VERSION,
            model=read.info.model,
            backend=spec.backend,
            capabilities=spec.capabilities,
            precision=settled.precision,
            batch=batch,
            graph=GRAPH_NAME,
            table=TABLE_NAME if TABLE_NAME in names else "",
            int8=settled.int8,
            processor=settled.spec.processor,
            golden=golden,
            files={name: file_entry(folder / name) for name in (*names, golden.file)},
            tools=tools_of(read),
        )
        write_json(folder / RECIPE_NAME, to_json(recipe))
    return recipe
