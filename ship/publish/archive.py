"""A package or recipe as one file: a POSIX ustar archive, with the same bytes for the same content."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import NamedTuple

from osnet_edge.runtime.files import MANIFEST_NAME, write_aside
from osnet_edge.runtime.package.folder import open_package
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.package.recipe import RECIPE_NAME, Recipe, open_recipe
from osnet_edge.ship.device.host_code import refuse_host_code
from osnet_edge.ship.requirements import Requirements, requirements_of, requirements_of_recipe


class Packed(NamedTuple):
    """The content of an archive.

    Attributes:
        about: the manifest of the package, or the description of the recipe.
        needs: its requirements on a device.
        bytes: total size of its files.
    """

    about: Manifest | Recipe
    needs: Requirements
    bytes: int


def write_archive(package: Path, target: Path) -> Packed:
    """Write the archive of a package or recipe, after checking the size and hash of each file.

    Args:
        package: its folder; files that it does not list are left out.
        target: the file to write, atomically.

    Raises:
        InputError: it is neither a package nor a recipe, or a file is missing or was changed.
        RefusedError: a plan contains code for the host's processor.
    """
    about, document = _open(package)
    total = 0
    with write_aside(target) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in (document, *sorted(about.files)):
            entry = tarfile.TarInfo(name)
            entry.size = (package / name).stat().st_size
            entry.mode = 0o644
            total += entry.size
            with (package / name).open("rb") as content:
                archive.addfile(entry, content)
    needs = requirements_of_recipe(about) if isinstance(about, Recipe) else requirements_of(about)
    return Packed(about, needs, total)


def _open(package: Path) -> tuple[Manifest | Recipe, str]:
    if (package / RECIPE_NAME).is_file():
        return open_recipe(package), RECIPE_NAME
    manifest = open_package(package)
    if manifest.target.device == "cuda":
        refuse_host_code(package / manifest.model_file)
    return manifest, MANIFEST_NAME
