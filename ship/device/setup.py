"""Setting up a camera: its store with configuration and trusted root, and the agent's systemd units."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_file
from osnet_edge.ship.device.config import DeviceConfig, write_config
from osnet_edge.ship.device.store import Store

#: For an update that is about to end.
_WAIT_S = 5.0
UNITS = ("osnet-edge-update.service", "osnet-edge-update.timer")


def set_up(store: Store, config: DeviceConfig, root: Path | None) -> None:
    """Make a camera's store, or configure an existing one anew; engines and history stay.

    What failed for want of something is tried again at once: the limits may be others.

    Args:
        store: where.
        config: of the camera.
        root: the TUF root metadata that it shall trust; None where it has one or needs none.

    Raises:
        InputError: the root cannot be read or is none.
        RefusedError: an update is running.
    """
    trusted = _read_root(root) if root else None
    store.make()
    with store.lock(wait=_WAIT_S):
        state = store.read_state()
        if state.failing:
            store.write_state(replace(state, failing=()))
        if trusted:
            write_file(store.trusted_root, trusted)
        # Last: a store without it is not begun.
        write_config(store.config_file, config)


def write_units(folder: Path, store: Path) -> tuple[Path, ...]:
    """Write the systemd units that run the agent.

    Args:
        folder: where to, such as `/etc/systemd/system`.
        store: the camera's store.

    Raises:
        InputError: a path holds what units give a meaning of its own.
    """
    program = shutil.which("osnet-edge") or str(Path(sys.executable).with_name("osnet-edge"))
    for path in (str(store), program):
        if any(each in path for each in " %\"'\\\n$"):
            raise InputError(f"expected a path without blanks, quotes, % and $ for a unit, got {path!r}")
    written = []
    for name in UNITS:
        text = files("osnet_edge.ship.device").joinpath("units").joinpath(name).read_text(encoding="utf-8")
        write_file(folder / name, text.replace("@STORE@", str(store)).replace("@PROGRAM@", program).encode())
        written.append(folder / name)
    return tuple(written)


def _read_root(path: Path) -> bytes:
    """Read root metadata, and hold it to its own signatures: a wrong file shows now, not later."""
    # Imported here: a camera that is shipped to by hand is set up without it.
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root

    try:
        content = path.read_bytes()
        root: Metadata[Root] = Metadata.from_bytes(content)
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except OSError as error:
        raise InputError(f"cannot read the root metadata {path}: {error.strerror}") from None
    except (RepositoryError, ValueError, AttributeError) as error:
        # Metadata of another role names no keys, or not the root's.
        raise InputError(f"expected {path} as signed TUF root metadata, N.root.json, got {error}") from None
    return content
