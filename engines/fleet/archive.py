"""A package or a recipe as one file: a POSIX ustar archive, the same bytes for the same content."""

from __future__ import annotations

import tarfile
from pathlib import Path

from osnet_edge.runtime.device.build_once import RECIPE_NAME, read_recipe
from osnet_edge.runtime.device.channel import Needs
from osnet_edge.runtime.device.fit import needs_of
from osnet_edge.runtime.device.host_code import refuse_host_code
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import MANIFEST_NAME, sha256_of, write_aside
from osnet_edge.runtime.manifest import read_manifest
from osnet_edge.runtime.package import open_package


def package_files(package: Path) -> tuple[str, ...]:
    """Return the names of what a package or recipe consists of, each held to its size and hash.

    Raises:
        InputError: it is neither, or a file is missing or was changed.
        RefusedError: a plan carries code for the processor.
    """
    if (package / RECIPE_NAME).is_file():
        recipe = read_recipe(package)
        for name, entry in recipe.files.items():
            path = package / name
            if not path.is_file() or path.stat().st_size != entry.bytes or sha256_of(path) != entry.sha256:
                raise InputError(
                    f"{package}: {name} is not the file that the recipe lists; make the recipe again"
                )
        return (RECIPE_NAME, *sorted(recipe.files))
    manifest = open_package(package)
    if manifest.target.device == "cuda":
        refuse_host_code(package / manifest.model_file)
    return (MANIFEST_NAME, *sorted(manifest.files))


def needs_of_package(package: Path) -> Needs:
    """Return what a package or a recipe asks of a device by itself.

    Raises:
        InputError: it is neither.
    """
    if (package / RECIPE_NAME).is_file():
        return read_recipe(package).needs
    return needs_of(read_manifest(package))


def write_archive(package: Path, target: Path) -> int:
    """Write the archive of a package or recipe.

    Args:
        package: its folder; what it does not list stays out.
        target: the file to write, whole or not at all.

    Returns:
        The bytes that its files take.

    Raises:
        InputError: as `package_files`.
    """
    total = 0
    with write_aside(target) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in package_files(package):
            entry = tarfile.TarInfo(name)
            entry.size = (package / name).stat().st_size
            entry.mode = 0o644
            total += entry.size
            with (package / name).open("rb") as content:
                archive.addfile(entry, content)
    return total
