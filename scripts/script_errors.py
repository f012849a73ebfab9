"""The exit of a script: every expected failure is one line on standard error, as of `osnet-edge` itself."""

from __future__ import annotations

import click

from osnet_edge.runtime.errors import OsnetEdgeError


def run_script(command: click.Command, name: str) -> int:
    """Run a script's command with the arguments of the process.

    Args:
        command: of the script.
        name: of its file, for help and messages.

    Returns:
        The exit code.
    """
    try:
        code = command.main(prog_name=name, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("error: interrupted", err=True)
        return 1
    except OsnetEdgeError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
