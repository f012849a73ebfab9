"""What a command may replace: a file of the kind that it writes; anything else only with `--force`.

The kind is recognised by the file's content, since it is the name that people mistype. This needs only the
standard library, so it can be checked before any work.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

F = TypeVar("F", bound=Callable[..., Any])
#: Whether this command line has `--force`, in a click context's `meta`.
_FORCED = "osnet_edge.force"


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: with its article, for messages.
        pattern: regular expression that its content matches, from the first byte on.
    """

    name: str
    pattern: bytes

    def matches(self, path: Path) -> bool:
        """Tell whether a file that is not empty is of this kind."""
        # Mapped: what is there may be larger than memory, and mostly its beginning tells.
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return re.match(self.pattern, content, re.DOTALL) is not None


ONNX = FileKind("an ONNX graph of osnet-edge", rb"\x08.*\n\nosnet_edge\x12")
CALIBRATION_JSON = FileKind("a calibration set", rb'\{\s*"format": "osnet-edge calibration set"')
EMBEDDINGS_NPZ = FileKind("an npz of embeddings", rb"PK\x03\x04.{26}embeddings\.npy.*paths\.npy")
RESULT_JSON = FileKind(
    "a result of osnet-edge bench", rb'\{\s*"schema_version": \d+,\s*"machine": \{\s*"cpu"'
)
RESULT_CSV = FileKind("a CSV of osnet-edge bench", rb"engine,role,variant,precision,target,")
PAGE_HTML = FileKind(
    "a page of osnet-edge", rb'<!doctype html>.{,60}<meta name="generator" content="osnet-edge">'
)
CHART_SVG = FileKind("a chart of osnet-edge", rb"<!-- Generator: osnet-edge -->")
SHEET_PNG = FileKind("a contact sheet", rb"\x89PNG\r\n.{,80}tEXtSoftware\x00osnet-edge")
VIDEO_MP4 = FileKind("a video of osnet-edge track", rb".{4}ftyp.*freeosnet-edge\Z")
TRACKS_TEXT = FileKind("tracks of osnet-edge", rb"\d+,\d+(,-?[\d.e+-]+){4},1,-1,-1,-1\n")
STATUS_TEXT = FileKind(
    "a status of osnet-edge device",
    rb'# HELP osnet_edge_device_|\{"device":"[^\n]*","model":"[^\n]*","channel":"[^\n]*","ring":',
)
DRAFT_JSON = FileKind("a draft of metadata", rb'\{\s*"signatures": .*"_type": "(root|targets)"')
CORRECTED = FileKind(
    "a configuration that was corrected", rb"(%YAML:1\.0\n)?# Corrected by `osnet-edge integrate check`"
)

#: What is often in the place of a mistyped name, by how it begins; the first that matches names it.
_KNOWN = (
    *(ONNX, CALIBRATION_JSON, EMBEDDINGS_NPZ, RESULT_JSON, RESULT_CSV),
    *(PAGE_HTML, CHART_SVG, SHEET_PNG, VIDEO_MP4, TRACKS_TEXT, STATUS_TEXT, DRAFT_JSON, CORRECTED),
    FileKind("a JPEG image", rb"\xff\xd8\xff"),
    FileKind("a PNG image", rb"\x89PNG\r\n"),
    FileKind("a video", rb".{4}ftyp"),
    FileKind("a PDF document", rb"%PDF-"),
    FileKind("a zip archive, as checkpoints, npz files and office documents are", rb"PK\x03\x04"),
    FileKind("an ONNX graph of another program", rb"\x08[\x03-\x1f][\x12\x1a\x3a\x42]"),
    FileKind("a private key", rb"-----BEGIN [A-Z ]*PRIVATE KEY"),
    FileKind("a web page", rb"\s*<(!doctype html|!DOCTYPE html|html)"),
    FileKind("an SVG drawing", rb"\s*(<\?xml[^>]*>\s*)?(<!--.{0,200}?-->\s*)?<svg"),
    FileKind("a JSON document of another kind", rb"\s*[{\[]\s*[\"{\[\]}0-9]"),
    FileKind("a text", rb"[\t\n\r -~]{24}|[\t\n\r -~]+\Z"),
)


def force_option(help_text: str = "Also replace a file of another kind.", **how: Any) -> Callable[[F], F]:
    """Return the option `--force`, for a command whose output may exist already.

    Args:
        help_text: what else may be replaced with it.
        how: further settings for click; by default the value goes to the types of the outputs only, and not
            to the command.
    """
    return click.option(
        "--force",
        is_flag=True,
        # Before the outputs, wherever it is typed.
        is_eager=True,
        callback=_keep,
        help=help_text,
        **{"expose_value": False, **how},
    )


def _keep(context: click.Context, parameter: click.Parameter, force: bool) -> bool:
    context.meta[_FORCED] = force
    return force


def marked_png() -> PngInfo:
    """Return what makes a PNG image one of `SHEET_PNG`, when it is saved with it."""
    from PIL.PngImagePlugin import PngInfo

    mark = PngInfo()
    mark.add_text("Software", "osnet-edge")
    return mark


def may_replace(path: Path, kind: FileKind, context: click.Context | None) -> None:
    """Check that a command may replace a file that is there.

    Args:
        path: the file.
        kind: what the command writes.
        context: of the command line that names the file.

    Raises:
        InputError: it is neither empty nor of this kind, and the command line has no `--force`.
    """
    if context and context.meta.get(_FORCED):
        return
    try:
        if not path.stat().st_size or kind.matches(path):
            return
        found = _name(path)
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
    raise InputError(
        f"expected {kind.name} at {path} to replace, found {found}; name another file, or pass --force to "
        "replace it"
    )


def _name(path: Path) -> str:
    return next((kind.name for kind in _KNOWN if kind.matches(path)), "a file of another kind")
