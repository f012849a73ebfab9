"""Options of commands that sign: key files and passphrases."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from osnet_edge.cli.paths import KEY, REPOSITORY, MadeFolder, OutputFile
from osnet_edge.cli.progress import step
from osnet_edge.cli.replacing import DRAFT_JSON, force_option
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from osnet_edge.ship.publish.repository import Repository

F = TypeVar("F", bound=Callable[..., Any])
KEY_HELP = "A file, or env:NAME for a variable that holds it."


def _repository_option(kind: click.ParamType) -> Callable[[F], F]:  # type: ignore[type-arg]
    return click.option(
        "--repo", "repository", type=kind, required=True, metavar="DIR", help="The repository's folder."
    )


repository_option = _repository_option(REPOSITORY)
#: For the commands that make it.
new_repository_option = _repository_option(MadeFolder())
channel_option = click.option(
    "--channel", default="stable", show_default=True, help="Channel of the releases."
)


class Given(click.types.StringParamType):
    """Text that is not empty, as it would be from an unset variable in a script."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        """Return the text, or refuse it."""
        if not str(value).strip():
            self.fail("expected a value, got an empty one; is a variable not set?", param, context)
        return str(value)


def refuse_empty(command: click.Command) -> click.Command:
    """Refuse empty values of all options and arguments of a command that take text."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = Given()
    return command


def signing_options(command: F) -> F:
    """Add the options for signing targets metadata: keys, or a draft if they are elsewhere, and expiry."""
    for option in (
        click.option(
            "--targets-key",
            "targets",
            type=KEY,
            multiple=True,
            metavar="KEY",
            help=f"Targets key, signs packages. {KEY_HELP}",
        ),
        click.option(
            "--online-key",
            "online",
            type=KEY,
            metavar="KEY",
            help=f"Online key, signs the current state. {KEY_HELP}",
        ),
        click.option(
            "--draft",
            type=OutputFile(DRAFT_JSON),
            metavar="FILE",
            help="Write a draft, to be signed with targets keys on another machine.",
        ),
        force_option(),
        click.option(
            "--expires", type=float, metavar="DAYS", help="Validity of the targets' signatures; default 180."
        ),
    ):
        command = option(command)
    return command


def open_repository(folder: str, **days: float | None) -> Repository:
    """Open a repository, with another validity of new signatures, in days, if given."""
    from osnet_edge.ship.publish.repository import Repository
    from osnet_edge.ship.publish.signers import Expiry

    given = {role: value for role, value in days.items() if value is not None}
    if any(not 0 < value <= 3660 for value in given.values()):
        days_given = ", ".join(f"{value:g}" for value in given.values())
        raise InputError(f"expected --expires as days, more than 0 and up to ten years; got {days_given}")
    return Repository(Path(folder), Expiry(**given))


def open_keys(places: Iterable[str]) -> list[CryptoSigner]:
    """Open private keys; ask for a passphrase if a key is encrypted and a terminal is there."""
    from osnet_edge.ship.publish import keys

    def ask(place: str) -> str:
        typed: str = click.prompt(f"passphrase of {place}", hide_input=True, err=True)
        return typed

    return keys.open_keys(places, ask if sys.stdin.isatty() else None)


class Signing:
    """The keys of a command that changes targets, opened before any work is done.

    Args:
        targets: files or variables of the targets keys.
        online: file or variable of the online key.
        draft: file to write for signing with keys on another machine.

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
        """Sign and install the new metadata, or write the draft; return whether it is installed."""
        from osnet_edge.ship.publish.signed import sign, write_draft

        sign(made, self._targets)
        if self._draft is None:
            repository.install_targets(made, self._online)
            warn(repository)
            return True
        write_draft(Path(self._draft), made)
        click.echo(
            f"{self._draft}: to be signed with osnet-edge keys sign, and put in place with keys install"
        )
        return False


def warn(repository: Repository) -> bool:
    """Warn on standard error of what expires soon or grows too large; return whether cameras refuse it."""
    from osnet_edge.ship.publish.check import warnings_of

    found = warnings_of(repository)
    for each in found:
        step(f"warning: {each.what}; {each.repair}")
    return any(each.serious for each in found)
