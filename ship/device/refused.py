"""Why an update was refused: one word for the fleet's charts, and one line for a person."""

from __future__ import annotations

from typing import Literal, get_args

from osnet_edge.runtime.errors import OsnetEdgeError, printable

#: `network`: the repository could not be reached, or not whole. `clock`: this camera's is wrong. `expired`,
#: `signature`, `replayed`: the repository's metadata. `corrupt`: a file is not the one that was signed.
#: `archive`, `package`: what was signed is no package that this version takes. `device`: it is for another
#: one. `disk`, `limit`: too big or too slow for here. `proof`: it does not compute what it should, or not in
#: time. `health`: it proved itself, and then the program that uses it did not do well. `busy`: another
#: update is running. `operator`: a person or a recall took it back. `unwatched`: the program that would tell
#: how it does was not running.
Reason = Literal[
    "archive",
    "busy",
    "clock",
    "corrupt",
    "device",
    "disk",
    "expired",
    "health",
    "limit",
    "network",
    "operator",
    "package",
    "proof",
    "replayed",
    "signature",
    "unwatched",
]
REASONS: tuple[str, ...] = get_args(Reason)
#: A second try cannot help these: the release is remembered as bad on this device.
LASTING: frozenset[Reason] = frozenset({"archive", "device", "health", "operator", "package", "proof"})


class RefusedError(OsnetEdgeError):
    """An update was refused; the previous engine keeps running.

    Args:
        reason: in one word.
        message: one line: what was expected, what came, what to do.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        # Servers, archives and hosts have a say in it.
        super().__init__(printable(message))
        self.reason: Reason = reason
