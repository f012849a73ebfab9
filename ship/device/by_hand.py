"""What a person may do on a camera beside the timer: install, confirm, roll back, and ask what would fit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.ship.device.agent import Agent
from osnet_edge.ship.device.choose import why_not
from osnet_edge.ship.device.facts import find_facts
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.state import Event, Installed
from osnet_edge.ship.device.store import require_space
from osnet_edge.ship.requirements import Requirements

_BLOCK = 1 << 18


class HandAgent(Agent):
    """An agent that takes orders; they go through the same checks as an update."""

    def install(self, archive: Path, release: str, package: str) -> Event:
        """Install an archive that was brought by hand, with all checks of an update.

        Raises:
            RefusedError: another update is running.
        """
        with self._store.lock():
            self._store.sweep()
            return self._install(archive, release, package)

    def install_stream(self, source: IO[bytes], size: int, release: str, package: str) -> Event:
        """As `install`, for an archive of `size` bytes that is read from a stream.

        Raises:
            RefusedError: another update is running.
        """
        with self._store.lock():
            self._store.sweep()
            with tempfile.TemporaryDirectory(dir=self._store.downloads) as folder:
                archive = Path(folder) / "sent.tar"
                try:
                    self._require_room(size)
                    _receive(source, archive, size)
                except (RefusedError, OSError) as error:
                    return self._refused(error)
                return self._install(archive, release, package)

    def fits(self, needs: Requirements, size: int) -> str:
        """Return why a package would not fit this device; empty if it fits. Nothing is changed."""
        try:
            self._require_room(size)
        except RefusedError as error:
            return str(error)
        return why_not(needs, self._facts or find_facts(self._config.model))

    def confirm(self) -> Event:
        """Keep the new engine that waits for confirmation.

        Raises:
            InputError: there is none.
        """
        with self._store.lock():
            state = self._store.read_state()
            if state.trial is None or state.trial.phase != "watching":
                raise InputError(
                    "expected a new engine to confirm, there is none; see osnet-edge device status"
                )
            return self._trials.commit(state)

    def rollback(self, why: str = "asked for on the device") -> Event:
        """Roll back to the previous engine, and never install this one again.

        Raises:
            InputError: there is no other engine that is complete.
        """
        with self._store.lock(wait=5.0):
            state = self._store.read_state()
            if state.trial:
                return self._trials.take_back(state, "operator", why)
            spare = self._store.spare()
            if self._store.active() is None or spare not in state.slots or not self._store.is_whole(spare):
                raise InputError(
                    "expected an engine to go back to, and the other slot holds none that is whole"
                )
            return self._trials.take_back(state, "operator", why, to=spare)

    def _install(self, archive: Path, release: str, package: str) -> Event:
        try:
            state = self._store.read_state()
            if state.trial:
                self._trials.resume(state)
                state = self._store.read_state()
            if state.trial:
                raise RefusedError(
                    "busy", "a new engine waits for confirmation: confirm it, or roll back first"
                )
            return self._put(state, archive, Installed(release, package, sha256_of(archive)))
        except (RefusedError, OSError) as error:
            return self._refused(error)

    def _require_room(self, size: int) -> None:
        limits = self._config.limits
        if not 0 < size <= limits.package_bytes:
            raise RefusedError(
                "limit", f"expected an archive of at most {limits.package_mb:g} MB, got {size:,} bytes"
            )
        # Once as it is sent, once unpacked.
        require_space(self._store.root, 2 * size, limits.reserve_bytes)


def _receive(source: IO[bytes], archive: Path, size: int) -> None:
    """Write the bytes of a stream to a file."""
    with archive.open("wb") as file:
        left = size
        while left and (block := source.read(min(_BLOCK, left))):
            file.write(block)
            left -= len(block)
    if left:
        raise RefusedError("network", f"expected {size:,} bytes, and {left:,} did not come; send it again")
