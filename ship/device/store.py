"""The camera's store: two slots, one symbolic link, and the files beside them. Each step is atomic.

Its folder has:

    device.json    the configuration, from init
    root.json      the TUF root that it trusts, also from init
    state.json     the journal
    channel.json   the channel's document, as last read
    metadata/      what TUF has verified
    download/      an archive on its way
    reserve/       room for the journal and the link on a full disk
    slots/a, b     two engine packages: one serves, the other is the last one or the next
    current        -> slots/a or slots/b: what programs load
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import ASIDE_SUFFIX, sync
from osnet_edge.ship.device.config import DeviceConfig, read_config
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.reserve import Reserve
from osnet_edge.ship.device.state import SLOTS, Installed, State, read_state, write_state

DEFAULT_STORE = "/var/lib/osnet-edge"
#: What a slot holds when the journal that knew was lost, or came from another repository.
UNKNOWN = "unknown"
_POLL_S = 0.05
#: Where python-tuf keeps the roots that it followed.
_ROOTS = "root_history"
#: An archive that a download may go on with, by its hash.
_ARCHIVE = re.compile(r"[0-9a-f]{64}\.tar")


@dataclass(frozen=True)
class Store:
    """The folder with everything that the agent keeps on a camera."""

    root: Path

    @property
    def config_file(self) -> Path:
        """The camera's configuration."""
        return self.root / "device.json"

    @property
    def trusted_root(self) -> Path:
        """The TUF root metadata that the camera was given."""
        return self.root / "root.json"

    @property
    def state_file(self) -> Path:
        """The journal."""
        return self.root / "state.json"

    @property
    def metadata(self) -> Path:
        """TUF's metadata."""
        return self.root / "metadata"

    @property
    def channel_file(self) -> Path:
        """The channel's document, as last read."""
        return self.root / "channel.json"

    @property
    def downloads(self) -> Path:
        """Archives that are being downloaded."""
        return self.root / "download"

    @property
    def reserve(self) -> Reserve:
        """Disk space reserved for a rollback on a full disk."""
        return Reserve(self.root / "reserve")

    @property
    def link(self) -> Path:
        """The link that programs load."""
        return self.root / "current"

    def slot(self, name: str) -> Path:
        """Return a slot's folder."""
        return self.root / "slots" / name

    def make(self) -> None:
        """Make the folders."""
        for folder in (self.root / "slots", self.metadata, self.downloads):
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def lock(self, wait: float = 0.0) -> Iterator[None]:
        """Lock the store for one update at a time; the system releases the lock when the process ends.

        Args:
            wait: seconds to wait for another process.

        Raises:
            RefusedError: another process still has the lock.
            InputError: something else is where its file should be.
        """
        path = self.root / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if not os.path.lexists(path) or path.is_file():
                raise
            raise InputError(
                f"expected a file or nothing at {path}, which is for the store's lock, got a folder or a "
                f"link ({error.strerror}): remove it, then try again"
            ) from None
        try:
            until = time.monotonic() + wait
            while not _take(descriptor):
                if time.monotonic() >= until:
                    raise RefusedError(
                        "busy", f"another update holds {path}; wait for it to end, then try again"
                    )
                time.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)

    def config(self) -> DeviceConfig:
        """Read the configuration.

        Raises:
            InputError: the store was not made by `osnet-edge device init`.
        """
        return read_config(self.config_file)

    def active(self) -> str | None:
        """Return the slot that the link leads to; None if there is no engine yet."""
        # However a hand spelt it: absolute, with a dot, or through another link.
        leads_to, slots = os.path.realpath(self.link), os.path.realpath(self.root / "slots")
        return next((name for name in SLOTS if leads_to == os.path.join(slots, name)), None)

    def spare(self) -> str:
        """Return the slot for the next engine."""
        return "b" if self.active() == "a" else "a"

    def flip(self, slot: str | None) -> None:
        """Switch the link to a slot, atomically; None removes it."""
        if slot is None:
            self.link.unlink(missing_ok=True)
            sync(self.root)
        elif self.active() != slot:
            self.reserve.spend_on(lambda: _point_link(self.link, f"slots/{slot}"))

    def is_whole(self, slot: str) -> bool:
        """Return whether every file of a slot's package is as it was built."""
        # Imported here: packages bring numpy, which a status does without.
        from osnet_edge.runtime.package.folder import open_package

        try:
            open_package(self.slot(slot))
        except (InputError, OSError):
            return False
        return True

    def read_state(self) -> State:
        """Read the journal; a damaged one is set aside, and the engine that the link leads to is adopted."""
        try:
            return read_state(self.state_file)
        except InputError:
            os.replace(self.state_file, self.state_file.with_suffix(".damaged"))
        from osnet_edge.runtime.package.manifest import read_manifest

        state, active = State(), self.active()
        if active is not None and self.is_whole(active):
            variant = read_manifest(self.slot(active)).model.variant
            state = state.with_slot(active, Installed(UNKNOWN, variant, "0" * 64))
        self.write_state(state)
        return state

    def peek_state(self) -> State:
        """Read the journal for a report; a damaged one reads as a fresh one, and is not changed."""
        try:
            return read_state(self.state_file)
        except InputError:
            return State()

    def write_state(self, state: State) -> None:
        """Write the journal."""
        write_state(self.state_file, state)

    def sweep(self) -> None:
        """Remove temporary files of a run that was killed, and restore the reserved disk space."""
        for folder in (self.root, self.metadata):
            _sweep(folder)
        if self.downloads.is_symlink() or not self.downloads.is_dir():
            # What a link leads to is not ours to clear.
            remove(self.downloads)
        self.downloads.mkdir(exist_ok=True)
        for path in self.downloads.iterdir():
            if path.is_symlink() or not path.is_file() or not _ARCHIVE.fullmatch(path.name):
                # What `osnet-edge ship` was sending when the power went.
                remove(path)
        for path in (self.root / "slots").iterdir():
            # Files are a slot's own, such as the kernels that TensorRT-RTX compiled for its engine.
            if path.name not in SLOTS and path.is_dir():
                remove(path)
        self._clear_places()
        self.reserve.make()

    def _clear_places(self) -> None:
        """Remove what is no plain file where one will be opened: a pipe would block, a link be followed."""
        for path in self.metadata.iterdir():
            # python-tuf writes aside under such names, and opens whatever is there as a file.
            if path.name.startswith("tmp") or not (path.is_file() or path.name == _ROOTS):
                remove(path)
        if self.channel_file.is_symlink() or not self.channel_file.is_file():
            remove(self.channel_file)
        if self.state_file.is_symlink() and not self.state_file.exists():
            # It leads nowhere, so that nothing could be journaled.
            self.state_file.unlink()


