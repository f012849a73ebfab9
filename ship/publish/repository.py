"""A TUF repository as static files, written in an order in which readers never see a half-written state.

    metadata/N.root.json        the keys of each role; signed by the keys of root N-1 and of root N
    metadata/N.targets.json     lengths and hashes of the targets
    metadata/N.snapshot.json    the version of targets.json
    metadata/timestamp.json     the version of snapshot.json; the only file that is ever overwritten
    targets/.../HASH.NAME       content, at a permanent, unique address

Everything except the timestamp may be cached forever, and an upload has no effect before its timestamp is
copied. Versions of snapshot and targets only rise; a version that a writer began and did not finish is
skipped.
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
    """The current metadata of a repository; None for each of them if nothing was published yet.

    Attributes:
        content: the bytes of timestamp.json, to notice a change by another writer.
        timestamp: the timestamp metadata.
        snapshot: the snapshot that the timestamp names.
        targets: the targets metadata that the snapshot names.
    """

    content: bytes | None = None
    timestamp: Timestamp | None = None
    snapshot: Snapshot | None = None
    targets: Targets | None = None

    @property
    def version(self) -> int:
        """The version of the targets metadata; 0 if nothing was published yet."""
        return self.targets.version if self.targets else 0

    @property
    def files(self) -> dict[str, TargetFile]:
        """The targets that are published, by path."""
        return dict(self.targets.targets) if self.targets else {}


class Repository:
    """A repository in a folder.

    Args:
        folder: of the repository; it is created when needed.
        expiry: validity of new signatures.
    """

    def __init__(self, folder: Path, expiry: Expiry | None = None) -> None:
        self.folder, self.expiry = folder, expiry or Expiry()
        self._metadata, self._targets = folder / "metadata", folder / "targets"
        self._lock = WriteLock(folder)

    def writing(self) -> AbstractContextManager[None]:
        """Lock the repository for one writer, from reading it to installing new metadata.

        Raises:
            InputError: there is no repository, or it is not writable.
            CheckError: another writer has held the lock for too long.
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
        """Return the keys and thresholds in the newest root."""
        return Signers.named_by(self.root())

    def current(self) -> Current:
        """Read the current metadata.

        Raises:
            InputError: the repository is damaged: metadata are missing, or the timestamp is older than
                metadata that were published.
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
            current: the current metadata; None reads them.

        Raises:
            InputError: there is no such target, or its content differs from what was signed.
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
        """Return the path of the file with a target's content."""
        return self._targets / file.get_prefixed_paths()[0]

    def fault_of(self, file: TargetFile, *, hashed: bool = True) -> str:
        """Return in a few words what is wrong with a target's content; empty if it is what was signed.

        Args:
            file: the target.
            hashed: whether to compute its hash too, which reads the whole file.
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
        """Draft the next root metadata, for the owners of its keys to sign."""
        version = max(self.versions(Root.type), default=0) + 1
        return Metadata(signers.named_in(version, self.expiry.of("root")))

    def install_root(self, draft: Metadata[Root]) -> None:
        """Install the next root.

        Raises:
            InputError: it is not the next version, or is not signed by enough of its own and the previous
                root's keys.
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
        """Copy a file to its address, where nothing refers to it yet; an intact copy there is kept.

        Args:
            target: its path.
            source: the file.
            current: the current metadata; if given, a target with other content there is refused.

        Raises:
            InputError: the target exists with other content.
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
        """Draft the next targets metadata, for the owners of the targets keys to sign.

        Args:
            files: targets that are new, or have new content.
            without: paths of targets that are dropped.
            current: the metadata that are changed; None reads the current ones.
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
        """Install the next targets metadata, with a new snapshot and timestamp.

        Raises:
            InputError: they are not signed by enough keys, refer to new content that is missing or damaged,
                or are larger than cameras read.
            CheckError: something else was published since they were drafted.
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
        """Sign snapshot and timestamp again, before they expire.

        Raises:
            InputError: nothing was published yet, or the key is not the online key.
            CheckError: another writer changed the repository at the same time.
        """
        with self.writing():
            current = self.current()
            if current.targets is None:
                raise InputError(f"{self.folder} has nothing to refresh; publish a package first")
            self._lead(current, None, online)

    def recover(self, online: Sequence[Signer]) -> int:
        """Make a new timestamp for the newest signed targets metadata in the folder.

        Returns:
            The version of the targets metadata.

        Raises:
            InputError: today's keys signed none of them, or the key is not the online key.
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
        """Return the keys, threshold, installed version and expiry of each role."""
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
        """Return all versions of a role in the folder, also those that are not in use."""
        names = (path.name.split(".")[0] for path in self._metadata.glob(f"[0-9]*.{role}.json"))
        return {int(name) for name in names if name.isdecimal()}

    def signed_by_todays_keys(self) -> bool:
        """Return whether the newest root's keys signed the targets metadata; True if there are none."""
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
        """Install metadata, the timestamp last; nothing is written before everything is signed.

        Args:
            current: the metadata that were read, and must not have changed since.
            targets: new targets metadata; None keeps those of `current`.
            online: the online key.
            least: a version that cameras may have seen, beside those in the folder.
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
        """Create a numbered file; return False if it is there already with the same content."""
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
        """Read a timestamp; None if it is damaged."""
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
