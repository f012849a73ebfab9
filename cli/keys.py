"""`osnet-edge keys`: create keys, draft the root, and sign on the machine that has the key."""

from __future__ import annotations

import os
from pathlib import Path

import click

from osnet_edge.cli.group import CommandGroup
from osnet_edge.cli.key_options import (
    KEY_HELP,
    Signing,
    new_repository_option,
    open_keys,
    open_repository,
    refuse_empty,
    repository_option,
    signing_options,
    warn,
)
from osnet_edge.cli.options import echo_json, json_flag, output_option
from osnet_edge.cli.paths import DRAFT, KEY, PUBLIC_KEY, OutputKey
from osnet_edge.cli.replacing import DRAFT_JSON
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError


@click.group(cls=CommandGroup)
def keys() -> None:
    """Create and rotate the keys that a fleet trusts.

    The root lists all other keys; several people sign it, offline. Targets keys sign packages and rollout
    decisions. The online key signs the current state of the repository, and is used every few days.

    \b
    Example:
      osnet-edge keys new alice.key --encrypt     # and bob.key, carol.key, each on its own machine
      osnet-edge keys new targets.key
      osnet-edge keys new online.key
      osnet-edge keys root --repo fleet --root alice.key.pub --root bob.key.pub --root carol.key.pub \\
          --threshold 2 --targets targets.key.pub --online online.key.pub -o root.draft
      osnet-edge keys sign root.draft --key alice.key  # then Bob, on his machine
      osnet-edge keys install root.draft --repo fleet
    """


@refuse_empty
@keys.command()
@click.argument("file", type=OutputKey())
@click.option(
    "--encrypt", is_flag=True, help="Encrypt with a passphrase: typed, or from OSNET_EDGE_KEY_PASSPHRASE."
)
def new(file: str, encrypt: bool) -> None:
    """Create a private key in FILE, and its public key in FILE.pub; copy only FILE.pub.

    \b
    Example:
      osnet-edge keys new targets.key --encrypt
    """
    from osnet_edge.ship.publish.keys import PASSPHRASE_VARIABLE, make_key, public_file

    passphrase = None
    if encrypt:
        passphrase = os.environ.get(PASSPHRASE_VARIABLE) or click.prompt(
            f"passphrase of {file}", hide_input=True, confirmation_prompt=True, err=True
        )
    key = make_key(Path(file), passphrase.encode() if passphrase else None)
    click.echo(
        f"{file}: key {key.keyid[:12]}, for its owner alone; its public half is {public_file(Path(file))}"
    )


@refuse_empty
@keys.command()
@new_repository_option
@click.option("--root", "root_keys", type=PUBLIC_KEY, multiple=True, metavar="PUB", help="Public root key.")
@click.option("--threshold", type=int, help="Number of root keys that must sign; 2 for the first root.")
@click.option("--targets", type=PUBLIC_KEY, multiple=True, metavar="PUB", help="Public targets key.")
@click.option(
    "--targets-threshold", type=int, help="Number of targets keys that must sign; 1 for the first root."
)
@click.option("--online", type=PUBLIC_KEY, multiple=True, metavar="PUB", help="Public online key.")
@click.option("--expires", type=float, metavar="DAYS", help="Validity of the root; default 365.")
@output_option("Draft", DRAFT_JSON)
def root(
    repository: str,
    root_keys: tuple[str, ...],
    threshold: int | None,
    targets: tuple[str, ...],
    targets_threshold: int | None,
    online: tuple[str, ...],
    expires: float | None,
    output: str,
) -> None:
    """Draft the next root metadata; keys and thresholds that are not named stay.

    To rotate the keys of a role, name all of its new keys.

    \b
    Example:
      osnet-edge keys root --repo fleet --root alice.key.pub --root bob.key.pub --root dora.key.pub \\
          --targets targets2.key.pub -o root.draft
      osnet-edge keys root --repo fleet -o root.draft     # the same keys for another year
    """
    from osnet_edge.ship.publish.keys import read_public
    from osnet_edge.ship.publish.signed import describe, write_draft
    from osnet_edge.ship.publish.signers import Signers

    place = open_repository(repository, root=expires)
    before = place.signers() if place.versions("root") else Signers.none()
    read = [tuple(read_public(Path(file)) for file in files) for files in (root_keys, targets, online)]
    for option, keys, known in zip(
        ("--root", "--targets", "--online"), read, (before.root, before.targets, before.online), strict=True
    ):
        if not keys and not known:
            raise InputError(f"expected {option} PUB: this is the first root, and has no keys to keep")
    signers = Signers(
        read[0] or before.root,
        before.root_threshold if threshold is None else threshold,
        read[1] or before.targets,
        before.targets_threshold if targets_threshold is None else targets_threshold,
        read[2] or before.online,
    ).checked()
    draft = place.draft_root(signers)
    write_draft(Path(output), draft)
    click.echo(
        f"{output}: root version {draft.signed.version}, until {draft.signed.expires:%Y-%m-%d}; to be signed"
    )
    for line in describe(draft):
        click.echo(f"  {line}")


