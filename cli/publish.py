"""`osnet-edge publish` and `osnet-edge rollout`: publish packages to a fleet, and control the rollout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from osnet_edge.cli.key_options import (
    Signing,
    channel_option,
    open_repository,
    refuse_empty,
    repository_option,
    signing_options,
)
from osnet_edge.cli.options import echo_json, json_flag
from osnet_edge.cli.paths import RESULT, InputPath
from osnet_edge.cli.progress import step
from osnet_edge.runtime.errors import InputError, printable
from osnet_edge.runtime.package.schema import to_json

if TYPE_CHECKING:
    from osnet_edge.ship.channel import Channel
    from osnet_edge.ship.publish.releases import Measured
    from osnet_edge.ship.publish.repository import Repository
    from osnet_edge.ship.requirements import Requirements


@refuse_empty
@click.command()
@click.argument(
    "packages", nargs=-1, required=True, type=InputPath("an engine package or a recipe", "folder")
)
@repository_option
@channel_option
@click.option(
    "--release", required=True, metavar="NAME", help="A new release, or an existing one to add packages to."
)
@click.option(
    "--for",
    "requirements",
    metavar="WHAT,...",
    help="Extra requirements: device models, trt-10.3, sm87, mem-4g.",
)
@click.option(
    "--bench",
    "results",
    type=RESULT,
    multiple=True,
    metavar="JSON",
    help="Result of osnet-edge bench, for accuracy and latency.",
)
@click.option(
    "--share",
    type=float,
    metavar="PERCENT",
    help="Share of the fleet that installs the release; default 100.",
)
@click.option(
    "--ring", "rings", multiple=True, metavar="NAME=PERCENT", help="A different share for one ring."
)
@click.option("--not-before", metavar="TIME", help="Start time, such as 2026-11-23T06:00:00Z.")
@signing_options
def publish(
    packages: tuple[str, ...],
    repository: str,
    channel: str,
    release: str,
    requirements: str | None,
    results: tuple[str, ...],
    share: float | None,
    rings: tuple[str, ...],
    not_before: str | None,
    targets: tuple[str, ...],
    online: str | None,
    draft: str | None,
    expires: float | None,
) -> None:
    """Publish PACKAGES (engines or recipes) as a release.

    The repository is a folder of static files, for any web server, object store or CDN.

    \b
    Example:
      osnet-edge publish osnet-cpu --repo fleet --release 2026.11 --bench result.json --share 10 \\
          --ring canary=100 --targets-key targets.key --online-key online.key
    """
    from osnet_edge.ship.channel import Rollout
    from osnet_edge.ship.publish.releases import draft_release

    place, signing = open_repository(repository, targets=expires), Signing(targets, online, draft)
    asked = share is not None or rings or not_before is not None
    rollout = Rollout(100.0 if share is None else share, _rings(rings), not_before or "")
    measured = _measured(packages, results)
    with place.writing():
        made = draft_release(
            place,
            channel,
            release,
            measured,
            requirements=requirements or "",
            rollout=rollout if asked else None,
            progress=step,
        )
        installed = signing.finish(place, made)
    if installed:
        click.echo(
            f"{repository}: {', '.join(Path(each).name for each in packages)} in {release} of {channel}"
        )


@refuse_empty
@click.command()
@click.argument("release", required=False)
@repository_option
@channel_option
@click.option("--share", type=float, metavar="PERCENT", help="Share of the fleet that installs the release.")
@click.option(
    "--ring", "rings", multiple=True, metavar="NAME=PERCENT", help="A different share for one ring."
)
@click.option("--not-before", metavar="TIME", help="Start time; now: start at once.")
@click.option(
    "--pause/--resume", default=None, help="Stop or continue installing the release on more devices."
)
@click.option("--recall", metavar="WHY", help="Recall the release: devices that have it go back.")
@click.option("--to", "back", metavar="RELEASE", help="With --recall: the release to go back to.")
@click.option("--drop", is_flag=True, help="Forget an old release, and delete its archives.")
@click.option(
    "--check", is_flag=True, help="Without RELEASE: examine the repository, and say how to repair it."
)
@signing_options
@json_flag
def rollout(
    release: str | None,
    repository: str,
    channel: str,
    share: float | None,
    rings: tuple[str, ...],
    not_before: str | None,
    pause: bool | None,
    recall: str | None,
    back: str | None,
    drop: bool,
    check: bool,
    targets: tuple[str, ...],
    online: str | None,
    draft: str | None,
    expires: float | None,
    as_json: bool,
) -> int:
    """Change the rollout of a RELEASE; without RELEASE, show all releases.

    \b
    Example:
      osnet-edge rollout --repo fleet
      osnet-edge rollout 2026.11 --repo fleet --share 50 --targets-key targets.key --online-key online.key
      osnet-edge rollout 2026.11 --repo fleet --recall "boxes flicker" --to 2026.10 \\
          --targets-key targets.key --online-key online.key
      osnet-edge rollout --repo fleet --check
    """
    from osnet_edge.ship.publish.releases import draft_drop, draft_rollout, read_channel

    place = open_repository(repository, targets=expires)
    decides = rings or any(each is not None for each in (share, not_before, pause, recall, back))
    if check:
        if release or decides or drop:
            raise InputError("expected --check without a release and without a decision")
        return _check(place, as_json)
    if release is None:
        if decides or drop:
            raise InputError("expected a RELEASE with a decision, got none; is a variable not set?")
        _show(read_channel(place, channel), as_json)
        return 0
    if drop and decides:
        raise InputError("expected --drop without another decision")
    if back and not recall:
        raise InputError("expected --recall WHY with --to")
    if not decides and not drop:
        raise InputError(
            "expected a decision: --share, --ring, --not-before, --pause, --resume, --recall or --drop"
        )

    signing = Signing(targets, online, draft)

    decided = {
        "share": share,
        "rings": _rings(rings),
        "not_before": None if not_before is None else not_before.removeprefix("now"),
        "paused": pause,
        "recalled": printable(recall) if recall else recall,
        "back_to": back,
    }
    changes = {field: value for field, value in decided.items() if value is not None}
    with place.writing():
        if drop:
            made = draft_drop(place, channel, release)
        else:
            made = draft_rollout(place, channel, release, **changes)
        if signing.finish(place, made):
            _show(read_channel(place, channel), as_json)
    return 0


def _check(place: Repository, as_json: bool) -> int:
    from osnet_edge.ship.publish.check import examine

    found = examine(place)
    if as_json:
        echo_json([to_json(each) for each in found])
    else:
        for each in found:
            click.echo(f"{'damaged' if each.serious else 'warning'}: {each.what}; {each.repair}")
        if not found:
            click.echo(f"{place.folder}: complete, signed by today's keys, and not about to expire")
    return int(any(each.serious for each in found))


def _show(channel: Channel, as_json: bool) -> None:
    if as_json:
        echo_json(to_json(channel))
        return
    for release in reversed(channel.releases):
        how = release.rollout
        rings = "".join(f", {share:g} % of {ring}" for ring, share in how.rings.items())
        state = f"recalled: {how.recalled}" if how.recalled else ("paused" if how.paused else "")
        begins = f", from {how.not_before}" if how.not_before else ""
        names = ", ".join(f"{artifact.name} ({_whom(artifact.needs)})" for artifact in release.offers)
        click.echo(f"{release.name:16} {how.share:g} %{rings}{begins} {state}".rstrip() + f"  {names}")


def _whom(needs: Requirements) -> str:
    return ", ".join(filter(None, (*needs.models, needs.machine))) or "any device"


def _rings(given: tuple[str, ...]) -> dict[str, float]:
    rings = {}
    for text in given:
        name, equals, share = text.partition("=")
        try:
            rings[name] = float(share)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"expected --ring NAME=PERCENT such as canary=100, got {text!r}")
    return rings


def _measured(packages: tuple[str, ...], results: tuple[str, ...]) -> dict[Path, Measured]:
    """Return the bench figures of each package, by its name."""
    from osnet_edge.bench.result.result import read_result
    from osnet_edge.ship.publish.releases import Measured

    read = [read_result(file) for file in results]
    found = {}
    for package in map(Path, packages):
        engines = [each for result in read for each in result.engines if each.name == package.resolve().name]
        if read and not engines:
            raise InputError(
                f"expected {package.name} among the engines of {', '.join(results)}, found it in none"
            )
        accuracy = next((each.accuracy for each in engines if each.accuracy), None)
        alone = next((batch for each in engines if (batch := each.at(1))), None)
        found[package] = Measured(
            accuracy.scores.mean_ap if accuracy else None,
            accuracy.scores.rank1 if accuracy else None,
            alone.latency.p50_ms if alone else None,
        )
    return found
