"""A recipe to an engine, on the device: `python -m osnet_edge.engines.from_recipe RECIPE PACKAGE`.

The update agent runs it so, with limits on time and memory: `osnet_edge.runtime.device.build_once`.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from onnx import ModelProto

from osnet_edge.engines.build import PLAN_NAME, build_model, file_entry
from osnet_edge.engines.cpu import MODEL_NAME
from osnet_edge.engines.graph import read_graph
from osnet_edge.engines.precision import Settled
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import rules_for
from osnet_edge.engines.quantization.table import read_table
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.device.build_once import Recipe, read_recipe
from osnet_edge.runtime.device.limited import report
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import sha256_of, write_folder_aside
from osnet_edge.runtime.manifest import SCHEMA_VERSION, Manifest, write_manifest
from osnet_edge.runtime.plan import TITLES


def build_from_recipe(
    folder: Path, output: Path, progress: Callable[[str], None] = lambda step: None
) -> Manifest:
    """Build the engine that a recipe is for, on this device.

    Args:
        folder: the recipe.
        output: the package's folder, made whole or not at all.
        progress: told what is being done.

    Raises:
        InputError: the recipe's graph or table does not hold, or its INT8 was decided for another processor.
        UnavailableError: the library or the device that it needs is not here.
    """
    recipe = read_recipe(folder)
    graph = folder / recipe.graph
    model, info = read_graph(graph)
    spec = TargetSpec(recipe.backend, recipe.capabilities)
    settled = Settled(spec, recipe.precision, _quantize(recipe, folder, model, sha256_of(graph)), recipe.int8)
    name = PLAN_NAME if recipe.backend in TITLES else MODEL_NAME
    with write_folder_aside(output) as fresh:
        progress("building the engine")
        target = build_model(graph, model, fresh / name, settled, spec, recipe.batch, progress)
        # Computed where the recipe was made: what it is held to is not the device's own word.
        shutil.copyfile(folder / recipe.golden.file, fresh / recipe.golden.file)
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            model=info.model,
            preprocessing=info.preprocessing,
            precision=recipe.precision,
            batch=recipe.batch,
            target=target,
            model_file=name,
            onnx_sha256=sha256_of(graph),
            files={each: file_entry(fresh / each) for each in (name, recipe.golden.file)},
            golden=recipe.golden,
            tools={**recipe.tools, "built by": f"osnet-edge {version('osnet-edge')} by a recipe"},
            int8=recipe.int8,
        )
        write_manifest(fresh, manifest)
    return manifest


def _quantize(
    recipe: Recipe, folder: Path, model: ModelProto, graph_sha256: str
) -> Callable[[bool], ModelProto] | None:
    if recipe.int8 is None:
        return None
    rules = rules_for(recipe.backend, platform.machine())
    if rules.name != recipe.int8.rules:
        raise InputError(
            f"the recipe's INT8 was decided by the rules {recipe.int8.rules}, and this device has "
            f"{rules.name}; make "
            "a recipe on the same kind of processor"
        )
    table = read_table(folder / recipe.table)
    if table.graph_sha256 != graph_sha256:
        raise InputError("the recipe's calibration table is of another graph; make the recipe again")
    quantizer = Quantizer(model, table, rules)
    groups = tuple(each.group for each in recipe.int8.groups if each.int8)
    return lambda half: quantizer.make(groups, half=half)


if __name__ == "__main__":
    sys.exit(report(lambda: build_from_recipe(Path(sys.argv[1]), Path(sys.argv[2]), print)))
