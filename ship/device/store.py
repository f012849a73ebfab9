"""The camera's store: two slots, one symbolic link, and what is kept beside them.

What is in its folder:

    device.json    what the camera was told at init
    root.json      the keys it trusts, from a hand that was there
    state.json     the journal
    channel.json   the channel's document, as last read
    metadata/      what TUF has verified
    download/      an archive on its way
    slots/a, b     two engine packages: one serves, the other is the last one or the next
    current        -> slots/a or slots/b: what programs load
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import sync
from osnet_edge.ship.device.config import DeviceConfig, read_config
from osnet_edge.ship.device.disk import point_link, sweep
from osnet_edge.ship.device.state import Installed, State, read_state, write_state

SLOTS = ("a", "b")
DEFAULT_STORE = "/var/lib/osnet-edge"
#: What a slot holds when the journal that knew was lost.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Store:
    """Where everything of a camera is, below one folder."""

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
        """Archives on their way."""
        return self.root / "download"

    @property
    def link(self) -> Path:
        """What programs load."""
        return self.root / "current"

    @property
    def lock_file(self) -> Path:
        """What one update at a time holds."""
        return self.root / "lock"

    def slot(self, name: str) -> Path:
        """Return a slot's folder."""
        return self.root / "slots" / name

    def make(self) -> None:
        """Make the folders."""
        for folder in (self.root / "slots", self.metadata, self.downloads):
            folder.mkdir(parents=True, exist_ok=True)

    def config(self) -> DeviceConfig:
        """Read the configuration.

        Raises:
            InputError: the store was not made by `osnet-edge device init`.
        """
        return read_config(self.config_file)

    def active(self) -> str | None:
        """Return the slot that the link leads to; None where there is no engine yet."""
        try:
            target = os.readlink(self.link)
        except OSError:
            return None
        name = target.removeprefix("slots/")
        return name if name in SLOTS else None

    def spare(self) -> str:
        """Return the slot that the next engine goes into."""
        return "b" if self.active() == "a" else "a"

    def flip(self, slot: str | None) -> None:
        """Turn the link to a slot, in one step; None takes it away."""
        if slot is None:
            self.link.unlink(missing_ok=True)
            sync(self.root)
        elif self.active() != slot:
            point_link(self.link, f"slots/{slot}")

    def is_whole(self, slot: str) -> bool:
        """Whether every file of a slot's package is as it was built."""
        # Imported here: packages bring numpy, which a status does without.
        from osnet_edge.runtime.package.folder import open_package

        try:
            open_package(self.slot(slot))
        except (InputError, OSError):
            return False
        return True

    def read_state(self) -> State:
        """Read the journal; a damaged one is set aside, and what the link leads to is adopted."""
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
        """Read the journal for a report: a damaged one reads as a fresh one, and stays as it is."""
        try:
            return read_state(self.state_file)
        except InputError:
            return State()

    def write_state(self, state: State) -> None:
        """Write the journal."""
        write_state(self.state_file, state)

    def sweep(self) -> None:
        """Remove what a run that was killed left aside."""
        for folder in (self.root, self.metadata):
            sweep(folder)
        for path in self.metadata.glob("tmp*"):
            # python-tuf writes aside under such names.
            path.unlink(missing_ok=True)
        for path in (self.root / "slots").iterdir():
            # Files are a slot's own, such as the kernels that TensorRT-RTX compiled for its engine.
            if path.name not in SLOTS and path.is_dir():
                shutil.rmtree(path)
