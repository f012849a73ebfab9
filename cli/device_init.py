"""`osnet-edge device init`: what a camera is told once, by a hand that was there."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from osnet_edge.runtime.errors import InputError
from osnet_edge.ship.device.store import DEFAULT_STORE

if TYPE_CHECKING:
    from osnet_edge.ship.device.config import Health, Limits

F = TypeVar("F", bound=Callable[..., Any])
_LIMITS: tuple[tuple[str, str, str], ...] = (
    ("--package-mb", "MB", "Largest package; default 256."),
    ("--reserve-mb", "MB", "Disk space that stays free; default 64."),
    ("--prove-s", "SECONDS", "For loading and proving an engine; default 120."),
    ("--prove-mb", "MB", "Memory for that; default 2048."),
    ("--build-s", "SECONDS", "For building an engine here; default 3600."),
    ("--build-mb", "MB", "Memory for that; default 4096."),
    ("--latency-ms", "MS", "What a picture may take at most, p50; default: anything."),
)


def store_option(command: F) -> F:
    """Add `--store`, the camera's folder."""
    return click.option(
        "--store",
        default=DEFAULT_STORE,
        envvar="OSNET_EDGE_STORE",
        show_default=True,
        metavar="DIR",
        help="The camera's store.",
    )(command)


def _limit_options(command: F) -> F:
    for name, metavar, words in reversed(_LIMITS):
        command = click.option(name, type=float, metavar=metavar, help=words)(command)
    return command


@click.command()
@store_option
@click.option("--device", required=True, metavar="NAME", help="Its name in the fleet.")
@click.option("--url", default="", help="Of the repository; none for a device that is shipped to by hand.")
@click.option("--root", metavar="FILE", help="The root metadata to trust, N.root.json; needed with --url.")
@click.option("--model", metavar="NAME", help="What kind of device it is; default: what its board says.")
@click.option("--channel", default="stable", show_default=True, help="Whose releases it takes.")
@click.option("--ring", default="default", show_default=True, help="Which part of the fleet it is in.")
@click.option(
    "--prefer",
    type=click.Choice(["fast", "accurate"]),
    default="fast",
    show_default=True,
    help="What the best of several fitting packages is, by the bench.",
)
@click.option(
    "--probe", metavar="COMMAND", help="Judge a new engine by a command that exits 0 when all is well."
)
@click.option("--heartbeat", metavar="FILE", help="Judge it by the file that FollowingEmbedder writes.")
@click.option("--notify", metavar="COMMAND", help="Run when the link was turned, to tell a program of it.")
@click.option("--manual", is_flag=True, help="Judge it by a person: osnet-edge device confirm.")
@click.option("--window", type=float, default=60.0, show_default=True, metavar="SECONDS", help="Of judging.")
@click.option(
    "--interval", type=float, default=5.0, show_default=True, metavar="SECONDS", help="Between looks."
)
@_limit_options
@click.option("--systemd", metavar="DIR", help="Write units too, such as to /etc/systemd/system.")
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
    """Make a camera's store, or tell an existing one anew; engines and history stay.

    \b
    Example:
      osnet-edge device init --url https://engines.example.com --root 1.root.json --device camera-7 \\
          --ring canary --heartbeat /run/osnet-edge/heartbeat --systemd /etc/systemd/system
    """
    from osnet_edge.runtime.files import write_file
    from osnet_edge.ship.device.config import SCHEMA_VERSION, DeviceConfig, write_config
    from osnet_edge.ship.device.facts import find_model
    from osnet_edge.ship.device.store import Store
    from osnet_edge.ship.device.systemd import write_units

    place = Store(Path(store).absolute())
    if url and root is None and not place.trusted_root.is_file():
        raise InputError("expected --root FILE with --url: the root metadata that this camera shall trust")
    config = DeviceConfig(
        SCHEMA_VERSION,
        device,
        url,
        model or find_model(),
        channel,
        ring,
        cast("Any", prefer),
        _limits(limits),
        replace(_health(probe, heartbeat, manual, window, interval), notify=tuple(shlex.split(notify or ""))),
    )
    trusted = _read_root(Path(root)) if root else None
    place.make()
    if trusted:
        write_file(place.trusted_root, trusted)
    # Last: a store without it is not begun.
    write_config(place.config_file, config)
    click.echo(f"{place.root}: {device}, a {config.model} in the ring {ring} of {channel}")
    if systemd:
        program = shutil.which("osnet-edge") or str(Path(sys.executable).with_name("osnet-edge"))
        for unit in write_units(Path(systemd), place.root, program):
            click.echo(f"wrote {unit}")
        click.echo("now: systemctl daemon-reload && systemctl enable --now osnet-edge-update.timer")


def _limits(given: dict[str, float | None]) -> Limits:
    from osnet_edge.ship.device.config import Limits

    return Limits(**{name: value for name, value in given.items() if value is not None})


def _health(probe: str | None, heartbeat: str | None, manual: bool, window: float, interval: float) -> Health:
    from osnet_edge.ship.device.config import Health

    if sum((bool(probe), bool(heartbeat), manual)) > 1:
        raise InputError("expected one of --probe, --heartbeat and --manual, got several")
    if probe:
        return Health("probe", window, interval, probe=tuple(shlex.split(probe)))
    if heartbeat:
        return Health("heartbeat", window, interval, heartbeat=heartbeat)
    return Health("manual" if manual else "proof", window, interval)


def _read_root(path: Path) -> bytes:
    """Read root metadata, and hold it to its own signatures: a wrong file shows now, not later."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root

    try:
        content = path.read_bytes()
        root: Metadata[Root] = Metadata.from_bytes(content)
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except OSError as error:
        raise InputError(f"cannot read the root metadata {path}: {error.strerror}") from None
    except (RepositoryError, ValueError, AttributeError) as error:
        # Metadata of another role names no keys, or not the root's.
        raise InputError(f"expected {path} as signed TUF root metadata, N.root.json, got {error}") from None
    return content