def empty_folder(folder: Path) -> None:
    """Make `folder` an existing, empty folder; links in it are removed, never followed."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir()
    sync(folder.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder; a link is removed, never followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def require_space(folder: Path, needed: int, reserve: int) -> None:
    """Check that the disk of `folder` has `needed` bytes free, and `reserve` more for other programs.

    Raises:
        RefusedError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + reserve:
        raise RefusedError(
            "disk",
            f"{folder}: expected {(needed + reserve) / 1e6:.0f} MB free ({needed / 1e6:.1f} for "
            f"this update, the "
            f"rest kept for others), found {free / 1e6:.0f}; make room, or init with a smaller --reserve-mb",
        )


def _point_link(link: Path, target: str) -> None:
    """Make a symbolic link lead to `target`, or switch an existing one, atomically."""
    aside = link.with_name(f".{link.name}{ASIDE_SUFFIX}")
    aside.unlink(missing_ok=True)
    os.symlink(target, aside)
    os.replace(aside, link)
    sync(link.parent)


def _sweep(folder: Path) -> None:
    """Remove temporary files of a run that was killed."""
    # Versions before wrote aside under `.aside-NAME`.
    for path in (*folder.glob(f".*{ASIDE_SUFFIX}"), *folder.glob(f"{ASIDE_SUFFIX}-*")):
        remove(path)


def _take(descriptor: int) -> bool:
    # Imported here: a workstation without it ships packages too.
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
