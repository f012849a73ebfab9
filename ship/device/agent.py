"""The agent: one run brings a camera to the release it should have, or leaves it with the one that it has.

Wherever a run is interrupted, the link leads to an engine that was verified on this device. The next run
reads in the journal what was going on, and finishes or undoes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.ship.channel import Artifact, Channel, Release, parse_channel, target_of
from osnet_edge.ship.device.choose import choose
from osnet_edge.ship.device.config import DeviceConfig
from osnet_edge.ship.device.facts import DeviceFacts, find_facts
from osnet_edge.ship.device.health import watch
from osnet_edge.ship.device.metadata import MetadataVerifier, TufVerifier, read_root
from osnet_edge.ship.device.refused import LASTING, Reason, RefusedError
from osnet_edge.ship.device.rollout import Decision, decide
from osnet_edge.ship.device.stage import stage
from osnet_edge.ship.device.state import Event, Installed, State
from osnet_edge.ship.device.store import Store, remove, require_space
from osnet_edge.ship.device.trial import Trials, Watcher
from osnet_edge.ship.device.uptime import Uptime, uptime
from osnet_edge.ship.device.verify import EngineVerifier, verify_in_subprocess
from osnet_edge.ship.times import format_time


class Agent:
    """The program that updates one store.

    Args:
        store: the camera's store.
        metadata: verifies the repository's metadata; None for TUF, with the root in the store.
        verify: verifies an engine on this device.
        watcher: watches a new engine before it is kept.
        facts: what this device is; None detects it.
        now: returns the time, with its zone.
        uptime: returns how long the device has been on.
        say: called with a line for each step.
        progress: called with the name of a long step and the share of it that is done, in [0, 1].
    """

    def __init__(
        self,
        store: Store,
        *,
        metadata: MetadataVerifier | None = None,
        verify: EngineVerifier = verify_in_subprocess,
        watcher: Watcher = watch,
        facts: DeviceFacts | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        uptime: Callable[[], Uptime] = uptime,
        say: Callable[[str], None] = lambda step: None,
        progress: Callable[[str, float], None] = lambda what, share: None,
    ) -> None:
        self._store, self._metadata = store, metadata
        self._verify, self._facts = verify, facts
        self._now, self._say, self._progress = now, say, progress
        self._config: DeviceConfig = store.config()
        self._trials = Trials(store, self._config.health, watcher, now, uptime)

    def update(self, *, retry: bool = False, forget: bool = False, wait: float = 0.0) -> Event:
        """Bring the camera to the release that it should have.

        Args:
            retry: whether to try releases that failed on this device again, and at once.
            forget: whether to forget the versions that the journal says were seen, where a hand or a broken
                disk wrote others; what TUF has verified still holds.
            wait: seconds to wait for another update to end.

        Returns:
            How it ended: `current`, `waiting`, `installed`, `trial` (waits for confirmation), `refused` or
            `returned`.

        Raises:
            RefusedError: another update is still running.
        """
        with self._store.lock(wait):
            try:
                return self._update(retry, forget)
            except (RefusedError, OSError) as error:
                return self._refused(error)

    def _update(self, retry: bool, forget: bool) -> Event:
        self._store.sweep()
        state = before = self._store.read_state()
        if retry:
            state = replace(state, bad=(), failing=())
        if forget:
            state = replace(state, seen={}, signed="")
        if state != before:
            self._store.write_state(state)
        if state.trial:
            self._say("continuing to watch the new engine")
            event = self._trials.resume(state)
            return (self._take_back_if_recalled() if event.what == "trial" else None) or event
        return self._heal(state) or self._follow()

    def _take_back_if_recalled(self) -> Event | None:
        """Roll back an engine that waits for confirmation if its release was recalled meanwhile."""
        try:
            state, channel = self._refresh(self._store.read_state())
        except (RefusedError, OSError):
            # Without news the trial goes on.
            return None
        release = channel.named(state.slots[state.trial.slot].release) if state.trial else None
        if release is None or not release.rollout.recalled:
            return None
        why = f"{release.name} was recalled: {release.rollout.recalled}"
        return self._trials.take_back(state, "operator", why, fails=False)

    def _heal(self, state: State) -> Event | None:
        """Switch to the other slot if the running engine's files are damaged, as flash memory does."""
        active, spare = self._store.active(), self._store.spare()
        if active is None or self._store.is_whole(active):
            return None
        if spare in state.slots and self._store.is_whole(spare):
            return self._trials.take_back(
                state, "corrupt", "a file of the engine was damaged on the disk", to=spare
            )
        # The release is taken as missing, and comes anew.
        self._store.write_state(state.with_slot(active, None))
        return None

    def _follow(self) -> Event:
        state, channel = self._refresh(self._store.read_state())
        active = self._store.active()
        serving = state.slots.get(active) if active else None
        has = serving.release if serving else ""
        bad = {each.release for each in state.bad}
        resting = {each.release: each for each in state.failing if each.rests(self._now())}
        decision = self._decide(channel, has, without=bad)
        rests = resting.get(decision.release.name) if decision.release else None
        if rests:
            decision = self._decide(channel, has, without=bad | set(resting))
        if decision.release is None and rests:
            why = (
                f"{rests.release} failed {rests.times} times ({rests.why}); it is tried again after "
                f"{rests.next}, or by osnet-edge device update --retry"
            )
            return self._end(state, Event("waiting", self._time(), has, rests.reason, why))
        if decision.release is None:
            what = "waiting" if decision.waits else "current"
            return self._end(state, Event(what, self._time(), has, why=decision.why))
        self._say(decision.why)
        try:
            return self._take(state, decision.release, self._choose(decision.release))
        except (RefusedError, OSError) as error:
            event = self._leave_recalled(channel, decision.release, error)
            if event is None:
                raise
            return event

    def _leave_recalled(
        self, channel: Channel, wanted: Release, error: RefusedError | OSError
    ) -> Event | None:
        """Go from a recalled release to the other slot's, if that stands and the wanted one did not come."""
        state, active, spare = self._store.read_state(), self._store.active(), self._store.spare()
        if active not in state.slots or spare not in state.slots or not self._store.is_whole(spare):
            return None
        has, other = (channel.named(state.slots[slot].release) for slot in (active, spare))
        if has is None or other is None or not has.rollout.recalled or other.rollout.recalled:
            return None
        if other.name == wanted.name:
            return None
        why = f"{has.name} was recalled: {has.rollout.recalled}; {wanted.name} is yet to come: "
        return self._trials.take_back(
            state, "operator", why + self._described(error)[1], to=spare, fails=False
        )

    def _decide(self, channel: Channel, has: str, without: AbstractSet[str]) -> Decision:
        """Decide as if the given releases did not exist, except for the one that the camera has."""
        releases = tuple(each for each in channel.releases if each.name not in without or each.name == has)
        known = replace(channel, releases=releases)
        return decide(known, self._config.device, self._config.ring, has, self._now())

    def _refresh(self, state: State) -> tuple[State, Channel]:
        if self._metadata is None:
            if not self._config.url:
                raise RefusedError(
                    "network", "this device has no repository: init it with --url, or ship to it by hand"
                )
            root, url = read_root(self._store.trusted_root), self._config.url
            file_s = self._config.limits.metadata_s
            self._metadata = TufVerifier(root, self._store.metadata, url, self._store.channel_file, file_s)
        self._say(f"refreshing from {self._config.url}")
        verified = self._metadata.refresh(state.seen, state.signed, self._now())
        if (verified.versions, verified.signed) != (state.seen, state.signed):
            knows = replace(state, seen=verified.versions, signed=verified.signed or state.signed)
            # On a full disk too: it may be a recall.
            self._store.reserve.spend_on(lambda: self._store.write_state(knows))
            state = knows
        target = target_of(self._config.channel)
        try:
            return state, parse_channel(self._metadata.read(target), target)
        except InputError as error:
            raise RefusedError("package", str(error)) from None

    def _choose(self, release: Release) -> Artifact:
        self._facts = self._facts or find_facts(self._config.model)
        artifact, why = choose(release.offers, self._facts, self._config.prefer)
        if artifact is None:
            raise RefusedError("device", f"nothing in {release.name} fits this device: {why}")
        return artifact

    def _take(self, state: State, release: Release, artifact: Artifact) -> Event:
        if self._metadata is None:
            raise RuntimeError("refresh comes first")
        file, limits = self._metadata.find(artifact.target), self._config.limits
        digest = file.hashes["sha256"]
        holds = Installed(release.name, artifact.name, digest)
        spare = self._store.spare()
        there = state.slots.get(spare)
        if there and there.sha256 == digest and self._store.is_whole(spare):
            self._say(f"{release.name} is in the other slot already")
            with self._remembering(state, holds):
                proof = self._verify(self._store.slot(spare), limits)
            return self._trials.start(state, spare, replace(holds, proof=proof))
        largest = max(file.length, artifact.bytes)
        if largest > limits.package_bytes:
            raise RefusedError(
                "limit",
                f"{artifact.name} has {largest / 1e6:.1f} MB, over this device's {limits.package_mb:g}",
            )
        archive = self._store.downloads / f"{digest}.tar"
        for other in self._store.downloads.iterdir():
            if other != archive:
                remove(other)
        has = archive.stat().st_size if archive.exists() else 0
        require_space(self._store.root, max(0, file.length - has) + artifact.bytes, limits.reserve_bytes)
        what = f"downloading {artifact.name} of {release.name}, {file.length / 1e6:.2f} MB"
        with self._remembering(state, holds):
            self._metadata.fetch(
                file, archive, limits.download_s, lambda size: self._progress(what, size / file.length)
            )
        return self._put(state, archive, holds, keep=False)

    def _put(self, state: State, archive: Path, holds: Installed, *, keep: bool = True) -> Event:
        """Put an archive into the spare slot, verify it, and try it."""
        slot, limits = self._store.spare(), self._config.limits
        self._facts = self._facts or find_facts(self._config.model)
        require_space(self._store.root, archive.stat().st_size, limits.reserve_bytes)
        if slot in state.slots:
            state = state.with_slot(slot, None)
            self._store.write_state(state)
        self._say("unpacking and verifying the engine")
        with self._remembering(state, holds):
            try:
                proof = stage(archive, self._store.slot(slot), limits, self._facts, self._verify)
            except (RefusedError, OSError) as error:
                # First of all: the disk may be full of it.
                remove(self._store.slot(slot))
                # What is tried again need not be downloaded again.
                keep = keep or (isinstance(error, RefusedError) and error.reason not in LASTING)
                raise
            finally:
                # Kept until here, so that a power cut while proving need not download it again.
                if not keep:
                    archive.unlink(missing_ok=True)
        return self._trials.start(state, slot, replace(holds, proof=proof))

    @contextlib.contextmanager
    def _remembering(self, state: State, holds: Installed) -> Iterator[None]:
        """Record in the journal why an archive fails in the block."""
        try:
            yield
        except (RefusedError, OSError) as error:
            knows = state.with_failure(holds, *self._described(error), self._now())
            if knows is not state:
                self._store.write_state(knows)
            raise

    def _described(self, error: RefusedError | OSError) -> tuple[Reason, str]:
        if isinstance(error, RefusedError):
            return error.reason, str(error)
        return "disk", f"{error.strerror}: {error.filename or self._store.root}"

    def _refused(self, error: RefusedError | OSError) -> Event:
        reason, why = self._described(error)
        event = Event("refused", self._time(), "", reason, why)
        # A disk so full that the journal cannot be written: the line on standard output has it.
        with contextlib.suppress(OSError):
            self._end(self._store.read_state(), event)
        return event

    def _end(self, state: State, event: Event) -> Event:
        # The same as last time is not written again: flash memory wears.
        if state.last is None or replace(state.last, when="") != replace(event, when=""):
            self._store.write_state(replace(state, last=event))
        return event

    def _time(self) -> str:
        return format_time(self._now())
