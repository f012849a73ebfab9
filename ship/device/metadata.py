"""The repository's metadata, verified by the rules of The Update Framework.

python-tuf verifies: root by root from the one that the camera was given, thresholds, expiry, rising versions,
and the snapshot that ties them together. This module turns its errors into reasons, and adds two checks that
python-tuf leaves to the caller. Versions are also kept in the journal, which survives a metadata folder that
a power cut damaged. And the clock is compared with the time of signing, since with a clock that was set back
nothing looks expired.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig

from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.files import read_small, sync_tree, write_file
from osnet_edge.ship.channel import LARGEST
from osnet_edge.ship.device.download import Fetcher, download
from osnet_edge.ship.device.refused import Reason, RefusedError
from osnet_edge.ship.device.scratch import scratch_folder
from osnet_edge.ship.times import format_time, parse_time

#: In a timestamp, beside TUF's own fields: when it was signed.
SIGNED_FIELD = "x-osnet-edge-signed"
#: How far a right clock may be behind the signer's.
_CLOCK_SLACK = timedelta(days=1)
#: Root, timestamp, snapshot, targets and the channel's document.
_FILES = 5
#: Each newer root is signed by the one before, so that no server can make up a longer chain than the owners
#: did; a root a month is 40 years.
_MOST_ROOTS = 500
#: Bytes of the largest targets metadata that a camera reads; some 12,000 archives.
LARGEST_TARGETS = 2_000_000
_SETTINGS = UpdaterConfig(
    max_root_rotations=_MOST_ROOTS,
    root_max_length=512_000,
    timestamp_max_length=16_384,
    targets_max_length=LARGEST_TARGETS,
)


_RECOVERY = "this camera's journal was changed: then run osnet-edge device update --forget-versions"

#: What python-tuf may raise, the particular before the general, and how we describe it.
_REASONS: tuple[tuple[type[Exception], Reason, str], ...] = (
    (tuf_errors.DownloadLengthMismatchError, "corrupt", "more bytes than were signed or allowed"),
    (tuf_errors.DownloadError, "network", "the repository could not be read"),
    (
        tuf_errors.ExpiredMetadataError,
        "expired",
        "the repository's signatures have expired (or this clock is wrong)",
    ),
    (
        tuf_errors.UnsignedMetadataError,
        "signature",
        "not signed by enough of the keys that this camera trusts",
    ),
    (tuf_errors.BadVersionNumberError, "replayed", "an older repository than this camera has seen"),
    (tuf_errors.LengthOrHashMismatchError, "corrupt", "metadata that is not what was signed"),
    (tuf_errors.RepositoryError, "corrupt", "the repository's metadata does not hold"),
    (ValueError, "corrupt", "the repository's metadata does not hold"),
    (tuf_errors.StorageError, "disk", "metadata could not be kept"),
    (OSError, "disk", "metadata could not be kept"),
)
_RAISED = tuple(kind for kind, _, _ in _REASONS)


@dataclass(frozen=True)
class Verified:
    """The result of a refresh.

    Attributes:
        versions: version of each metadata role.
        signed: signing time in the timestamp, ISO 8601.
    """

    versions: dict[str, int]
    signed: str


class MetadataVerifier(Protocol):
    """Interface by which an agent reads verified metadata; tests replace it by one without defences."""

    def refresh(self, seen: Mapping[str, int], signed: str, now: datetime) -> Verified:
        """Bring the metadata up to date."""

    def read(self, target: str) -> bytes:
        """Return a small target's content."""

    def find(self, target: str) -> TargetFile:
        """Return the signed length and hash of a target."""

    def fetch(
        self, file: TargetFile, destination: Path, seconds: float, progress: Callable[[int], None]
    ) -> None:
        """Download a target, complete and as it was signed."""


