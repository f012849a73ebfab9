"""Who signs what in a repository, how many of them must, and for how long it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from securesystemslib.signer import Key

from osnet_edge.runtime.errors import InputError


@dataclass(frozen=True)
class Expiry:
    """Days until each role's signatures expire: the rarer a key is at hand, the longer."""

    root: float = 365
    targets: float = 180
    snapshot: float = 30
    timestamp: float = 7

    def of(self, role: str) -> datetime:
        """Return when a signature of now expires."""
        return now() + timedelta(days=getattr(self, role))


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


def now() -> datetime:
    """Return the time as TUF writes it, in whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0)
