"""Signing keys: Ed25519, in files that only their owner can read, or in the environment of a CI job.

A private key is created where it will be kept. Only its public key, `NAME.pub`, and drafts to sign are
copied.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import require_writable, write_json
from osnet_edge.runtime.package.schema import parse_json
from osnet_edge.ship.publish.key_text import refuse_key_text

#: Holds the passphrase of encrypted keys, where nobody is there to type it.
PASSPHRASE_VARIABLE = "OSNET_EDGE_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
_ENVIRONMENT = "env:"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class PassphraseError(InputError):
    """A key is encrypted, and the passphrase is missing or wrong."""


def make_key(path: Path, passphrase: bytes | None = None) -> SSlibKey:
    """Create a key: the private key in `path`, and the public key in `path.pub`.

    Args:
        path: a file that does not exist yet.
        passphrase: encrypts the private key; None stores it unencrypted.

    Raises:
        InputError: `path` or `path.pub` exists already.
    """
    refuse_key_text(str(path))
    require_writable(path)
    if public_file(path).exists():
        # Of another private key, which may be kept elsewhere.
        raise InputError(
            f"{public_file(path)} is already there, and keys are not written over; name another file"
        )
    private = Ed25519PrivateKey.generate()
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    )
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        # Made unreadable to others, rather than changed to it: in between, somebody could open it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(
            f"{path} is already there, and keys are not written over; name another file"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    public = CryptoSigner(private).public_key
    write_json(public_file(path), {"keyid": public.keyid, **public.to_dict()})
    return public


def public_file(path: Path) -> Path:
    """Return the path of a key's public key."""
    return path.with_name(path.name + ".pub")


def read_public(path: Path) -> Key:
    """Read a public key.

    Raises:
        InputError: the file cannot be read, or is no public key.
    """
    refuse_key_text(str(path))
    try:
        document = parse_json(path.read_bytes(), str(path), "name another")
        return Key.from_dict(document.pop("keyid"), document)
    except OSError as error:
        raise InputError(f"cannot read the public key {path}: {error.strerror}") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise InputError(
            f"expected {path} as a public key, NAME.pub of osnet-edge keys new; a private key is "
            f"not asked for here"
        ) from None


def open_key(where: str, passphrase: bytes | None = None) -> CryptoSigner:
    """Open a private key for signing.

    Args:
        where: its file, or `env:NAME` for a variable that holds the PEM text.
        passphrase: of an encrypted key.

    Raises:
        InputError: it cannot be read, other users can read it, or it is no private key.
        PassphraseError: it is encrypted, and the passphrase is missing or wrong.
    """
    pem = _read_pem(where)
    try:
        private = load_pem_private_key(pem, passphrase if b"ENCRYPTED" in pem else None)
    except (TypeError, ValueError) as error:
        if b"ENCRYPTED" in pem:
            raise PassphraseError(
                f"the key {where} is encrypted; give its passphrase, or set {PASSPHRASE_VARIABLE}"
            ) from None
        raise InputError(f"expected {where} as a private key in PEM, got {error}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(
            f"expected {where} as an Ed25519 key, as osnet-edge keys new makes; got another kind"
        )
    return CryptoSigner(private)


def open_keys(places: Iterable[str], ask: Callable[[str], str] | None) -> list[CryptoSigner]:
    """Open private keys, with the passphrase in the environment if there is one.

    Args:
        places: files or variables, as for `open_key`.
        ask: asks a person for the passphrase of an encrypted key; None if nobody can be asked.

    Raises:
        InputError: as `open_key`.
    """
    signers = []
    for place in places:
        passphrase = os.environ.get(PASSPHRASE_VARIABLE, "").encode() or None
        try:
            signers.append(open_key(place, passphrase))
        except PassphraseError:
            if passphrase or ask is None:
                raise
            signers.append(open_key(place, ask(place).encode()))
    return signers


def _read_pem(where: str) -> bytes:
    refuse_key_text(where)
    if where.startswith(_ENVIRONMENT):
        name = where.removeprefix(_ENVIRONMENT)
        if not os.environ.get(name):
            raise InputError(f"expected the variable {name} to hold a private key in PEM, and it is not set")
        return os.environ[name].encode()
    path = Path(where)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise InputError(
                    f"others can read the private key {path} (mode {stat.S_IMODE(mode):o}): chmod "
                    f"600 {path}, and "
                    "make a new key if anybody may have"
                )
            return file.read()
    except OSError as error:
        raise InputError(f"cannot read the private key {path}: {error.strerror}") from None
