"""An updater without defences, for tests that first show an attack to work: it believes what it is sent."""

from __future__ import annotations

import json
import tarfile
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import TargetFile

from osnet_edge.ship.device.metadata import Verified


class NaiveVerifier:
    """Follows timestamp, snapshot and targets of a repository, and checks nothing: no signature, no version,
    no expiry, no length, no hash.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._targets: dict[str, Any] = {}

    def refresh(self, seen: Mapping[str, int], signed: str, now: datetime) -> Verified:
        snapshot = self._signed("timestamp.json")["meta"]["snapshot.json"]["version"]
        targets = self._signed(f"{snapshot}.snapshot.json")["meta"]["targets.json"]["version"]
        self._targets = self._signed(f"{targets}.targets.json")["targets"]
        return Verified({}, "")

    def find(self, target: str) -> TargetFile:
        return TargetFile.from_dict(json.loads(json.dumps(self._targets[target])), target)

    def read(self, target: str) -> bytes:
        return self._get(self._address(self.find(target)))

    def fetch(
        self, file: TargetFile, destination: Path, seconds: float, progress: Callable[[int], None]
    ) -> None:
        destination.write_bytes(self._get(self._address(file)))

    def _address(self, file: TargetFile) -> str:
        return f"targets/{file.get_prefixed_paths()[0]}"

    def _signed(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._get(f"metadata/{name}"))
        return dict(document["signed"])

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self._url}/{path}") as response:
            content: bytes = response.read()
            return content


def naive_unpack(archive: Path, folder: Path) -> None:
    """Unpack as Python did by default before 3.14, and tar does: whatever the archive says."""
    with tarfile.open(archive) as opened:
        if hasattr(tarfile, "fully_trusted_filter"):
            opened.extractall(folder, filter="fully_trusted")
        else:
            opened.extractall(folder)
