"""An archive to a verified engine in the inactive slot; the link is not touched here."""

from __future__ import annotations

import shutil
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import MANIFEST_NAME, sync_tree
from osnet_edge.runtime.package.folder import open_package
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.package.recipe import RECIPE_NAME, open_recipe
from osnet_edge.ship.device.choose import why_not
from osnet_edge.ship.device.config import Limits
from osnet_edge.ship.device.facts import DeviceFacts
from osnet_edge.ship.device.host_code import refuse_host_code
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.store import empty_folder, remove
from osnet_edge.ship.device.subprocess_limits import CommandError, run_module
from osnet_edge.ship.device.unpack import unpack
from osnet_edge.ship.device.verify import EngineVerifier, Proof
from osnet_edge.ship.requirements import requirements_of

#: The builder is another room, with onnx and TensorRT's parser.
_BUILDER = "osnet_edge.engines.recipe"


def stage(archive: Path, slot: Path, limits: Limits, facts: DeviceFacts, verify: EngineVerifier) -> Proof:
    """Unpack an archive into a slot, check its files, build the engine of a recipe, and verify the engine.

    Args:
        archive: downloaded, with a verified signature.
        slot: folder that the journal marks as empty.
        limits: limits of time, memory and disk.
        facts: facts about this device.
        verify: verifies an engine.

    Returns:
        The results of the verification, such as distance and latency.

    Raises:
        RefusedError: it is no package for this device, or the engine fails its verification.
    """
    for beside in slot.parent.glob(f"{slot.name}.*"):
        # Compiled kernels of the engine before, which would pile up.
        remove(beside)
    empty_folder(slot)
    names = set(unpack(archive, slot, limits.package_bytes))
    try:
        manifest = _built(slot, names, limits) if RECIPE_NAME in names else _opened(slot, names)
    except InputError as error:
        raise RefusedError("package", str(error)) from None
    if reason := why_not(requirements_of(manifest), facts):
        raise RefusedError("device", f"the package is for another device: it {reason}")
    if manifest.target.device == "cuda":
        refuse_host_code(slot / manifest.model_file)
    sync_tree(slot)
    return verify(slot, limits)


def _opened(slot: Path, names: set[str]) -> Manifest:
    manifest = open_package(slot)
    _hold_to_list(names, {*manifest.files, MANIFEST_NAME})
    return manifest


def _built(slot: Path, names: set[str], limits: Limits) -> Manifest:
    _hold_to_list(names, {*open_recipe(slot).files, RECIPE_NAME})
    folder = slot.with_name(f"{slot.name}.recipe")
    slot.rename(folder)
    try:
        _build_in_subprocess(folder, slot, limits)
    finally:
        shutil.rmtree(folder)
    return open_package(slot)


def _build_in_subprocess(recipe: Path, output: Path, limits: Limits) -> None:
    """Build a recipe in its own process: a camera that installs only finished engines lacks the builder.

    Args:
        recipe: the recipe's folder.
        output: the package to write.
        limits: limits of time and memory.

    Raises:
        RefusedError: the build exceeded a limit, or failed.
    """
    paths = [str(recipe.absolute()), str(output.absolute())]
    try:
        run_module(_BUILDER, paths, limits.build_s, limits.build_mb, "building the engine")
    except CommandError as error:
        raise RefusedError("proof", f"the engine could not be built on this device: {error}") from None


def _hold_to_list(names: set[str], listed: set[str]) -> None:
    if names != listed:
        odd = ", ".join(sorted(names ^ listed)[:3])
        raise RefusedError("package", f"expected exactly the files that the package lists, got other: {odd}")
