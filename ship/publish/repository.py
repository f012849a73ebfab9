"""A TUF repository as static files: metadata and targets, in the order in which a reader may see them.

    metadata/N.root.json        who signs what; from one to the next, each signed by both
    metadata/N.targets.json     lengths and hashes of targets
    metadata/N.snapshot.json    which targets.json goes with it
    metadata/timestamp.json     which snapshot is now: the only file that is ever written over
    targets/.../HASH.NAME       content, at an address of its own for ever

Everything but the timestamp may be cached without end; a half-copied upload is unseen until the timestamp.
Versions of snapshot and targets only rise; one that a writer began and did not finish is left out.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.files import sha256_of, write_aside
from osnet_edge.ship.device.metadata import LARGEST_TARGETS, SIGNED_FIELD
from osnet_edge.ship.publish.signed import SERIALIZER, T, read_signed, sign, verify
from osnet_edge.ship.publish.signers import Expiry, Signers
from osnet_edge.ship.publish.writing import (
    WriteLock,
    create_file,
    forget_unfinished,
    note_unfinished,
    read_if_there,
    replace_file,
    unfinished,
    writers_before,
)
from osnet_edge.ship.times import format_time

#: How often, and after how many seconds, what looks damaged is looked at again.
_LOOKS, _LOOK_S = 5, 0.1
#: In targets metadata, beside TUF's own fields: the version that they were drafted from.
_REPLACES_FIELD = "x-osnet-edge-replaces"


@dataclass(frozen=True)
class Current:
    """What a repository says now.

    Attributes:
        content: the bytes of timestamp.json, by which a change of it is told; None where there is none.
        timestamp: of the repository; None where nothing was published yet, as for the others.
        snapshot: that it leads to.
        targets: that the snapshot leads to.
    """

    content: bytes | None = None
    timestamp: Timestamp | None = None
    snapshot: Snapshot | None = None
    targets: Targets | None = None

    @property
    def version(self) -> int:
        """The version of the targets; 0 where nothing was published yet."""
        return self.targets.version if self.targets else 0

    @property
    def files(self) -> dict[str, TargetFile]:
        """The targets that are published, by path."""
        return dict(self.targets.targets) if self.targets else {}


class Repository:
    """A repository in a folder.

    Args:
        folder: it and what is in it are made as needed.
        expiry: of what is signed from now on.
    """

    def __init__(self, folder: Path, expiry: Expiry | None = None) -> None:
        self.folder, self.expiry = folder, expiry or Expiry()
        self._metadata, self._targets = folder / "metadata", folder / "targets"
        self._lock = WriteLock(folder)

    def writing(self) -> AbstractContextManager[None]:
        """Hold the repository for one writer, from what it reads to what it puts in place.

        Raises:
            InputError: there is no repository, or it may not be written.
            CheckError: another writer has been at it for too long.
        """
        return self._lock.hold()

    def root(self) -> Root:
        """Read the newest root.

        Raises:
            InputError: there is none yet, or one of the roots before it is missing.
        """
        versions = self.versions(Root.type)
        if not versions:
            raise InputError(f"{self.folder} is no repository yet: make its root with osnet-edge keys root")
        if gaps := sorted(set(range(1, max(versions))) - versions):
            raise self._damaged(f"{gaps[0]}.root.json")
        return self._read(f"{max(versions)}.root.json", Root).signed

    def signers(self) -> Signers:
        """Return the keys and thresholds of the newest root."""
        return Signers.named_by(self.root())

    def current(self) -> Current:
        """Read what the timestamp leads to.

        Raises:
            InputError: the repository is damaged: something that it leads to is missing, or it leads to older
                metadata than were published.
        """
        for _ in range(_LOOKS):
            content = read_if_there(self._metadata / "timestamp.json")
            current = Current() if content is None else self._follow(content)
            snapshot = current.snapshot.version if current.snapshot else 0
            newer = {
                *(f"{each}.targets.json" for each in self.versions("targets") if each > current.version),
                *(f"{each}.snapshot.json" for each in self.versions("snapshot") if each > snapshot),
            } - unfinished(self.folder)
            if not newer:
                return current
            # A writer may have ended between our looks, and no lock kept it from us.
            time.sleep(_LOOK_S)
        if content is None:
            raise self._damaged("timestamp.json")
        raise InputError(
            f"{self.folder} is damaged: timestamp.json is older than {sorted(newer)[0]}; copy it "
            "from the web server or a backup; osnet-edge rollout --check tells more"
        )

    def content(self, target: str, current: Current | None = None) -> bytes:
        """Return a target's content.

        Args:
            target: its path.
            current: what the repository says; None reads it.

        Raises:
            InputError: there is no such target, or it is not what was signed.
        """
        file = (current or self.current()).files.get(target)
        if file is None:
            raise InputError(f"{self.folder} has no {target}")
        if fault := self.fault_of(file):
            raise InputError(
                f"{self.folder} is damaged: {fault}; copy it from the web server or a backup; "
                "osnet-edge rollout --check tells more"
            )
        return self.place_of(file).read_bytes()

    def place_of(self, file: TargetFile) -> Path:
        """Return where a target's content is."""
        return self._targets / file.get_prefixed_paths()[0]

    def fault_of(self, file: TargetFile, *, hashed: bool = True) -> str:
        """Return what is wrong with a target's content, in a few words; empty where it is what was signed.

        Args:
            file: the target.
            hashed: whether its hash is computed too, which reads all of it.
        """
        place = self.place_of(file)
        if not place.is_file():
            return f"the content of {file.path} is missing ({place})"
        size = place.stat().st_size
        if size != file.length:
            return f"the content of {file.path} has {size} bytes of {file.length} ({place})"
        if hashed and sha256_of(place) != file.hashes["sha256"]:
            return f"the content of {file.path} was changed ({place})"
        return ""

    def draft_root(self, signers: Signers) -> Metadata[Root]:
        """Make the next root, for its keys' owners to sign, wherever they are."""
        version = max(self.versions(Root.type), default=0) + 1
        return Metadata(signers.named_in(version, self.expiry.of("root")))

    def install_root(self, draft: Metadata[Root]) -> None:
        """Put the next root in place.

        Raises:
            InputError: it is not the next, or not signed by enough keys of its own and of the root before.
        """
        self._metadata.mkdir(parents=True, exist_ok=True)
        with self.writing():
            root, before = draft.signed, max(self.versions(Root.type), default=0)
            if root.version != before + 1:
                raise InputError(f"expected root version {before + 1}, got {root.version}; draft it anew")
            verify(root, Root.type, draft)
            if before:
                verify(self.root(), Root.type, draft)
            self._create(f"{root.version}.root.json", draft)

    def put(self, target: str, source: Path, current: Current | None = None) -> TargetFile:
        """Copy a file to its address, where nothing refers to it yet; what is there and whole is kept.

        Args:
            target: its path.
            source: the file.
            current: where given, a target that has other content in it is refused.

        Raises:
            InputError: the path is another file's.
        """
        file = TargetFile.from_file(target, str(source), ["sha256"])
        there = current.files.get(target) if current else None
        if there and there.hashes != file.hashes:
            raise InputError(
                f"{target} is another package already, maybe of another channel: name another release"
            )
        place = self.place_of(file)
        place.parent.mkdir(parents=True, exist_ok=True)
        if self.fault_of(file):
            with write_aside(place) as partial:
                shutil.copyfile(source, partial)
        return file

    def draft_targets(
        self, files: Iterable[TargetFile], without: Iterable[str] = (), current: Current | None = None
    ) -> Metadata[Targets]:
        """Make the next targets metadata, for its keys' owners to sign, wherever they are.

        Args:
            files: targets that are new, or have new content.
            without: paths of targets that are dropped.
            current: what was read and is changed; None reads it.
        """
        current, dropped = current or self.current(), set(without)
        targets = {path: file for path, file in current.files.items() if path not in dropped}
        targets.update((file.path, file) for file in files)
        return Metadata(
            Targets(
                max({current.version, *self.versions("targets")}) + 1,
                expires=self.expiry.of("targets"),
                targets=targets,
                unrecognized_fields={_REPLACES_FIELD: current.version},
            )
        )

    def install_targets(self, draft: Metadata[Targets], online: Sequence[Signer]) -> None:
        """Put the next targets metadata in place, and let the timestamp lead to it.

        Raises:
            InputError: it is not signed by enough keys, refers to new content that is not here or not whole,
                or is larger than cameras read.
            CheckError: something else was published since it was drafted.
        """
        with self.writing():
            targets, current = draft.signed, self.current()
            base = targets.unrecognized_fields.get(_REPLACES_FIELD, targets.version - 1)
            if base != current.version or targets.version <= current.version:
                raise CheckError(
                    f"targets version {targets.version} was made from version {base}, and now "
                    f"{current.version} is in place: somebody else changed {self.folder} "
                    "meanwhile, and nothing of yours is in place: do it again"
                )
            verify(self.root(), Targets.type, draft)
            size = len(draft.to_bytes(SERIALIZER))
            if size > LARGEST_TARGETS:
                raise InputError(
                    f"cameras read targets metadata of {LARGEST_TARGETS} bytes at most, and these have "
                    f"{size}: drop old releases with osnet-edge rollout RELEASE --drop"
                )
            before = current.files
            for path, file in targets.targets.items():
                # What was published before and deleted since must not stand in the way of a recall.
                if before.get(path) != file and (fault := self.fault_of(file)):
                    raise InputError(f"{fault}; copy the archive there, or publish again")
            self._lead(current, draft, online)
            for path, file in before.items():
                if path not in targets.targets:
                    self.place_of(file).unlink(missing_ok=True)

    def refresh(self, online: Sequence[Signer]) -> None:
        """Sign snapshot and timestamp anew, before they expire.

        Raises:
            InputError: nothing was published yet, or the key is not the online one.
            CheckError: somebody else wrote at the same time.
        """
        with self.writing():
            current = self.current()
            if current.targets is None:
                raise InputError(f"{self.folder} has nothing to refresh; publish a package first")
            self._lead(current, None, online)

    def recover(self, online: Sequence[Signer]) -> int:
        """Lead to the newest targets metadata that are here and signed, whatever the timestamp says.

        Returns:
            The version of the targets metadata.

        Raises:
            InputError: there are none that today's keys signed, or the key is not the online one.
        """
        with self.writing():
            root = self.root()
            for version in sorted(self.versions("targets"), reverse=True):
                try:
                    targets = self._read(f"{version}.targets.json", Targets)
                    verify(root, Targets.type, targets)
                except InputError:
                    continue
                content = read_if_there(self._metadata / "timestamp.json")
                stamp = self._stamp(content)
                # Where nothing tells how far their number had come: no repository signs once a minute.
                least = 0 if stamp or self.versions("snapshot") else int(time.time() / 60)
                self._lead(Current(content, stamp, None, targets.signed), None, online, least)
                return version
            raise InputError(
                f"{self.folder} has no N.targets.json that the targets keys of root version {root.version} "
                "signed; copy it from the web server or a backup"
            )

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return of each role its keys, its threshold, the version that is in place and when it expires."""
        root, current = self.root(), self.current()
        signed = {
            Root.type: root,
            Targets.type: current.targets,
            Snapshot.type: current.snapshot,
            Timestamp.type: current.timestamp,
        }
        return {
            role: {
                "keys": root.roles[role].keyids,
                "threshold": root.roles[role].threshold,
                "version": each.version if each else None,
                "expires": format_time(each.expires) if each else None,
            }
            for role, each in signed.items()
        }

    def versions(self, role: str) -> set[int]:
        """Return the versions of a role that are in the folder, whether or not something leads to them."""
        names = (path.name.split(".")[0] for path in self._metadata.glob(f"[0-9]*.{role}.json"))
        return {int(name) for name in names if name.isdecimal()}

    def signed_by_todays_keys(self) -> bool:
        """Return whether cameras take the targets metadata by the newest root; True where there are none."""
        current = self.current()
        if current.targets is None:
            return True
        try:
            metadata = self._read(f"{current.version}.targets.json", Targets)
            verify(self.root(), Targets.type, metadata)
        except InputError:
            return False
        return True

    def _lead(
        self,
        current: Current,
        targets: Metadata[Targets] | None,
        online: Sequence[Signer],
        least: int = 0,
    ) -> None:
        """Put metadata in place, the timestamp last; nothing is written before all is signed.

        Args:
            current: what was read, and must still be there.
            targets: to put in place too; None leads to those of `current`.
            online: the online key.
            least: a version that cameras may have seen, beside those that are in the folder.
        """
        root, stamp = self.root(), current.timestamp
        # One number for both: that of a lost timestamp, which cameras hold against us, is then known.
        version = max({least, stamp.version if stamp else 0, *self.versions("snapshot")}) + 1
        leads_to = MetaFile(targets.signed.version if targets else current.version)
        snapshot = Metadata(
            Snapshot(version, expires=self.expiry.of("snapshot"), meta={"targets.json": leads_to})
        )
        timestamp = Metadata(
            Timestamp(
                version,
                expires=self.expiry.of("timestamp"),
                snapshot_meta=MetaFile(version),
                unrecognized_fields={SIGNED_FIELD: format_time(datetime.now(timezone.utc))},
            )
        )
        for role, metadata in ((Snapshot.type, snapshot), (Timestamp.type, timestamp)):
            sign(metadata, online)
            verify(root, role, metadata)
        begun: dict[str, Metadata[Any]] = {f"{version}.snapshot.json": snapshot}
        if targets:
            begun = {f"{targets.signed.version}.targets.json": targets, **begun}
        notes = note_unfinished(self.folder, *begun)
        place, content = self._metadata / "timestamp.json", timestamp.to_bytes(SERIALIZER)
        created = []
        try:
            for name, made in begun.items():
                if self._create(name, made):
                    created.append(self._metadata / name)
            # Without a lock another may be between its comparison and its rename.
            if writers_before(self.folder, stamp.version if stamp else 0, notes[-1]):
                raise self._lost("timestamp.json")
            if not replace_file(place, content, current.content):
                raise self._lost("timestamp.json")
        except BaseException:
            # Unless the timestamp leads to them already, in which case only the disk has yet to be told.
            if read_if_there(place) != content:
                for path in created:
                    path.unlink(missing_ok=True)
            forget_unfinished(notes)
            raise
        forget_unfinished(notes)

    def _create(self, name: str, metadata: Metadata[Any]) -> bool:
        """Create a numbered file; return whether it was not there, the same, already."""
        content = metadata.to_bytes(SERIALIZER)
        try:
            create_file(self._metadata / name, content)
        except FileExistsError:
            # The same, of a run that was cut short, is as good as ours.
            if read_if_there(self._metadata / name) != content:
                raise self._lost(name) from None
            return False
        return True

    def _follow(self, content: bytes) -> Current:
        timestamp = self._stamp(content)
        if timestamp is None:
            raise InputError(
                f"{self.folder} is damaged: metadata/timestamp.json is no timestamp; copy it from the web "
                "server or a backup; osnet-edge rollout --check tells more"
            )
        snapshot = self._read(f"{timestamp.snapshot_meta.version}.snapshot.json", Snapshot).signed
        version = snapshot.meta["targets.json"].version
        return Current(content, timestamp, snapshot, self._read(f"{version}.targets.json", Targets).signed)

    def _stamp(self, content: bytes | None) -> Timestamp | None:
        """Read a timestamp; None where it is none."""
        try:
            signed = Metadata.from_bytes(content or b"").signed
        except RepositoryError:
            return None
        return signed if isinstance(signed, Timestamp) else None

    def _read(self, name: str, kind: type[T]) -> Metadata[T]:
        path = self._metadata / name
        if not path.is_file():
            raise self._damaged(name)
        metadata = read_signed(path, kind)
        if metadata.signed.version != int(name.split(".")[0]):
            raise InputError(
                f"{self.folder} is damaged: metadata/{name} is version {metadata.signed.version} under "
                "another's name; copy the right one from the web server or a backup; osnet-edge "
                "rollout --check tells more"
            )
        return metadata

    def _damaged(self, name: str) -> InputError:
        return InputError(
            f"{self.folder} is damaged: metadata/{name} is missing; copy it from the web server or a backup; "
            "osnet-edge rollout --check tells more"
        )

    def _lost(self, name: str) -> CheckError:
        return CheckError(
            f"somebody else wrote metadata/{name} of {self.folder} at the same time, and nothing of "
            "yours is in place: run this again"
        )
