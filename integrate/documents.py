"""Configuration files: their values by dotted keys, and values replaced with the rest as it was."""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from osnet_edge.runtime.errors import InputError, UnavailableError, first_line

#: The first line of DeepStream's tracker configurations, which is OpenCV's and not YAML's.
OPENCV_HEADER = "%YAML:1.0"
_OPENCV_HEADER = re.compile(rf"\A{re.escape(OPENCV_HEADER)}[^\n]*\n(?:---[^\n]*\n)?")


@dataclass(frozen=True, eq=False)
class Yaml:
    """A YAML document.

    Attributes:
        text: as it was read.
        where: its path, for messages.
    """

    text: str
    where: str

    def load(self) -> Any:
        """Return the document as nested lists and mappings.

        Raises:
            InputError: it is no YAML, or no mapping.
            UnavailableError: the library is not installed.
        """
        tree = self._parser()[1]
        if not isinstance(tree, Mapping):
            raise InputError(f"expected YAML with keys and values, found something else in {self.where}")
        return tree

    def replace(self, changes: Mapping[str, Any]) -> str:
        """Return the text with values replaced or added; comments and order stay.

        Args:
            changes: by dotted key, such as `ReID.keepAspc`; a number in a key counts in a list.
        """
        yaml, tree = self._parser()
        for key, value in changes.items():
            *parents, last = [int(part) if part.isdigit() else part for part in key.split(".")]
            branch = tree
            for part in parents:
                branch = branch[part] if isinstance(part, int) else branch.setdefault(part, {})
            branch[last] = _flow(value)
        stream = io.StringIO()
        yaml.dump(tree, stream)
        header = _OPENCV_HEADER.match(self.text)
        return (header[0] if header else "") + stream.getvalue()

    def _parser(self) -> tuple[Any, Any]:
        try:
            from ruamel.yaml import YAML
            from ruamel.yaml.error import YAMLError
        except ImportError:
            raise UnavailableError(
                "configurations in YAML need ruamel.yaml, which is not installed; install it with: "
                "pip install 'osnet-edge[integrate]'"
            ) from None
        yaml = YAML()
        yaml.width = 4096
        try:
            return yaml, yaml.load(_OPENCV_HEADER.sub("", self.text))
        except YAMLError as error:
            raise InputError(f"{self.where} is no YAML: {first_line(error)}; mend that line first") from None


def _flow(value: Any) -> Any:
    """Return a list so that it is written in one line, in brackets."""
    if not isinstance(value, list | tuple):
        return value
    from ruamel.yaml.comments import CommentedSeq

    sequence = CommentedSeq(value)
    sequence.fa.set_flow_style()
    return sequence


@dataclass(frozen=True, eq=False)
class Ini:
    """A key file of GLib, as Gst-nvinfer reads it: sections, and `key=value` lines.

    Attributes:
        text: as it was read.
        where: its path, for messages.
    """

    text: str
    where: str

    def load(self) -> dict[str, dict[str, str]]:
        """Return values by section and key.

        Raises:
            InputError: it is no such file.
        """
        parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            parser.read_string(self.text)
        except configparser.Error as error:
            raise InputError(
                f"{self.where} is no key file: {first_line(error)}; mend that line first"
            ) from None
        return {section: dict(parser[section]) for section in parser.sections()}

    def replace(self, changes: Mapping[str, Any]) -> str:
        """Return the text with values replaced, or added at the start of their section.

        Args:
            changes: by `section.key`.
        """
        lines, section = self.text.splitlines(), ""
        left = dict(changes)
        for place, line in enumerate(lines):
            if found := re.match(r"\s*\[(.+)\]", line):
                section = found[1]
            elif found := re.match(r"\s*([\w-]+)\s*=", line):
                key = f"{section}.{found[1]}"
                if key in left:
                    lines[place] = f"{found[1]}={left.pop(key)}"
        for key, value in left.items():
            section, name = key.split(".", 1)
            place = lines.index(f"[{section}]") + 1 if f"[{section}]" in lines else len(lines)
            lines.insert(place, f"{name}={value}")
        return "\n".join(lines) + "\n"
