"""Packages into a release of a channel, and decisions about releases: each is a new signed document."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, TargetFile, Targets

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.recipe import Recipe
from osnet_edge.ship.channel import (
    SCHEMA_VERSION,
    Artifact,
    Channel,
    Release,
    Rollout,
    dump_channel,
    format_time,
    parse_channel,
    target_of,
)
from osnet_edge.ship.device.config import check_name
from osnet_edge.ship.publish.archive import Packed, write_archive
from osnet_edge.ship.publish.repository import Repository
from osnet_edge.ship.requirements import narrow


@dataclass(frozen=True)
class Measured:
    """What the bench measured of a package; None where it did not."""

    mean_ap: float | None = None
    rank1: float | None = None
    latency_ms: float | None = None


def read_channel(repository: Repository, name: str) -> Channel:
    """Read a channel of a repository; one that nothing was published to is empty.

    Raises:
        InputError: the document is of another version.
    """
    check_name("channel", name)
    target = target_of(name)
    if target not in repository.files():
        return Channel(SCHEMA_VERSION, name, ())
    return parse_channel(repository.content(target), target)


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
    """Copy packages into a repository, and draft the metadata by which a channel offers them.

    Args:
        repository: where to.
        channel: which releases they join.
        release: a new one, or one that gets more packages, for further kinds of devices.
        packages: folders of packages and recipes, with what the bench measured.
        requirements: what `--for` says, see `osnet_edge.ship.requirements`.
        rollout: who takes a new release when; None for everybody at once.
        progress: called with a line for each step.

    Returns:
        The targets metadata, to be signed and installed.

    Raises:
        InputError: a package cannot be used, or the release has one of its name already.
    """
    check_name("release", release)
    before = read_channel(repository, channel)
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
            files.append(repository.put(f"packages/{release}/{name}.tar", archive))
            offers.append(_artifact(name, files[-1], packed, requirements, measured))
    number = before.releases[-1].number + 1 if before.releases else 1
    made = known or Release(
        release, number, format_time(datetime.now(timezone.utc)), (), rollout or Rollout()
    )
    made = replace(made, offers=(*made.offers, *offers))
    return _draft(repository, _with(before, made), files)


def draft_rollout(repository: Repository, channel: str, release: str, **changes: Any) -> Metadata[Targets]:
    """Draft the metadata of another decision about a release.

    Args:
        repository: where it is.
        channel: whose release.
        release: which one.
        changes: fields of `Rollout` that are decided anew; rings join those that it has.

    Raises:
        InputError: there is no such release, or it would go back to one that is none.
    """
    before = read_channel(repository, channel)
    known = before.named(release)
    if known is None:
        names = ", ".join(each.name for each in before.releases) or "none"
        raise InputError(f"expected a release of {channel} ({names}), got {release}")
    rings = {**known.rollout.rings, **changes.pop("rings", {})}
    rollout = replace(known.rollout, **changes, rings=rings)
    back = before.named(rollout.back_to) if rollout.back_to else None
    if rollout.back_to and (back is None or back.number >= known.number or back.rollout.recalled):
        raise InputError(f"expected an earlier release that stands to go back to, got {rollout.back_to}")
    return _draft(repository, _with(before, replace(known, rollout=rollout)), [])


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


def _draft(repository: Repository, channel: Channel, files: list[TargetFile]) -> Metadata[Targets]:
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / f"{channel.channel}.json"
        document.write_bytes(dump_channel(channel))
        index = repository.put(target_of(channel.channel), document)
    return repository.draft_targets([*files, index])
