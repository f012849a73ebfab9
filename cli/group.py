"""Groups of commands: they suggest the nearest name for a mistyped one, and may be commands themselves."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


class CommandGroup(click.Group):
    """A group that suggests the nearest command for a mistyped name, without importing its commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed.

        Raises:
            UsageError: there is none; the message names the nearest.
        """
        known = self.list_commands(ctx)
        typed = args[0]
        if typed in known or typed.startswith("-"):
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(typed.lower(), known, 1) or [
            name for name in known if name.startswith(typed.lower())
        ]
        said = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
        raise click.UsageError(f"there is no command {typed!r}; {said}", ctx)


class CommandWithOthers(click.Command):
    """A command that takes files or folders, with subcommands selected by the first word.

    Args:
        others: usage and command of each subcommand, by its name.
    """

    def __init__(self, *args: Any, others: Mapping[str, tuple[str, click.Command]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.others = others

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Run the subcommand that the first word names, unless a folder has that name."""
        if not args or args[0] not in self.others or Path(args[0]).is_dir():
            return super().parse_args(ctx, args)
        found = self.others[args[0]][1]
        # Runs the other with the remaining arguments, as a click group does.
        with found.make_context(f"{ctx.info_name} {args[0]}", args[1:], parent=ctx.parent) as inner:
            ctx.exit(found.invoke(inner) or 0)
        return args

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the subcommands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(usage, other.get_short_help_str(80)) for usage, other in self.others.values()]
            )
