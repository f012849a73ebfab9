"""The tuner's cache: results keyed by their inputs, so that an interrupted tuning continues."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeVar

from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.files import require_writable, write_json
from osnet_edge.runtime.package.schema import from_json, parse_json, to_json

T = TypeVar("T")


class TuningCache:
    """A folder of JSON files, each named by the hash of all that its content depends on.

    A file that cannot be read as an entry counts as missing, and is written again.

    Args:
        folder: made at once, so that no time is spent on what cannot be kept; None keeps nothing.
        context: what every entry depends on, such as the machine and the libraries' versions.
        fresh: whether existing entries are ignored.

    Raises:
        InputError: a file is where the folder should be, or nothing can be made there.
    """

    def __init__(self, folder: Path | None, context: Any, *, fresh: bool = False) -> None:
        if folder is not None and folder.exists() and not folder.is_dir():
            raise InputError(f"expected --cache as a folder, found a file at {folder}; name another place")
        if folder is not None:
            _try(folder)
        self._folder, self._context, self._fresh = folder, context, fresh

    def read(self, kind: type[T], key: Any) -> T | None:
        """Return what was kept under a key (what JSON can say), or None where that is not of this kind."""
        if self._folder is None or self._fresh:
            return None
        name = self._name(key)
        try:
            document = parse_json((self._folder / name).read_bytes(), name, "measure it again")
            # A file that was copied to another name, or cut short and repaired by hand, is no entry.
            if isinstance(document, dict) and document.get("key") == self._describe(key):
                return from_json(kind, document.get("value"), name)
        except (OSError, ValueError):
            pass
        return None

    def write(self, key: Any, value: Any) -> None:
        """Keep a value (a dataclass that `from_json` reads) under a key."""
        if self._folder is None:
            return
        write_json(self._folder / self._name(key), {"key": self._describe(key), "value": to_json(value)})

    def _describe(self, key: Any) -> Any:
        # As JSON gives it back, where tuples are lists.
        return json.loads(json.dumps([self._context, key]))

    def _name(self, key: Any) -> str:
        text = json.dumps(self._describe(key), sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _try(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_writable(folder / "x.json")
    except (InputError, OSError) as error:
        raise InputError(
            f"timings cannot be kept in {folder} ({first_line(error)}); name another with --cache"
        ) from None


def default_folder() -> Path:
    """Return where tunings are kept: the user's folder for caches (XDG Base Directory Specification).

    Raises:
        InputError: the user has no home.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        raise InputError("this user has no home to keep timings in; name a folder with --cache") from None
    return Path(base) / "osnet-edge" / "tuning"
