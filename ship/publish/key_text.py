"""Refuses the text of a private key where the name of its file or variable belongs, and never prints it."""

from __future__ import annotations

import re

from osnet_edge.runtime.errors import InputError

#: PEM, or its lines without the first: in base64, Ed25519 keys of PKCS #8 begin so, and encrypted ones.
_KEY_TEXT = re.compile(r"\n|PRIVATE|-----|M(C4CAQ|IG)[A-Za-z0-9+/]{40}")
#: Of a file's path or a variable's name.
_LONGEST_PLACE = 1024


def refuse_key_text(where: str) -> None:
    """Refuse a private key's text in place of its name, without showing any of it.

    Raises:
        InputError: the value is the text of a key.
    """
    if _KEY_TEXT.search(where) or len(where) > _LONGEST_PLACE:
        raise InputError(
            "expected a key as a file or as env:NAME, got the text of a key itself (not shown here): put "
            "the text into a variable NAME and write env:NAME, without a dollar sign; a command line "
            "is no secret, so replace that key if other people use this machine"
        )
