"""Signed metadata as files: drafts that are sent to the owners of keys, their signatures, and checks of them.

This module handles one file of metadata at a time; `repository.py` handles how they refer to one another.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError, StorageError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.files import write_file
from osnet_edge.ship.times import format_time

T = TypeVar("T", Root, Snapshot, Targets, Timestamp)
#: Readable, since people sign what they have read.
SERIALIZER = JSONSerializer(compact=False)


def sign(metadata: Metadata[Any], signers: Iterable[Signer]) -> None:
    """Add signatures to metadata."""
    for signer in signers:
        metadata.sign(signer, append=True)


def read_draft(path: Path) -> Metadata[Any]:
    """Read metadata that wait for signatures.

    Raises:
        InputError: the file is no draft.
    """
    try:
        return Metadata.from_file(str(path))
    except (StorageError, RepositoryError) as error:
        raise InputError(f"expected {path} as a draft of osnet-edge, got {first_line(error)}") from None


def describe(draft: Metadata[Any]) -> list[str]:
    """Return a description of metadata, line by line, for the person who signs them."""
    signed = draft.signed
    lines = [f"{signed.type} version {signed.version}, valid until {format_time(signed.expires)}"]
    if isinstance(signed, Root):
        lines += [
            f"{name}: {role.threshold} of {len(role.keyids)}: {', '.join(key[:12] for key in role.keyids)}"
            for name, role in signed.roles.items()
        ]
    if isinstance(signed, Targets):
        files = sorted(signed.targets.values(), key=lambda file: file.path)
        lines.append(f"{len(files)} targets, by path, bytes and SHA-256:")
        lines += [f"{file.path} {file.length} {file.hashes['sha256'][:16]}..." for file in files]
    return lines


def write_draft(path: Path, draft: Metadata[Any]) -> None:
    """Write metadata atomically, signed or not."""
    write_file(path, draft.to_bytes(SERIALIZER))


def read_signed(path: Path, kind: type[T]) -> Metadata[T]:
    """Read metadata of one kind.

    Raises:
        InputError: the file is no metadata, or of another kind.
    """
    metadata: Metadata[T] = read_draft(path)
    if not isinstance(metadata.signed, kind):
        raise InputError(
            f"expected {path} as metadata of {kind.__name__}, got {type(metadata.signed).__name__}"
        )
    return metadata


def verify(root: Root, role: str, metadata: Metadata[Any]) -> None:
    """Check that enough of a role's keys in a root signed some metadata.

    Raises:
        InputError: fewer keys signed than the root requires.
    """
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError:
        result = root.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        raise InputError(
            f"expected {counted(result.threshold, 'signature')} of the {role} keys of root version "
            f"{root.version}, got {len(result.signed)}; sign it with osnet-edge keys sign, or with the right "
            "key"
        ) from None
    except RepositoryError as error:
        raise InputError(f"the {role} metadata does not hold: {error}") from None