@refuse_empty
@keys.command()
@click.argument("draft", type=DRAFT)
@click.option("--key", "places", type=KEY, multiple=True, required=True, metavar="KEY", help=KEY_HELP)
def sign(draft: str, places: tuple[str, ...]) -> None:
    """Sign a DRAFT, and show what it says; needs no network and no repository.

    \b
    Example:
      osnet-edge keys sign root.draft --key alice.key
      osnet-edge keys sign targets.draft --key env:TARGETS_KEY
    """
    from osnet_edge.ship.publish import signed

    read = signed.read_draft(Path(draft))
    # Before a passphrase is typed: whoever signs must have seen what.
    for line in signed.describe(read):
        click.echo(f"  {line}")
    signed.sign(read, open_keys(places))
    signed.write_draft(Path(draft), read)
    click.echo(
        f"{draft}: {read.signed.type} version {read.signed.version}, "
        f"{counted(len(read.signatures), 'signature')}"
    )


@refuse_empty
@keys.command()
@click.argument("draft", type=DRAFT)
@new_repository_option
@click.option(
    "--online-key",
    "online",
    type=KEY,
    metavar="KEY",
    help=f"For a targets draft: signs the current state. {KEY_HELP}",
)
def install(draft: str, repository: str, online: str | None) -> None:
    """Install a signed DRAFT; refused if it has too few signatures.

    \b
    Example:
      osnet-edge keys install root.draft --repo fleet
      osnet-edge keys install targets.draft --repo fleet --online-key online.key
    """
    from osnet_edge.ship.publish.signed import read_draft

    read, place = read_draft(Path(draft)), open_repository(repository)
    if read.signed.type == "root":
        place.install_root(read)
        warn(place)
    elif read.signed.type == "targets":
        if online is None:
            raise InputError("expected --online-key with a draft of targets")
        place.install_targets(read, open_keys([online]))
        warn(place)
    else:
        raise InputError(f"expected a draft of root or targets, got {read.signed.type}")
    click.echo(f"{repository}: {read.signed.type} version {read.signed.version} is in place")


@refuse_empty
@keys.command()
@repository_option
@click.option("--online-key", "online", type=KEY, required=True, metavar="KEY", help=KEY_HELP)
@click.option("--expires", type=float, metavar="DAYS", help="Validity of the timestamp; default 7.")
@click.option(
    "--recover",
    is_flag=True,
    help="For a repository whose timestamp is lost: lead to the newest signed targets that are here.",
)
def refresh(repository: str, online: str, expires: float | None, recover: bool) -> int:
    """Renew the online signatures before they expire; run it daily. It needs only the online key.

    The exit code is 1 if cameras still refuse the repository, because other signatures have expired.

    \b
    Example:
      osnet-edge keys refresh --repo fleet --online-key env:ONLINE_KEY
    """
    place, signers = open_repository(repository, timestamp=expires), open_keys([online])
    if recover:
        version = place.recover(signers)
        click.echo(f"{repository}: leads to targets version {version} now; see osnet-edge rollout --check")
    else:
        place.refresh(signers)
    refused = warn(place)
    click.echo(f"{repository}: the current state was signed again, for {place.expiry.timestamp:g} days")
    return int(refused)


@refuse_empty
@keys.command()
@repository_option
@signing_options
def renew(
    repository: str,
    targets: tuple[str, ...],
    online: str | None,
    draft: str | None,
    expires: float | None,
) -> None:
    """Sign the targets metadata again: before their 180 days are over, and after targets keys were rotated.

    Releases and rollouts stay as they are.

    \b
    Example:
      osnet-edge keys renew --repo fleet --targets-key targets.key --online-key online.key
    """
    place, signing = open_repository(repository, targets=expires), Signing(targets, online, draft)
    with place.writing():
        if place.current().targets is None:
            raise InputError(f"{repository} has nothing to renew; publish a package first")
        made = place.draft_targets([])
        if signing.finish(place, made):
            click.echo(
                f"{repository}: targets version {made.signed.version}, until {made.signed.expires:%Y-%m-%d}"
            )


@refuse_empty
@keys.command()
@repository_option
@json_flag
def show(repository: str, as_json: bool) -> None:
    """Show all keys, what they sign, and expiry dates.

    \b
    Example:
      osnet-edge keys show --repo fleet
    """
    rows = open_repository(repository).summary()
    if as_json:
        echo_json(rows)
        return
    for role, row in rows.items():
        names = ", ".join(key[:12] for key in row["keys"])
        until = (
            f"version {row['version']}, until {row['expires']}" if row["version"] else "nothing signed yet"
        )
        click.echo(f"{role:10} {row['threshold']} of {len(row['keys'])} ({names}), {until}")