class TufVerifier:
    """Verifies a TUF repository on a web server.

    Args:
        root: the root metadata that is trusted from the start.
        folder: where verified metadata is kept.
        url: of the repository.
        cache: file for the target that every check reads, so that it is downloaded only if it changed.
        file_s: time limit in seconds for one file of metadata, with all tries; a whole refresh may take
            `_FILES` times as long.
    """

    def __init__(self, root: bytes, folder: Path, url: str, cache: Path, file_s: float = 120.0) -> None:
        self._root, self._folder, self._url, self._cache = root, folder, url.rstrip("/"), cache
        self._file_s = file_s
        self._fetcher = Fetcher(file_s, _FILES * file_s)
        self._updater: Updater | None = None

    def refresh(self, seen: Mapping[str, int], signed: str, now: datetime) -> Verified:
        """Bring the metadata up to date.

        Args:
            seen: the highest versions that were ever verified, by role.
            signed: the latest signing time that was ever verified.
            now: the time by this camera's clock.

        Raises:
            RefusedError: the repository cannot be reached, its metadata fail a check, or the clock is wrong.
        """
        _check_clock(now, signed, f"; or, if it is right, {_RECOVERY}")
        self._fetcher = Fetcher(self._file_s, _FILES * self._file_s)
        try:
            verified = self._refresh_kept()
        except _RAISED as error:
            raise _refusal(error, self._url) from None
        # A newer root may have replaced a stolen key, by which the others' versions were driven up.
        renewed = verified.versions[Root.type] > seen.get(Root.type, 0)
        for role, version in verified.versions.items():
            if version < seen.get(role, 0) and not renewed:
                raise RefusedError(
                    "replayed",
                    f"{self._url}: expected {role} version {seen[role]} or later, got {version}: an old "
                    f"repository is being served; or, if the owner has no later one, {_RECOVERY}",
                )
        _check_clock(now, verified.signed)
        return verified

    def read(self, target: str) -> bytes:
        """Return a small target's content.

        Raises:
            RefusedError: there is none, or it is not what was signed.
        """
        file = self.find(target)
        if file.length > LARGEST:
            raise RefusedError(
                "limit", f"expected {target} of at most {LARGEST:,} bytes, got {file.length:,}"
            )
        with contextlib.suppress(OSError, InputError, tuf_errors.LengthOrHashMismatchError):
            content = read_small(self._cache, LARGEST)
            file.verify_length_and_hashes(content)
            return content
        try:
            content = self._fetcher.download_bytes(self._address(file), file.length)
            file.verify_length_and_hashes(content)
        except (tuf_errors.DownloadError, tuf_errors.RepositoryError) as error:
            raise _refusal(error, self._url) from None
        with contextlib.suppress(OSError):
            # A full disk: it is downloaded again next time.
            write_file(self._cache, content)
        return content

    def find(self, target: str) -> TargetFile:
        """Return the signed length and hash of a target.

        Raises:
            RefusedError: there is no such target.
        """
        if self._updater is None:
            raise RuntimeError("refresh comes first")
        try:
            file = self._updater.get_targetinfo(target)
        except (tuf_errors.DownloadError, tuf_errors.RepositoryError) as error:
            raise _refusal(error, self._url) from None
        if file is None:
            raise RefusedError(
                "package", f"{self._url} has no {target}; name another channel, or publish to it"
            )
        return file

    def fetch(
        self, file: TargetFile, destination: Path, seconds: float, progress: Callable[[int], None]
    ) -> None:
        """Download a target, continuing an earlier download, and check its hash.

        Raises:
            RefusedError: it does not arrive completely, or differs from what was signed; such a file is
                removed.
        """
        download(self._address(file), destination, file.length, seconds, progress)
        try:
            with destination.open("rb") as content:
                file.verify_length_and_hashes(content)
        except tuf_errors.LengthOrHashMismatchError as error:
            destination.unlink()
            raise RefusedError("corrupt", f"{file.path} is not the file that was signed: {error}") from None

    def _address(self, file: TargetFile) -> str:
        folder, _, name = file.path.rpartition("/")
        # A consistent snapshot: every content has an address of its own, and stays there.
        return f"{self._url}/targets/{folder}/{file.hashes['sha256']}.{name}"

    def _refresh_kept(self) -> Verified:
        """Refresh in the folder; where the disk has no room for it, in a copy of the folder in memory.

        Nothing is lost by that: what is believed next time hangs on the versions in the journal.
        """
        try:
            return self._refresh_in(self._folder)
        except (tuf_errors.StorageError, OSError):
            with tempfile.TemporaryDirectory(dir=scratch_folder()) as place:
                copy = Path(place) / "metadata"
                shutil.copytree(self._folder, copy, symlinks=True)
                return self._refresh_in(copy)
        finally:
            # Also of a refresh that failed half-way: what it has verified must not be forgotten.
            sync_tree(self._folder)

    def _refresh_in(self, folder: Path) -> Verified:
        self._updater = Updater(
            str(folder),
            f"{self._url}/metadata/",
            fetcher=self._fetcher,
            config=_SETTINGS,
            bootstrap=self._root,
        )
        self._updater.refresh()
        return _read_verified(folder)


def read_root(path: Path) -> bytes:
    """Read the root metadata that a camera was given.

    Raises:
        RefusedError: it is damaged or missing.
    """
    try:
        content = read_small(path, _SETTINGS.root_max_length)
        Metadata[Root].from_bytes(content)
    except (OSError, InputError, tuf_errors.RepositoryError):
        raise RefusedError(
            "corrupt", f"{path} is missing or damaged: run osnet-edge device init with --root again"
        ) from None
    return content


def _read_verified(folder: Path) -> Verified:
    versions: dict[str, int] = {}
    signed = ""
    for role in (Root.type, Timestamp.type, Snapshot.type, Targets.type):
        metadata: Metadata[Any] = Metadata.from_file(str(folder / f"{role}.json"))
        versions[role] = metadata.signed.version
        if role == Timestamp.type:
            signed = _signed_time(metadata.signed)
    return Verified(versions, signed)


def _signed_time(timestamp: Timestamp) -> str:
    text = timestamp.unrecognized_fields.get(SIGNED_FIELD, "")
    try:
        return format_time(parse_time(text)) if isinstance(text, str) and text else ""
    except InputError:
        return ""


def _check_clock(now: datetime, signed: str, advice: str = "") -> None:
    if signed and now < parse_time(signed) - _CLOCK_SLACK:
        raise RefusedError(
            "clock",
            f"this camera's clock says {format_time(now)}, and the repository was signed at {signed}: set "
            f"the clock, since expiry cannot be told by a wrong one{advice}",
        )


def _refusal(error: Exception, url: str) -> RefusedError:
    reason, words = next((reason, words) for kind, reason, words in _REASONS if isinstance(error, kind))
    return RefusedError(reason, f"{url}: {words}: {first_line(error)}")
