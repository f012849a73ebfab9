"""Types of path arguments: an input must exist, and an output must be writable, before any work is done.

Both happen while the command line is read, before a library is imported or any work is done. A shell
completes file names for them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
from click.shell_completion import CompletionItem

from osnet_edge.cli.replacing import FileKind, may_replace
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import require_place, require_writable
from osnet_edge.ship.publish.key_text import refuse_key_text


# click before 8.5 knows no type of the value.
class _Path(click.ParamType):  # type: ignore[type-arg]
    """A path as it was typed, for which a shell completes file names."""

    name = "path"

    def __call__(
        self, value: Any, param: click.Parameter | None = None, ctx: click.Context | None = None
    ) -> Any:
        """Refuse an empty path, the text of a variable that is not set, and convert all others."""
        if value is not None and not str(value).strip():
            self.fail("expected a value, got an empty one; is a variable not set?", param, ctx)
        if "RANK" in os.environ:
            # Started by torchrun: every process would say the same, where later only the first one speaks.
            return value
        return super().__call__(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Let the shell complete file names."""
        return [CompletionItem(incomplete, type="file")]


class InputPath(_Path):
    """A path that must exist.

    Args:
        what: what is expected there, for the message, such as `a calibration set`.
        kind: whether a file, a folder or either may hold it.
        advice: for the message, what to do if nothing is there.
        but: prefix of values that are no path, such as `env:` of `env:NAME`.
    """

    def __init__(
        self,
        what: str,
        kind: Literal["file", "folder", "file or folder"] = "file",
        *,
        advice: str = "name one that is there",
        but: str | None = None,
    ) -> None:
        self.what, self.kind, self.advice, self.but = what, kind, advice, but

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as typed.

        Raises:
            InputError: nothing is there, or a file where a folder should be, or a folder for a file.
        """
        path = Path(value)
        found = "folder" if path.is_dir() else "file" if path.exists() else ""
        if (self.but and value.startswith(self.but)) or (found and found in self.kind):
            return str(value)
        if not found:
            raise InputError(f"expected {self.what}, found nothing at {value}; {self.advice}")
        advice = "name a file in it" if found == "folder" else "name the folder"
        raise InputError(f"expected {self.what}, found a {found} at {value}; {advice}")


class PathOrName(_Path):
    """A path, or a name that the command knows; the command decides which. A shell completes paths."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as typed."""
        return str(value)


class OutputFile(_Path):
    """A file to write, in a folder that exists and is writable; its command has `force_option`.

    Args:
        kind: what is written; a file of this kind may be replaced.
        but: a value that is no path, such as `-` for standard output.
    """

    def __init__(self, kind: FileKind, but: str | None = None) -> None:
        self.kind, self.but = kind, but

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as typed; raises as `require_writable` and `may_replace` do."""
        if value != self.but and (there := require_writable(value)):
            may_replace(there, self.kind, ctx)
        return str(value)


class OutputFiles(OutputFile):
    """A file to write, or a folder of such files, as the input asks for; with `force_option` too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as typed; raises as `OutputFile` does, for each file of a folder that is there."""
        if not Path(value).is_dir():
            return super().convert(value, param, ctx)
        for path in sorted(Path(value).rglob("*")):
            if not path.is_dir():
                may_replace(path, self.kind, ctx)
        return str(value)


class InputKey(InputPath):
    """A key file or variable that must exist; the text of a key itself is refused, and not printed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the place as typed; raises as `InputPath` and `refuse_key_text` do."""
        refuse_key_text(value)
        return super().convert(value, param, ctx)


class OutputKey(_Path):
    """A key file to write; the text of a key itself is refused, and not printed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as typed; raises as `refuse_key_text` and `require_writable` do."""
        refuse_key_text(value)
        require_writable(value)
        return str(value)


class OutputFolder(_Path):
    """A folder to make, with its parents.

    A command that writes nothing leaves no empty folder. The command decides whether a folder that exists
    may be replaced.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as typed; raises as `require_place` does."""
        path = Path(value)
        for parent in reversed([each for each in path.parents if not each.exists()]):
            require_place(parent)
            parent.mkdir(exist_ok=True)
            if ctx:
                # The root's, since a command whose line is refused is never closed. The last made goes first.
                ctx.find_root().call_on_close(partial(_remove_if_empty, parent))
        require_place(path)
        return str(value)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


class MadeFolder(_Path):
    """A folder that keeps state; the command makes it if it does not exist."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as typed.

        Raises:
            InputError: a file is there.
        """
        if Path(value).exists() and not Path(value).is_dir():
            what = param.opts[0] if param else "it"
            raise InputError(f"expected {what} as a folder, found a file at {value}; name another place")
        return str(value)


class FilledFolder(InputPath):
    """A folder that must exist and be writable."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as typed; raises as `InputPath` and `require_place` do."""
        path = super().convert(value, param, ctx)
        require_place(Path(path, "file"))
        return path


class LaterFile(_Path):
    """A file that another program will write; its folder need not exist yet."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as typed.

        Raises:
            InputError: a folder is there, or a file where its folder should be.
        """
        path = Path(value)
        if path.is_dir():
            raise InputError(f"expected a file name, found a folder at {value}; name a file in it")
        if wrong := next((each for each in path.parents if each.exists() and not each.is_dir()), None):
            raise InputError(f"expected a file in a folder, found a file at {wrong}; name another")
        return str(value)


PACKAGE = InputPath("an engine package", "folder", advice="osnet-edge build makes one")
RESULT = InputPath("a result of a measurement", advice="osnet-edge bench --json FILE makes one")
GRAPH = InputPath("an ONNX graph", advice="osnet-edge export makes one of a checkpoint")
CHECKPOINT = InputPath("a checkpoint or ONNX file of OSNet")
CALIBRATION = InputPath("a calibration set", advice="osnet-edge calibrate makes one")
PLACEMENT = InputPath("a placement file", advice="osnet-edge search makes one")
KEY = InputKey("a key, as a file or env:NAME", advice="osnet-edge keys new makes one", but="env:")
PUBLIC_KEY = InputKey("a public key, a .pub file", advice="osnet-edge keys new makes one")
DRAFT = InputPath("a draft", advice="osnet-edge keys root, publish --draft and rollout --draft make one")
REPOSITORY = InputPath("a repository", "folder", advice="osnet-edge keys root and install make one")
STORE = InputPath("a camera's store", "folder", advice="make the store with osnet-edge device init")
UNITS = FilledFolder("a folder for systemd units", "folder", advice="on most systems /etc/systemd/system")
#: One re-ID set, or several with commas between them.
SET = PathOrName()
IMAGES = InputPath("images or a folder of them", "file or folder")
PACKAGE_OR_GRAPH = InputPath(
    "an engine package or an ONNX graph", "file or folder", advice="osnet-edge build and export make them"
)
CHECKPOINT_OR_PACKAGE = InputPath("a checkpoint or an engine package", "file or folder")
