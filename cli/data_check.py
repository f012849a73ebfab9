"""`osnet-edge data check`: counts the images of a set, and lists suspicious and unreadable ones."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import click

from osnet_edge.cli.options import echo_json, json_flag
from osnet_edge.cli.paths import SET, OutputFile
from osnet_edge.cli.progress import bar
from osnet_edge.cli.replacing import SHEET_PNG, force_option, marked_png
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.train.data import ReidSet
    from osnet_edge.train.data.check import SetReport

_HEADERS = ("split", "identities", "cameras", "images")


@click.command()
@click.argument("spec", type=SET, metavar="SET")
@click.option(
    "--sheet",
    type=OutputFile(SHEET_PNG),
    metavar="FILE.png",
    help="Draw a contact sheet: people in rows, cameras in columns.",
)
@force_option()
@click.option("--split", default=0, show_default=True, help="Index of the split, if the set has several.")
@click.option(
    "--seed", default=0, show_default=True, help="Seed that draws the splits of a set without fixed splits."
)
@json_flag
@click.pass_context
def check(context: click.Context, spec: str, sheet: str | None, split: int, seed: int, as_json: bool) -> None:
    """Open every image of SET, count them, and list problems.

    SET is a name in $OSNET_EDGE_DATA, a folder, a public set in a folder of another name such as
    msmt17=sets/MSMT17_V2, a CSV, or FOLDER::PATTERN such as 'cams::{camera}/{identity}_*.jpg'. If an image
    cannot be decoded, the exit code is 1.

    \b
    Example:
      osnet-edge data check synthetic-set --sheet sheet.png
    """
    from osnet_edge.runtime.files import write_aside
    from osnet_edge.train.data import DataWarning, count_splits, open_set
    from osnet_edge.train.data.check import check_set, count_files
    from osnet_edge.train.data.contact_sheet import draw_contact_sheet

    if sheet and not sheet.lower().endswith(".png"):
        raise InputError(f"expected --sheet as a file ending in .png, got {sheet}")
    with warnings.catch_warnings():
        # They are in the report.
        warnings.simplefilter("ignore", DataWarning)
        found, splits = open_set(spec, split=split, seed=seed), count_splits(spec)
    with bar("opening images", count_files(found)) as advance:
        report = check_set(found, advance)
    if sheet:
        with write_aside(sheet) as partial:
            draw_contact_sheet(found).save(partial, pnginfo=marked_png())
    if as_json:
        echo_json(_document(found, report, split, splits))
    else:
        _print(found, report, split, splits)
        if sheet:
            click.echo(f"{sheet}: a contact sheet")
    if report.unreadable:
        context.exit(1)


def _print(found: ReidSet, report: SetReport, split: int, splits: int) -> None:
    which = f", split {split} of {splits}" if splits > 1 else ""
    click.echo(f"{found.name} in {found.root}{which}, scored by {found.protocol}\n")
    rows = [_HEADERS] + [
        (s.split, f"{s.identities:,}", f"{s.cameras:,}", f"{s.pictures:,}") for s in report.splits
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        click.echo("  ".join([name.ljust(widths[0]), *cells]))
    click.echo()
    for text in report.warnings:
        click.echo(f"warning: {text}")
    for path, reason in report.unreadable:
        click.echo(f"unreadable: {reason if str(path) in reason else f'{path}: {reason}'}")
    click.echo(
        f"{counted(len(report.unreadable), 'image')} cannot be decoded"
        if report.unreadable
        else "every image can be decoded"
    )


def _document(found: ReidSet, report: SetReport, split: int, splits: int) -> dict[str, Any]:
    return {
        "name": found.name,
        "root": str(found.root),
        "protocol": found.protocol,
        "split": split,
        "splits_in_all": splits,
        "splits": {
            s.split: {"identities": s.identities, "cameras": s.cameras, "pictures": s.pictures}
            for s in report.splits
        },
        "warnings": list(report.warnings),
        "unreadable": [{"path": str(path), "reason": reason} for path, reason in report.unreadable],
    }
