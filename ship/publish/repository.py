"""A TUF repository as static files: metadata and targets, in the order in which a reader may see them.

    metadata/N.root.json        who signs what; from one to the next, each signed by both
    metadata/N.targets.json     lengths and hashes of targets
    metadata/N.snapshot.json    which targets.json goes with it
    metadata/timestamp.json     which snapshot is now: the only file that is ever written over
    targets/.../HASH.NAME       content, at an address of its own for ever

Everything but the timestamp may be cached without end; a half-copied upload is unseen until the timestamp.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import RepositoryError, StorageError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.files import write_aside, write_file
from osnet_edge.ship.channel import format_time
from osnet_edge.ship.device.metadata import SIGNED_FIELD

T = TypeVar("T", Root, Snapshot, Targets, Timestamp)
_SERIALIZER = JSONSerializer(compact=False)
_ONLINE = (Snapshot.type, Timestamp.type)


@dataclass(frozen=True)
class Expiry:
    """Days until each role's signatures expire: the rarer a key is at hand, the longer."""

    root: float = 365
    targets: float = 180
    snapshot: float = 30
    timestamp: float = 7

    def of(self, role: str) -> datetime:
        """Return when a signature of now expires."""
        return _now() + timedelta(days=getattr(self, role))


@dataclass(frozen=True)
class Signers:
    """Whose keys a root names, and how many of them must sign."""

    root: tuple[Key, ...]
    root_threshold: int
    targets: tuple[Key, ...]
    targets_threshold: int
    online: tuple[Key, ...]

    def __post_init__(self) -> None:
        """Hold thresholds to what there is."""
        for role, keys, threshold in (
            ("root", self.root, self.root_threshold),
            ("targets", self.targets, self.targets_threshold),
            ("online", self.online, 1),
        ):
            if len({key.keyid for key in keys}) != len(keys):
                raise InputError(f"expected different keys for {role}, got one twice")
            if not 1 <= threshold <= len(keys):
                raise InputError(
                    f"expected a threshold of 1 to the number of {role} keys, got {threshold} of {len(keys)}"
                )


