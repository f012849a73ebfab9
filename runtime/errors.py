"""The errors that every room raises on purpose; anything else that escapes is a bug.

A message is one line that says what was expected, what came, and what to do about it: it is shown to a
person as it stands, without a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

#: Of BSD's sysexits.h: what failed may go well another time.
EX_TEMPFAIL = 75


def first_line(message: object, most: int = 300) -> str:
    """Return the first line of an error or a message, printable, which is what fits into ours."""
    lines = str(message).strip().splitlines()
    return printable(lines[0][:most]) if lines else type(message).__name__


def printable(text: str) -> str:
    r"""Return text of whatever origin in one line that a terminal shows and does not obey.

    Control characters, line ends, surrogates and what turns the direction of writing become escapes.

    Example:
        >>> printable("a\x1b[2Jb\n")
        'a\\x1b[2Jb\\n'
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


class OsnetEdgeError(Exception):
    """A job that could not be done; the command line prints it and exits with `exit_code`."""

    exit_code = 1


class InputError(OsnetEdgeError, ValueError):
    """Something the caller gave cannot be used: a file, an option, an array."""

    exit_code = 2


class UnavailableError(OsnetEdgeError):
    """This machine lacks what the job needs: a library, a driver, a device."""


class CheckError(OsnetEdgeError):
    """A check of our own work failed: an export that differs from torch, an engine from its golden pairs."""


class InterruptedRunError(OsnetEdgeError):
    """Ctrl-C came; the message says what was saved of what was done so far, and how to go on."""


def report(work: Callable[[], object]) -> int:
    """Do the work of a process of its own; return its exit code. Its last line tells of a failure.

    Where this machine lacks something, the code is EX_TEMPFAIL: it may have it another time.
    """
    try:
        work()
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return EX_TEMPFAIL
    except OsnetEdgeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0
