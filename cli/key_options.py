"""Options of commands that sign: where the keys are, and how a passphrase comes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from osnet_edge.ship.publish.repository import Repository

F = TypeVar("F", bound=Callable[..., Any])
KEY_HELP = "A file, or env:NAME for a variable that holds it."

repository_option = click.option(
    "--repo", "repository", required=True, metavar="DIR", help="The repository's folder."
)
channel_option = click.option("--channel", default="stable", show_default=True, help="Whose releases.")


def signing_options(command: F) -> F:
    """Add what changing targets needs: keys, or a draft for keys that are elsewhere; and expiry."""
    for option in (
        click.option(
            "--targets-key", "targets", multiple=True, metavar="KEY", help=f"Signs packages. {KEY_HELP}"
        ),
        click.option("--online-key", "online", metavar="KEY", help=f"Signs what is now. {KEY_HELP}"),
        click.option("--draft", metavar="FILE", help="Write what the targets' keys must sign, elsewhere."),
        click.option(
            "--expires", type=float, metavar="DAYS", help="Of the targets' signatures; default 180."
        ),
    ):
        command = option(command)
    return command


def open_repository(folder: str, **days: float | None) -> Repository:
    """Open a repository, with other days of expiry where they are given."""
    from osnet_edge.ship.publish.repository import Expiry, Repository

    given = {role: value for role, value in days.items() if value is not None}
    if any(not 0 < value <= 3660 for value in given.values()):
        raise InputError(f"expected days of expiry of up to ten years, got {given}")
    return Repository(Path(folder), Expiry(**given))


def open_keys(places: Iterable[str]) -> list[CryptoSigner]:
    """Open private keys, asking for a passphrase where one is encrypted and somebody is there to type it."""
    from osnet_edge.ship.publish import keys

    def ask(place: str) -> str:
        typed: str = click.prompt(f"passphrase of {place}", hide_input=True, err=True)
        return typed

    return keys.open_keys(places, ask if sys.stdin.isatty() else None)


class Signing:
    """The keys of a command that changes targets, opened before any work is done.

    Args:
        targets: where the targets' keys are.
        online: where the online key is.
        draft: a file for what keys that are elsewhere must sign.

    Raises:
        InputError: a key cannot be opened, or there are neither keys nor a draft.
    """

    def __init__(self, targets: tuple[str, ...], online: str | None, draft: str | None) -> None:
        if draft is None and (not targets or online is None):
            raise InputError(
                "expected --targets-key and --online-key to sign with, or --draft FILE for keys "
                "that are elsewhere"
            )
        self._targets = open_keys(targets)
        self._online = [] if draft or online is None else open_keys([online])
        self._draft = draft

    def finish(self, repository: Repository, made: Any) -> bool:
        """Sign and install what was made, or write it down; return whether it is in place."""
        from osnet_edge.ship.publish.repository import sign, write_draft

        sign(made, self._targets)
        if self._draft is None:
            repository.install_targets(made, self._online)
            return True
        write_draft(Path(self._draft), made)
        click.echo(
            f"{self._draft}: to be signed with osnet-edge keys sign, and put in place with keys install"
        )
        return False
