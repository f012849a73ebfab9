"""`osnet-edge device`: the agent on a camera; a timer runs `update`, people run the other commands."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from osnet_edge.cli.group import CommandGroup
from osnet_edge.cli.options import json_flag
from osnet_edge.cli.paths import STORE, UNITS, InputPath, LaterFile, MadeFolder, OutputFile
from osnet_edge.cli.progress import shares, step
from osnet_edge.cli.replacing import STATUS_TEXT, force_option
from osnet_edge.runtime.errors import InputError, printable
from osnet_edge.runtime.files import write_aside
from osnet_edge.ship.device.store import DEFAULT_STORE

if TYPE_CHECKING:
    from osnet_edge.ship.device.by_hand import HandAgent
    from osnet_edge.ship.device.config import Health
    from osnet_edge.ship.device.state import Event

F = TypeVar("F", bound=Callable[..., Any])
#: Outcomes that leave the camera with the right release, or on the way to it.
_WELL = ("installed", "current", "waiting", "trial")
_LIMITS: tuple[tuple[str, str, str], ...] = (
    ("--package-mb", "MB", "Largest package; default 256."),
    ("--reserve-mb", "MB", "Disk space to keep free; default 64."),
    ("--metadata-s", "SECONDS", "Time limit for one file of metadata; default 120."),
    ("--download-s", "SECONDS", "Time limit for one archive; default 3600."),
    ("--prove-s", "SECONDS", "Time limit for loading and verifying an engine; default 120."),
    ("--prove-mb", "MB", "Memory limit for loading and verifying; default 2048."),
    ("--build-s", "SECONDS", "Time limit for building an engine on the device; default 3600."),
    ("--build-mb", "MB", "Memory limit for building; default 4096."),
    ("--latency-ms", "MS", "Largest latency per image, p50; default: no limit."),
)


def _store_option(kind: click.ParamType) -> Callable[[F], F]:  # type: ignore[type-arg]
    return click.option(
        "--store",
        type=kind,
        default=DEFAULT_STORE,
        envvar="OSNET_EDGE_STORE",
        show_default=True,
        metavar="DIR",
        help="The camera's store.",
    )


store_option = _store_option(STORE)


def _limit_options(command: F) -> F:
    for name, metavar, words in reversed(_LIMITS):
        command = click.option(name, type=float, metavar=metavar, help=words)(command)
    return command


@click.group(cls=CommandGroup)
def device() -> None:
    """Update a camera's engine, and roll back if the new one fails.

    \b
    Example:
      osnet-edge device init --url https://engines.example.com --root root.json --device camera-7
      osnet-edge device update
      osnet-edge device status
    """


@device.command()
@_store_option(MadeFolder())
@click.option("--device", required=True, metavar="NAME", help="The device's name in the fleet.")
@click.option(
    "--url", default="", help="URL of the repository; leave out if engines come only by `osnet-edge ship`."
)
@click.option(
    "--root",
    type=InputPath("root metadata, N.root.json"),
    metavar="FILE",
    help="Root metadata to trust, N.root.json; required with --url.",
)
@click.option("--model", metavar="NAME", help="Device model; default: read from the board.")
@click.option(
    "--channel", default="stable", show_default=True, help="Channel whose releases the device installs."
)
@click.option(
    "--ring",
    default="default",
    show_default=True,
    help="Ring (part of the fleet) that the device belongs to.",
)
@click.option(
    "--prefer",
    type=click.Choice(["fast", "accurate"]),
    default="fast",
    show_default=True,
    help="How to choose among several packages that fit, by their bench results.",
)
@click.option(
    "--probe", metavar="COMMAND", help="Health check of a new engine: a command that exits 0 if all is well."
)
@click.option(
    "--heartbeat",
    type=LaterFile(),
    metavar="FILE",
    help="Health check: the file that FollowingEmbedder writes.",
)
@click.option(
    "--notify", metavar="COMMAND", help="Command to run after the link was switched, to notify a program."
)
@click.option("--manual", is_flag=True, help="Health check: a person runs osnet-edge device confirm.")
@click.option(
    "--window",
    type=float,
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a new engine is watched before it is kept.",
)
@click.option(
    "--interval",
    type=float,
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between health checks.",
)
@_limit_options
@click.option(
    "--systemd",
    type=UNITS,
    metavar="DIR",
    help="Also write systemd units to DIR, such as /etc/systemd/system.",
)
def init(
    store: str,
    device: str,
    url: str,
    root: str | None,
    model: str | None,
    channel: str,
    ring: str,
    prefer: str,
    probe: str | None,
    heartbeat: str | None,
    notify: str | None,
    manual: bool,
    window: float,
    interval: float,
    systemd: str | None,
    **limits: float | None,
) -> None:
    """Create a camera's store, or change its settings; engines and history stay.

    \b
    Example:
      osnet-edge device init --url https://engines.example.com --root 1.root.json --device camera-7 \\
          --ring canary --heartbeat /run/osnet-edge/heartbeat --systemd /etc/systemd/system
    """
    from osnet_edge.ship.device.config import SCHEMA_VERSION, DeviceConfig, Limits, split_command
    from osnet_edge.ship.device.facts import find_model
    from osnet_edge.ship.device.setup import set_up, write_units
    from osnet_edge.ship.device.store import Store

    place = Store(Path(store).absolute())
    if url and root is None and not place.trusted_root.is_file():
        raise InputError("expected --root FILE with --url: the root metadata that this camera will trust")
    config = DeviceConfig(
        SCHEMA_VERSION,
        device,
        url,
        model or find_model(),
        channel,
        ring,
        cast("Any", prefer),
        Limits(**{name: value for name, value in limits.items() if value is not None}),
        replace(
            _health(probe, heartbeat, manual, window, interval),
            notify=split_command("--notify", notify or ""),
        ),
    )
    if set_up(place, config, Path(root) if root else None):
        click.echo("moved to another repository; the next update installs its release")
    click.echo(f"{place.root}: {device}, a {config.model} in the ring {ring} of {channel}")
    if systemd:
        for unit in write_units(Path(systemd), place.root):
            click.echo(f"wrote {unit}")
        click.echo("now: systemctl daemon-reload && systemctl enable --now osnet-edge-update.timer")


@device.command()
@store_option
@click.option("--retry", is_flag=True, help="Try releases again that failed on this device.")
@click.option(
    "--forget-versions",
    is_flag=True,
    help="Forget which versions of the repository the journal has seen, if it was changed by hand.",
)
@click.option(
    "--wait",
    type=float,
    default=0,
    metavar="SECONDS",
    help="How long to wait for another running update; default 0.",
)
@json_flag
def update(store: str, retry: bool, forget_versions: bool, wait: float, as_json: bool) -> int:
    """Install the release that this camera should have.

    The exit code is 0 if the camera has this release or is not in its share yet, and 1 if an update was
    refused or rolled back.

    \b
    Example:
      osnet-edge device update --json
    """
    if not 0 <= wait < math.inf:
        raise InputError(f"expected --wait as a number of seconds, 0 or more, got {wait:g}")
    with _agent(store) as agent:
        event = agent.update(retry=retry, forget=forget_versions, wait=wait)
    return _report(store, event, as_json)


@device.command()
@store_option
@click.option("--prometheus", is_flag=True, help="Print Prometheus text instead of JSON.")
@click.option(
    "-o",
    "--output",
    type=OutputFile(STATUS_TEXT),
    metavar="FILE",
    help="Write the status to a file, atomically.",
)
@force_option()
def status(store: str, prometheus: bool, output: str | None) -> None:
    """Show this camera's engine and state, as one line of JSON.

    \b
    Example:
      osnet-edge device status
      osnet-edge device status --prometheus -o /var/lib/node_exporter/osnet_edge.prom
    """
    from osnet_edge.ship.device.status import read_status, to_line, to_prometheus
    from osnet_edge.ship.device.store import Store

    found = read_status(Store(Path(store)))
    text = to_prometheus(found) if prometheus else to_line(found) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    with write_aside(output) as partial:
        partial.write_text(text, encoding="utf-8")
        # The collector runs as another user.
        partial.chmod(0o644)


@device.command()
@store_option
@json_flag
def confirm(store: str, as_json: bool) -> int:
    """Confirm the new engine: the device keeps it.

    \b
    Example:
      osnet-edge device confirm
    """
    with _agent(store) as agent:
        event = agent.confirm()
    return _report(store, event, as_json)


@device.command()
@store_option
@click.option("--why", default="asked for on the device", help="Reason to show in the status.")
@json_flag
def rollback(store: str, why: str, as_json: bool) -> int:
    """Roll back to the previous engine, and never install this one again.

    \b
    Example:
      osnet-edge device rollback --why "boxes flicker"
    """
    with _agent(store) as agent:
        event = agent.rollback(printable(why))
    _report(store, event, as_json)
    return 0


@device.command()
@click.argument("archive", type=InputPath("an archive of a package", but="-"))
@store_option
@click.option("--release", default="by-hand", show_default=True, help="Name of the release.")
@click.option("--package", default="by-hand", show_default=True, help="Name of the package in it.")
@click.option(
    "--bytes", "size", type=int, metavar="N", help="Size of an archive read from standard input (-)."
)
@json_flag
def install(archive: str, store: str, release: str, package: str, size: int | None, as_json: bool) -> int:
    """Install an ARCHIVE by hand, with all checks of an update. `osnet-edge ship` runs this on the host.

    \b
    Example:
      osnet-edge device install osnet.tar --release bench-3
    """
    from osnet_edge.ship.device.config import check_name

    check_name("release", release)
    check_name("package", package)
    with _agent(store) as agent:
        if archive == "-":
            if size is None:
                raise InputError("expected --bytes N, the size of the archive on standard input, got none")
            event = agent.install_stream(sys.stdin.buffer, size, release, package)
        elif Path(archive).is_file():
            event = agent.install(Path(archive), release, package)
        else:
            raise InputError(f"expected an archive, found no file at {archive}")
    return _report(store, event, as_json)


@device.command()
@store_option
@click.option("--needs", required=True, metavar="JSON", help="Requirements of the package.")
@click.option("--bytes", "size", type=int, required=True, metavar="N", help="Size of its archive.")
def fits(store: str, needs: str, size: int) -> int:
    """Check whether a package fits this device; changes nothing. `osnet-edge ship --dry-run` runs this.

    \b
    Example:
      osnet-edge device fits --needs '{"backend": "onnxruntime"}' --bytes 1000000
    """
    from osnet_edge.runtime.package.schema import parse_document
    from osnet_edge.ship.requirements import Requirements

    asked = parse_document(Requirements, needs, "--needs", None, "expected an object")
    with _agent(store) as agent:
        why = agent.fits(asked, size)
    click.echo(json.dumps({"fits": not why, "why": why}))
    return int(bool(why))


def _health(probe: str | None, heartbeat: str | None, manual: bool, window: float, interval: float) -> Health:
    from osnet_edge.ship.device.config import Health, split_command

    if sum((probe is not None, heartbeat is not None, manual)) > 1:
        raise InputError("expected one of --probe, --heartbeat and --manual, got several")
    if probe is not None:
        # An empty one, of a variable that is not set, must not pass for none.
        return Health("probe", window, interval, probe=split_command("--probe", probe))
    if heartbeat is not None:
        return Health("heartbeat", window, interval, heartbeat=heartbeat)
    return Health("manual" if manual else "proof", window, interval)


@contextmanager
def _agent(store: str) -> Iterator[HandAgent]:
    """Yield an agent that shows its progress while the block runs."""
    from osnet_edge.ship.device.by_hand import HandAgent
    from osnet_edge.ship.device.store import Store

    with shares() as progress:
        yield HandAgent(Store(Path(store).absolute()), say=step, progress=progress)


def _report(store: str, event: Event, as_json: bool) -> int:
    from osnet_edge.ship.device.status import read_status
    from osnet_edge.ship.device.store import Store

    found = read_status(Store(Path(store)))
    if as_json:
        document = {"event": asdict(event), **asdict(found)}
        # Escaped: a terminal obeys control characters beyond ASCII too.
        click.echo(json.dumps(document, separators=(",", ":")))
    else:
        reason = f" ({event.reason})" if event.reason else ""
        why = f": {event.why}" if event.why else ""
        proof = ", ".join(f"{name} {value:.3g}" for name, value in found.proof.items())
        click.echo(printable(f"{event.what} {event.release}".rstrip() + reason + why))
        serving = f"serving {found.release or 'nothing'}" + (f" ({found.package}; {proof})" if proof else "")
        click.echo(printable(serving))
    return 0 if event.what in _WELL else 1
