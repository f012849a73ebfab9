"""Adding packages to releases, and changing rollouts: each change is a new signed document of a channel."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, TargetFile, Targets

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.recipe import Recipe
from osnet_edge.ship.channel import (
    LARGEST,
    SCHEMA_VERSION,
    Artifact,
    Channel,
    Release,
    Rollout,
    dump_channel,
    parse_channel,
    target_of,
)
from osnet_edge.ship.device.config import check_name
from osnet_edge.ship.device.store import UNKNOWN
from osnet_edge.ship.publish.archive import Packed, write_archive
from osnet_edge.ship.publish.repository import Current, Repository
from osnet_edge.ship.requirements import narrow
from osnet_edge.ship.times import format_time


@dataclass(frozen=True)
class Measured:
    """The bench results of a package; None for what was not measured."""

    mean_ap: float | None = None
    rank1: float | None = None
    latency_ms: float | None = None


def read_channel(repository: Repository, name: str, current: Current | None = None) -> Channel:
    """Read a channel of a repository; a channel without releases is empty.

    Args:
        repository: the repository.
        name: of the channel.
        current: the repository's current metadata; None reads them.

    Raises:
        InputError: the document is of another version, missing or damaged.
    """
    check_name("channel", name)
    target, current = target_of(name), current or repository.current()
    if target not in current.files:
        return Channel(SCHEMA_VERSION, name, ())
    return parse_channel(repository.content(target, current), target)


def channels_of(repository: Repository, current: Current) -> list[Channel]:
    """Read all channels of a repository."""
    folder = target_of("").split("/")[0] + "/"
    names = (
        path.removeprefix(folder).removesuffix(".json") for path in current.files if path.startswith(folder)
    )
    return [read_channel(repository, name, current) for name in sorted(names)]


def draft_release(
    repository: Repository,
    channel: str,
    release: str,
    packages: dict[Path, Measured],
    *,
    requirements: str = "",
    rollout: Rollout | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Metadata[Targets]:
    """Copy packages into a repository, and draft the metadata with which a channel offers them.

    Args:
        repository: the repository.
        channel: name of the channel.
        release: a new release, or an existing one that gets packages for further kinds of devices.
        packages: folders of packages and recipes, with their bench results.
        requirements: value of `--for`, see `osnet_edge.ship.requirements`.
        rollout: of a new release; None for all devices at once.
        progress: called with a line for each step.

    Returns:
        The targets metadata, to be signed and installed.

    Raises:
        InputError: a package cannot be used, the release has a package of this name already, or the release's
            name is reserved.
    """
    if check_name("release", release) == UNKNOWN:
        raise InputError(
            f"expected another name for the release than {UNKNOWN!r}, what a camera calls one that it cannot "
            "name"
        )
    current = repository.current()
    before = read_channel(repository, channel, current)
    known = before.named(release)
    if known and rollout is not None:
        raise InputError(f"{release} is out already; decide about it with osnet-edge rollout")
    files, offers = [], []
    with tempfile.TemporaryDirectory() as folder:
        for package, measured in packages.items():
            progress(f"packing {package}")
            name = check_name("package", package.resolve().name)
            archive = Path(folder) / f"{name}.tar"
            packed = write_archive(package, archive)
            files.append(repository.put(f"packages/{release}/{name}.tar", archive, current))
            offers.append(_artifact(name, files[-1], packed, requirements, measured))
    number = before.releases[-1].number + 1 if before.releases else 1
    made = known or Release(
        release, number, format_time(datetime.now(timezone.utc)), (), rollout or Rollout()
    )
    made = replace(made, offers=(*made.offers, *offers))
    return _draft(repository, current, _with(before, made), files)


def draft_rollout(repository: Repository, channel: str, release: str, **changes: Any) -> Metadata[Targets]:
    """Draft the metadata that change a release's rollout.

    Args:
        repository: the repository.
        channel: name of the channel.
        release: name of the release.
        changes: new values of fields of `Rollout`; rings are added to those that it has.

    Raises:
        InputError: there is no such release, or the release to return to does not exist or is recalled.
    """
    current = repository.current()
    before = read_channel(repository, channel, current)
    known = _known(before, release)
    rings = {**known.rollout.rings, **changes.pop("rings", {})}
    rollout = replace(known.rollout, **changes, rings=rings)
    back = before.named(rollout.back_to) if rollout.back_to else None
    if rollout.back_to and (back is None or back.number >= known.number or back.rollout.recalled):
        raise InputError(f"expected an earlier release that is not recalled for --to, got {rollout.back_to}")
    return _draft(repository, current, _with(before, replace(known, rollout=rollout)), [])


def draft_drop(repository: Repository, channel: str, release: str) -> Metadata[Targets]:
    """Draft the metadata without a release; once they are installed, its archives are deleted.

    Args:
        repository: the repository.
        channel: name of the channel.
        release: name of the release.

    Raises:
        InputError: there is no such release, it is the newest that is not recalled, or a recall leads to it.
    """
    current = repository.current()
    before = read_channel(repository, channel, current)
    known = _known(before, release)
    standing = [each for each in before.releases if not each.rollout.recalled]
    if standing and standing[-1] is known:
        raise InputError(
            f"{release} is the newest valid release of {channel}; publish another or recall it first"
        )
    for other in before.releases:
        if other.rollout.back_to == release:
            raise InputError(
                f"the recall of {other.name} sends cameras to {release}; drop {other.name} first, or recall "
                "it --to another"
            )
    after = replace(before, releases=tuple(each for each in before.releases if each is not known))
    others = [each for each in channels_of(repository, current) if each.channel != channel]
    kept = {offer.target for each in (after, *others) for other in each.releases for offer in other.offers}
    dropped = {offer.target for offer in known.offers} - kept
    return _draft(repository, current, after, [], dropped)


def _artifact(name: str, file: TargetFile, packed: Packed, requirements: str, measured: Measured) -> Artifact:
    return Artifact(
        name=name,
        target=file.path,
        kind="recipe" if isinstance(packed.about, Recipe) else "engine",
        bytes=packed.bytes,
        variant=packed.about.model.variant,
        precision=packed.about.precision,
        needs=narrow(packed.needs, requirements),
        mean_ap=measured.mean_ap,
        rank1=measured.rank1,
        latency_ms=measured.latency_ms,
    )


def _with(channel: Channel, release: Release) -> Channel:
    others = [each for each in channel.releases if each.name != release.name]
    return replace(channel, releases=tuple(sorted((*others, release), key=lambda each: each.number)))


def _known(channel: Channel, release: str) -> Release:
    known = channel.named(release)
    if known is None:
        names = ", ".join(each.name for each in channel.releases) or "none"
        raise InputError(f"expected a release of {channel.channel} ({names}), got {release}")
    return known


def _draft(
    repository: Repository,
    current: Current,
    channel: Channel,
    files: list[TargetFile],
    without: Iterable[str] = (),
) -> Metadata[Targets]:
    content = dump_channel(channel)
    if len(content) > LARGEST:
        raise InputError(
            f"cameras read a channel of {LARGEST} bytes at most, and {channel.channel} would have "
            f"{len(content)}: drop old releases with osnet-edge rollout RELEASE --drop"
        )
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / f"{channel.channel}.json"
        document.write_bytes(content)
        index = repository.put(target_of(channel.channel), document)
    return repository.draft_targets([*files, index], without, current)
