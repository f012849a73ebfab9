"""Who signs a repository, how many of them must, and for how long a signature holds: what its root says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from securesystemslib.signer import Key
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from osnet_edge.runtime.errors import InputError

_ONLINE = (Snapshot.type, Timestamp.type)


@dataclass(frozen=True)
class Expiry:
    """Days until the signatures of each role expire: the more rarely a key is used, the longer."""

    root: float = 365
    targets: float = 180
    snapshot: float = 30
    timestamp: float = 7

    def of(self, role: str) -> datetime:
        """Return when a signature of now expires, in whole seconds as TUF writes it."""
        return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=getattr(self, role))


@dataclass(frozen=True)
class Signers:
    """Whose keys a root names, and how many of them must sign."""

    root: tuple[Key, ...]
    root_threshold: int
    targets: tuple[Key, ...]
    targets_threshold: int
    online: tuple[Key, ...]

    @classmethod
    def none(cls) -> Signers:
        """Return the default thresholds, without keys."""
        return cls((), 2, (), 1, ())

    def checked(self) -> Signers:
        """Check thresholds against the number of keys.

        Raises:
            InputError: a key is there twice, or a threshold is more than there are keys.
        """
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
        return self

    @classmethod
    def named_by(cls, root: Root) -> Signers:
        """Return the keys and thresholds of a root."""
        keys = {
            role: tuple(root.keys[keyid] for keyid in root.roles[role].keyids)
            for role in (Root.type, Targets.type, Timestamp.type)
        }
        return cls(
            keys[Root.type],
            root.roles[Root.type].threshold,
            keys[Targets.type],
            root.roles[Targets.type].threshold,
            keys[Timestamp.type],
        )

    def named_in(self, version: int, expires: datetime) -> Root:
        """Return a root that names them.

        Raises:
            InputError: a key is there twice, or a threshold is more than there are keys.
        """
        self.checked()
        root = Root(version, expires=expires, consistent_snapshot=True)
        for role, keys, threshold in (
            (Root.type, self.root, self.root_threshold),
            (Targets.type, self.targets, self.targets_threshold),
            *((role, self.online, 1) for role in _ONLINE),
        ):
            for key in keys:
                root.add_key(key, role)
            root.roles[role].threshold = threshold
        return root
