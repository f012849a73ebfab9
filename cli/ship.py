"""`osnet-edge ship`: ship a package to a few devices by hand, over the system's ssh."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osnet_edge.cli.options import echo_json, json_flag
from osnet_edge.cli.paths import InputPath
from osnet_edge.cli.progress import bar, say
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError
from osnet_edge.ship.device.store import DEFAULT_STORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osnet_edge.ship.hosts import Shipped

#: A week: what waits for longer is not waited for.
_MOST_S = 604_800
_COLUMNS = ("host", "result", "release", "latency ms", "seconds", "why")


@click.command()
@click.argument("package", type=InputPath("an engine package or a recipe", "folder"))
@click.argument("hosts", nargs=-1, required=True)
@click.option(
    "--release", metavar="NAME", help="Name of the release on the hosts; default: the package's name."
)
@click.option("--store", default=DEFAULT_STORE, show_default=True, metavar="DIR", help="Store on each host.")
@click.option(
    "--remote",
    default="osnet-edge",
    show_default=True,
    metavar="COMMAND",
    help="Command osnet-edge on each host.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=16, show_default=True, help="Number of hosts in parallel."
)
@click.option(
    "--timeout",
    type=float,
    default=1800,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for each host.",
)
@click.option(
    "-F",
    "ssh_config",
    type=InputPath("an ssh configuration file"),
    metavar="FILE",
    help="ssh configuration file instead of the user's.",
)
@click.option("--dry-run", is_flag=True, help="Log in and check whether the package fits; change nothing.")
@json_flag
def ship(
    package: str,
    hosts: tuple[str, ...],
    release: str | None,
    store: str,
    remote: str,
    jobs: int,
    timeout: float,
    ssh_config: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Ship a PACKAGE or a recipe to HOSTS over ssh, and install it as an update does.

    Uses the system's ssh with its configuration, keys and agent. A host with an unknown key is refused. The
    exit code is the highest of all hosts.

    \b
    Example:
      osnet-edge ship osnet-orin root@cam-1 root@cam-2 cam-3 --dry-run
      osnet-edge ship osnet-orin root@cam-1 root@cam-2 cam-3
    """
    from osnet_edge.ship.device.config import check_name, split_command
    from osnet_edge.ship.hosts import Shipment, check_hosts, ship_to_all
    from osnet_edge.ship.publish.archive import write_archive

    hosts = check_hosts(hosts)
    if not split_command("--remote", remote):
        raise InputError("expected --remote as a command, got none")
    if not 0 < timeout <= _MOST_S:
        raise InputError(f"expected --timeout as 1 to {_MOST_S:,} seconds, got {timeout:g}")
    name = check_name("package", Path(package).resolve().name)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "package.tar"
        packed = write_archive(Path(package), archive)
        shipment = Shipment(
            archive,
            packed.needs,
            name,
            check_name("release", release or name),
            store,
            remote,
            ssh_config,
            timeout,
            dry_run,
        )
        total = 0 if dry_run else archive.stat().st_size * len(hosts)
        with bar(f"shipping to {counted(len(hosts), 'host')}", total, shown=not dry_run) as advance:
            results = ship_to_all(shipment, hosts, jobs, advance, say)
    if as_json:
        echo_json([vars(each) for each in results])
    else:
        _print(results)
    return max(each.code for each in results)


def _print(results: Sequence[Shipped]) -> None:
    from osnet_edge.bench.report.render import TextTable, aligned

    rows = [
        [
            each.host,
            each.result,
            each.release,
            "" if each.latency_ms is None else f"{each.latency_ms:.3g}",
            f"{each.seconds:.1f}",
            each.why,
        ]
        for each in results
    ]
    click.echo(aligned(TextTable(_COLUMNS, rows, words=len(_COLUMNS))), nl=False)
