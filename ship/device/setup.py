"""Setting up a camera: its store with configuration and trusted root, and the systemd units of the agent."""

from __future__ import annotations

import contextlib
import shutil
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import sync, write_file
from osnet_edge.ship.device.config import DeviceConfig, write_config
from osnet_edge.ship.device.state import State
from osnet_edge.ship.device.store import UNKNOWN, Store, empty_folder

#: For an update that is about to end.
_WAIT_S = 5.0
UNITS = ("osnet-edge-update.service", "osnet-edge-update.timer")


def set_up(store: Store, config: DeviceConfig, root: Path | None) -> bool:
    """Make a camera's store, or change the configuration of an existing one; engines and history stay.

    Releases that failed temporarily are tried again at once, since the limits may have changed. With the root
    of another repository, the camera moves there: what belongs to the old one is forgotten, and the running
    engine stays.

    Args:
        store: the camera's store.
        config: its configuration.
        root: the TUF root metadata to trust; None if the store has one or needs none.

    Returns:
        Whether the camera moves to another repository.

    Raises:
        InputError: the root cannot be read, or is no root metadata.
        RefusedError: an update is running.
    """
    trusted = _read_root(root) if root else None
    store.make()
    with store.lock(wait=_WAIT_S):
        state = store.read_state()
        moves = trusted is not None and _moves(store, trusted)
        if moves:
            # Cut short from here on, the camera follows no repository until the next init: what the old one
            # said is not held against it any more, so that it could be served from before.
            store.trusted_root.unlink(missing_ok=True)
            sync(store.root)
            _forget_repository(store, state)
        elif state.failing:
            store.write_state(replace(state, failing=()))
        if trusted:
            write_file(store.trusted_root, trusted)
        # Last: a store without it is not begun.
        write_config(store.config_file, config)
    return moves


def write_units(folder: Path, store: Path) -> tuple[Path, ...]:
    """Write the systemd units that run the agent.

    Args:
        folder: for the units, such as `/etc/systemd/system`.
        store: the camera's store.

    Raises:
        InputError: a path has characters with a special meaning in units.
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


def _moves(store: Store, given: bytes) -> bool:
    """Return whether a root is of another repository than the camera's: neither signs the other.

    The camera's root is the one that it was given, or the latest that followed it.
    """
    known = [path for path in (store.trusted_root, store.metadata / "root.json") if path.is_file()]
    return bool(known) and not any(_are_related(path.read_bytes(), given) for path in known)


def _are_related(one: bytes, other: bytes) -> bool:
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root

    for first, second in ((one, other), (other, one)):
        with contextlib.suppress(RepositoryError, ValueError):
            signer: Metadata[Root] = Metadata.from_bytes(first)
            signed: Metadata[Root] = Metadata.from_bytes(second)
            signer.signed.verify_delegate(Root.type, signed.signed_bytes, signed.signatures)
            return True
    return False


def _forget_repository(store: Store, state: State) -> None:
    """Forget a repository; engines stay, but their releases' names do not, since another may use them."""
    slots = {name: replace(holds, release=UNKNOWN) for name, holds in state.slots.items()}
    store.write_state(replace(state, slots=slots, bad=(), failing=(), seen={}, signed=""))
    empty_folder(store.metadata)
    store.channel_file.unlink(missing_ok=True)


def _read_root(path: Path) -> bytes:
    """Read root metadata, and check its own signatures, so that a wrong file is found now and not later."""
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
