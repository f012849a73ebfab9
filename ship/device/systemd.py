"""The systemd units that run the agent, for a given store and program."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_file

UNITS = ("osnet-edge-update.service", "osnet-edge-update.timer")


def write_units(folder: Path, store: Path, program: str) -> tuple[Path, ...]:
    """Write the units.

    Args:
        folder: where to, such as `/etc/systemd/system`.
        store: the camera's store.
        program: the command `osnet-edge`, with its whole path.

    Raises:
        InputError: a path holds what units give a meaning of its own.
    """
    for path in (str(store), program):
        if any(each in path for each in " %\"'\\\n$"):
            raise InputError(f"expected a path without blanks, quotes, % and $ for a unit, got {path!r}")
    written = []
    for name in UNITS:
        text = files("osnet_edge.ship.device").joinpath("units").joinpath(name).read_text(encoding="utf-8")
        write_file(folder / name, text.replace("@STORE@", str(store)).replace("@PROGRAM@", program).encode())
        written.append(folder / name)
    return tuple(written)