class Repository:
    """A repository in a folder.

    Args:
        folder: it and what is in it are made as needed.
        expiry: of what is signed from now on.
    """

    def __init__(self, folder: Path, expiry: Expiry | None = None) -> None:
        self.folder, self.expiry = folder, expiry or Expiry()
        self._metadata, self._targets = folder / "metadata", folder / "targets"

    def root(self) -> Root:
        """Read the newest root.

        Raises:
            InputError: there is none yet.
        """
        version = self._root_version()
        if not version:
            raise InputError(f"{self.folder} is no repository yet: make its root with osnet-edge keys root")
        return read_signed(self._metadata / f"{version}.root.json", Root).signed

    def targets(self) -> Targets | None:
        """Read the targets metadata that the timestamp leads to; None where nothing was published yet."""
        snapshot = self._snapshot()
        if snapshot is None:
            return None
        version = snapshot.meta["targets.json"].version
        return read_signed(self._metadata / f"{version}.targets.json", Targets).signed

    def files(self) -> dict[str, TargetFile]:
        """Return the targets that are published, by path."""
        targets = self.targets()
        return dict(targets.targets) if targets else {}

    def content(self, target: str) -> bytes:
        """Return a target's content.

        Raises:
            InputError: there is no such target.
        """
        file = self.files().get(target)
        if file is None:
            raise InputError(f"{self.folder} has no {target}")
        return (self._targets / file.get_prefixed_paths()[0]).read_bytes()

    def draft_root(self, signers: Signers) -> Metadata[Root]:
        """Make the next root, for its keys' owners to sign, wherever they are."""
        version = self._root_version() + 1
        root = Root(version, expires=self.expiry.of("root"), consistent_snapshot=True)
        for role, keys, threshold in (
            (Root.type, signers.root, signers.root_threshold),
            (Targets.type, signers.targets, signers.targets_threshold),
            *((role, signers.online, 1) for role in _ONLINE),
        ):
            for key in keys:
                root.add_key(key, role)
            root.roles[role].threshold = threshold
        return Metadata(root)

    def install_root(self, draft: Metadata[Root]) -> None:
        """Put the next root in place.

        Raises:
            InputError: it is not the next, or not signed by enough keys of its own and of the root before.
        """
        root, before = draft.signed, self._root_version()
        if root.version != before + 1:
            raise InputError(f"expected root version {before + 1}, got {root.version}; draft it anew")
        verify(root, Root.type, draft)
        if before:
            verify(self.root(), Root.type, draft)
        self._write(f"{root.version}.root.json", draft)

    def put(self, target: str, source: Path) -> TargetFile:
        """Copy a file to its address, where nothing refers to it yet."""
        file = TargetFile.from_file(target, str(source), ["sha256"])
        place = self._targets / file.get_prefixed_paths()[0]
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            with write_aside(place) as partial:
                shutil.copyfile(source, partial)
        return file

    def draft_targets(self, files: Iterable[TargetFile]) -> Metadata[Targets]:
        """Make the next targets metadata, for its keys' owners to sign, wherever they are."""
        targets = {**self.files(), **{file.path: file for file in files}}
        return Metadata(
            Targets(self._targets_version() + 1, expires=self.expiry.of("targets"), targets=targets)
        )

    def install_targets(self, draft: Metadata[Targets], online: Sequence[Signer]) -> None:
        """Put the next targets metadata in place, and let the timestamp lead to it.

        Raises:
            InputError: it is not the next, not signed by enough keys, or refers to content that is not here.
        """
        targets = draft.signed
        old = self._targets_version()
        if targets.version != old + 1:
            raise InputError(f"expected targets version {old + 1}, got {targets.version}; publish again")
        verify(self.root(), Targets.type, draft)
        for file in targets.targets.values():
            if not (self._targets / file.get_prefixed_paths()[0]).is_file():
                raise InputError(
                    f"{file.path} is signed, but its content is not in {self._targets}; copy it there"
                )
        self._write(f"{targets.version}.targets.json", draft)
        self._lead(targets.version, online)

    def refresh(self, online: Sequence[Signer]) -> None:
        """Sign snapshot and timestamp anew, before they expire.

        Raises:
            InputError: nothing was published yet, or the key is not the online one.
        """
        if self._snapshot() is None:
            raise InputError(f"{self.folder} has nothing to refresh; publish a package first")
        self._lead(self._targets_version(), online)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return of each role its keys, its threshold, the version that is in place and when it expires."""
        root, snapshot = self.root(), self._snapshot()
        signed = {
            Root.type: root,
            Targets.type: self.targets(),
            Snapshot.type: snapshot,
            Timestamp.type: self._timestamp(),
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

    def _root_version(self) -> int:
        return max(
            (int(path.name.split(".")[0]) for path in self._metadata.glob("[0-9]*.root.json")), default=0
        )

    def _targets_version(self) -> int:
        targets = self.targets()
        return targets.version if targets else 0

    def _lead(self, targets: int, online: Sequence[Signer]) -> None:
        root, before, stamp = self.root(), self._snapshot(), self._timestamp()
        version = before.version + 1 if before else 1
        snapshot = Metadata(
            Snapshot(version, expires=self.expiry.of("snapshot"), meta={"targets.json": MetaFile(targets)})
        )
        timestamp = Metadata(
            Timestamp(
                stamp.version + 1 if stamp else 1,
                expires=self.expiry.of("timestamp"),
                snapshot_meta=MetaFile(version),
                unrecognized_fields={SIGNED_FIELD: format_time(_now())},
            )
        )
        for role, metadata, name in (
            (Snapshot.type, snapshot, f"{version}.snapshot.json"),
            (Timestamp.type, timestamp, "timestamp.json"),
        ):
            sign(metadata, online)
            verify(root, role, metadata)
            self._write(name, metadata)

    def _timestamp(self) -> Timestamp | None:
        file = self._metadata / "timestamp.json"
        return read_signed(file, Timestamp).signed if file.is_file() else None

    def _snapshot(self) -> Snapshot | None:
        stamp = self._timestamp()
        if stamp is None:
            return None
        file = self._metadata / f"{stamp.snapshot_meta.version}.snapshot.json"
        return read_signed(file, Snapshot).signed

    def _write(self, name: str, metadata: Metadata[Any]) -> None:
        self._metadata.mkdir(parents=True, exist_ok=True)
        write_draft(self._metadata / name, metadata)


def sign(metadata: Metadata[Any], signers: Iterable[Signer]) -> None:
    """Add signatures to metadata."""
    for signer in signers:
        metadata.sign(signer, append=True)


def read_draft(path: Path) -> Metadata[Any]:
    """Read metadata that waits for signatures.

    Raises:
        InputError: it is none.
    """
    try:
        return Metadata.from_file(str(path))
    except (StorageError, RepositoryError) as error:
        raise InputError(f"expected {path} as a draft of osnet-edge, got {first_line(error)}") from None


def write_draft(path: Path, draft: Metadata[Any]) -> None:
    """Write metadata, whole or not at all, whether or not it waits for signatures."""
    write_file(path, draft.to_bytes(_SERIALIZER))


def read_signed(path: Path, kind: type[T]) -> Metadata[T]:
    """Read metadata of a kind.

    Raises:
        InputError: it is none, or of another kind.
    """
    metadata: Metadata[T] = read_draft(path)
    if not isinstance(metadata.signed, kind):
        raise InputError(
            f"expected {path} as metadata of {kind.__name__}, got {type(metadata.signed).__name__}"
        )
    return metadata


def verify(root: Root, role: str, metadata: Metadata[Any]) -> None:
    """Hold metadata to the keys that a root names for its role.

    Raises:
        InputError: fewer of them signed it than the root asks for.
    """
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError:
        result = root.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        raise InputError(
            f"expected {result.threshold} signatures of the {role} keys of root version {root.version}, got "
            f"{len(result.signed)}; sign it with osnet-edge keys sign, or with the right key"
        ) from None
    except RepositoryError as error:
        raise InputError(f"the {role} metadata does not hold: {error}") from None


def _now() -> datetime:
    """Return the time as TUF writes it, in whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0)
