"""Examining a repository: what is missing, damaged or about to expire, and how to repair it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from osnet_edge.runtime.errors import InputError
from osnet_edge.ship.channel import LARGEST, target_of
from osnet_edge.ship.device.metadata import LARGEST_TARGETS
from osnet_edge.ship.publish.releases import channels_of
from osnet_edge.ship.publish.repository import Current, Repository
from osnet_edge.ship.publish.writing import unfinished
from osnet_edge.ship.times import format_time

#: From this share of what cameras read, it is time to drop old releases.
_NEARLY = 0.5
#: How long before a role's signatures expire somebody is told, in days.
_EARLY = {"root": 60.0, "targets": 30.0, "timestamp": 1.0}
#: What signs each role anew.
RENEW = {
    "root": "draft the next with osnet-edge keys root, and have it signed",
    "targets": "osnet-edge keys renew",
    "snapshot": "osnet-edge keys refresh",
    "timestamp": "osnet-edge keys refresh",
}
_COPY = "copy it from the web server or a backup"
_RECOVER = "or, if no copy is left, osnet-edge keys refresh --recover"


@dataclass(frozen=True)
class Finding:
    """A problem of a repository.

    Attributes:
        what: the problem, in one line.
        repair: how to repair it.
        serious: whether cameras or publishers cannot work because of it; otherwise it is a warning.
    """

    what: str
    repair: str
    serious: bool = True


def examine(repository: Repository) -> list[Finding]:
    """Examine a whole repository; every archive is read and hashed.

    Raises:
        InputError: it is no repository, since it has no root.
    """
    if not repository.versions("root"):
        repository.root()
    missing = set(range(1, max(repository.versions("root")))) - repository.versions("root")
    found = [
        Finding(
            f"metadata/{version}.root.json is missing: no camera that has an older one gets past it", _COPY
        )
        for version in sorted(missing)
    ]
    try:
        repository.root()
        current = repository.current()
    except InputError as error:
        # Said of the first thing that is wrong; the advice in it is for commands that publish.
        return found or [Finding(str(error).split(";")[0], f"{_COPY}, {_RECOVER}")]
    found += warnings_of(repository)
    for file in current.files.values():
        if fault := repository.fault_of(file):
            release = file.path.split("/")[1]
            advice = (
                f"{_COPY}, or osnet-edge rollout {release} --drop, or publish it again under another name"
            )
            found.append(
                Finding(fault, advice if file.path.startswith("packages/") else f"{_COPY}, {_RECOVER}")
            )
    try:
        for channel in channels_of(repository, current):
            for each in channel.releases:
                found += [
                    Finding(
                        f"{each.name} of {channel.channel} offers {offer.target}, which is not signed",
                        f"osnet-edge rollout {each.name} --drop, and publish it again under another name",
                    )
                    for offer in each.offers
                    if offer.target not in current.files
                ]
    except InputError as error:
        if not found:
            found.append(Finding(str(error), _COPY))
    if begun := {name for name in unfinished(repository.folder) if _is_newer(name, current)}:
        found.append(
            Finding(
                f"a command was cut short before {', '.join(sorted(begun))} was in use: what it did is not "
                "in place, and nothing is damaged",
                "run that command again",
                serious=False,
            )
        )
    return found


def warnings_of(repository: Repository, now: datetime | None = None) -> list[Finding]:
    """Return what has expired or soon will, what old keys signed, and what nears a size limit of cameras."""
    now, current, found = now or datetime.now(timezone.utc), repository.current(), []
    if not repository.signed_by_todays_keys():
        found.append(
            Finding(
                "the targets metadata are not signed by enough of today's targets keys: cameras refuse them",
                RENEW["targets"],
            )
        )
    signed = {
        "root": repository.root(),
        "targets": current.targets,
        "snapshot": current.snapshot,
        "timestamp": current.timestamp,
    }
    for role, each in signed.items():
        if each is None:
            continue
        if each.expires <= now:
            found.append(
                Finding(
                    f"the {role} signatures expired on {format_time(each.expires)}: cameras refuse all of it",
                    RENEW[role],
                )
            )
        elif each.expires - now < timedelta(days=_EARLY.get(role, 0)):
            found.append(
                Finding(
                    f"the {role} signatures expire on {format_time(each.expires)}", RENEW[role], serious=False
                )
            )
    sizes = {path: (file.length, LARGEST) for path, file in current.files.items() if _is_channel(path)}
    if current.targets:
        name = f"metadata/{current.version}.targets.json"
        sizes[name] = ((repository.folder / name).stat().st_size, LARGEST_TARGETS)
    for name, (size, largest) in sizes.items():
        if size > _NEARLY * largest:
            found.append(
                Finding(
                    f"{name} has {size} bytes, and cameras read {largest} at most",
                    "drop old releases with osnet-edge rollout RELEASE --drop",
                    serious=size > largest,
                )
            )
    return found


def _is_channel(path: str) -> bool:
    return path.startswith(target_of("").split("/")[0] + "/")


def _is_newer(name: str, current: Current) -> bool:
    """Return whether an unfinished file has a higher version than the one in place; others are forgotten."""
    snapshot = current.snapshot.version if current.snapshot else 0
    return int(name.split(".")[0]) > (current.version if ".targets." in name else snapshot)
