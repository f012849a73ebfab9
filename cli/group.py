"""Groups of commands: help when no command is named, and the nearest name for a mistyped one."""

from __future__ import annotations

import difflib

import click


class CommandGroup(click.Group):
    """A group that knows the nearest of its commands' names, also of those that are not imported yet."""

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
