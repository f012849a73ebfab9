"""An archive to a proven engine in the inactive slot; the link is not touched here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.device.build_once import RECIPE_NAME, Builder, read_recipe
from osnet_edge.runtime.device.choose import why_not
from osnet_edge.runtime.device.config import Limits
from osnet_edge.runtime.device.disk import empty_folder, sync_tree
from osnet_edge.runtime.device.facts import DeviceFacts
from osnet_edge.runtime.device.fit import needs_of
from osnet_edge.runtime.device.host_code import refuse_host_code
from osnet_edge.runtime.device.prove import Proof, Prover
from osnet_edge.runtime.device.refused import RefusedError
from osnet_edge.runtime.device.unpack import unpack
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import MANIFEST_NAME, sha256_of
from osnet_edge.runtime.manifest import FileEntry, Manifest
from osnet_edge.runtime.package import open_package


@dataclass(frozen=True)
class Stage:
    """Puts packages into a slot.

    Attributes:
        limits: what it may take.
        facts: what this device is.
        prove: proves an engine.
        build: builds one by its recipe.
    """

    limits: Limits
    facts: DeviceFacts
    prove: Prover
    build: Builder

    def put(self, archive: Path, slot: Path) -> Proof:
        """Unpack an archive into a slot, hold it to what it says of itself, build it if it must be, prove it.

        Args:
            archive: as downloaded and verified.
            slot: of which the journal no longer says that it holds anything.

        Returns:
            What the proof gave.

        Raises:
            RefusedError: it is no package that this device takes, or it fails its proof.
        """
        most = int(self.limits.package_mb * 1e6)
        empty_folder(slot)
        names = set(unpack(archive, slot, most))
        if RECIPE_NAME in names:
            self._build(slot, names)
        else:
            self._check(slot, names)
        sync_tree(slot)
        return self.prove(slot, self.limits)

    def check(self, slot: Path) -> Manifest:
        """Hold a package in a slot to what it says of itself, and to this device.

        Raises:
            RefusedError: it does not hold.
        """
        try:
            manifest = open_package(slot)
        except InputError as error:
            raise RefusedError("package", str(error)) from None
        reason = why_not(needs_of(manifest), self.facts)
        if reason:
            raise RefusedError("device", f"the package is for another device: it {reason}")
        if manifest.target.device == "cuda":
            refuse_host_code(slot / manifest.model_file)
        return manifest

    def _check(self, slot: Path, names: set[str]) -> None:
        manifest = self.check(slot)
        _hold_to_list(names, {*manifest.files, MANIFEST_NAME})

    def _build(self, slot: Path, names: set[str]) -> None:
        recipe = read_recipe(slot)
        _hold_to_list(names, {*recipe.files, RECIPE_NAME})
        _hold_to_hashes(slot, recipe.files)
        folder = slot.with_name(f"{slot.name}.recipe")
        if folder.exists():
            shutil.rmtree(folder)
        slot.rename(folder)
        try:
            self.build(folder, slot, self.limits)
        finally:
            shutil.rmtree(folder)
        self.check(slot)


def _hold_to_list(names: set[str], listed: set[str]) -> None:
    if names != listed:
        odd = ", ".join(sorted(names ^ listed)[:3])
        raise RefusedError("package", f"expected exactly the files that the package lists, got other: {odd}")


def _hold_to_hashes(folder: Path, files: dict[str, FileEntry]) -> None:
    for name, entry in files.items():
        path = folder / name
        if path.stat().st_size != entry.bytes or sha256_of(path) != entry.sha256:
            raise RefusedError("package", f"{name} is not the file that the recipe lists; publish it again")
