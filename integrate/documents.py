"""Configuration files: their values by dotted keys, and values replaced with the rest as it was."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osnet_edge.integrate.yaml_edits import with_value
from osnet_edge.runtime.errors import InputError, UnavailableError, first_line

#: The first line of DeepStream's tracker configurations, which is OpenCV's and not YAML's.
OPENCV_HEADER = "%YAML:1.0"
_OPENCV_HEADER = re.compile(rf"\A{re.escape(OPENCV_HEADER)}[^\n]*\n(?:---[^\n]*\n)?")
#: Bytes of a file that is still taken for a configuration.
_LARGEST = 1 << 20


def read_text(path: Path) -> str:
    """Return the text of a configuration, without a byte order mark.

    Raises:
        InputError: it is no file of text, or far too large for a configuration.
    """
    # Another kind of file may never end.
    if not path.is_file():
        raise InputError(f"expected a file, found something else at {path}; copy it to a file")
    if path.stat().st_size > _LARGEST:
        raise InputError(
            f"expected a configuration, and {path} has more than {_LARGEST >> 20} MB; name another"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"expected text in UTF-8, and byte {error.start} of {path} is none; save it as UTF-8"
        ) from None


def encoded_like(path: Path, text: str) -> bytes:
    """Return the bytes of a changed text, with the byte order mark and the line endings of its file."""
    before = path.read_bytes()
    ending = re.search(rb"\r?\n", before)
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    return mark + text.encode().replace(b"\n", ending[0] if ending else b"\n")


def is_yaml(path: Path) -> bool:
    """Whether a file's name is that of a YAML document."""
    return path.suffix.lower() in (".yml", ".yaml")


def open_document(path: Path) -> Yaml | KeyFile:
    """Open a configuration in YAML or a key file, by its name; raises as `read_text`."""
    kind = Yaml if is_yaml(path) else KeyFile
    return kind(read_text(path), str(path))


def named_file(name: Any, config: Path) -> Path | None:
    """Return the file that a configuration names, as seen from its folder, in it, or from here; or None."""
    if not name:
        return None
    path = Path(str(name))
    places = [config.parent / path, config.parent / path.name, path]
    return next((each for each in places if each.is_file()), None)


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
        parser = self._parser()
        from ruamel.yaml.error import YAMLError

        try:
            tree = parser.load(self.text[len(self._header) :])
        except (YAMLError, RecursionError, AttributeError, TypeError, ValueError) as error:
            # Some wrong files ruamel leaves to Python's own errors, such as a section merged into itself.
            raise InputError(f"{self.where} is no YAML: {self._reason(error)}; correct that first") from None
        if not isinstance(tree, Mapping):
            raise InputError(f"expected YAML with keys and values, found something else in {self.where}")
        return tree

    def replace(self, changes: Mapping[str, Any]) -> str:
        """Return the text with values replaced or added, and all else as it is written.

        Args:
            changes: by dotted key, such as `ReID.keepAspc`; a number in a key counts in a list.
        """
        header, body = self._header, self.text[len(self._header) :]
        for key, value in changes.items():
            # Read again for each, since it moves what stands behind it.
            body = with_value(body, self._parser().compose(body), key.split("."), value)
        return header + body

    @property
    def _header(self) -> str:
        found = _OPENCV_HEADER.match(self.text)
        return found[0] if found else ""

    def _parser(self) -> Any:
        try:
            from ruamel.yaml import YAML
        except ImportError:
            raise UnavailableError(
                "configurations in YAML need ruamel.yaml, which is not installed; install it with: "
                "pip install 'osnet-edge[integrate]'"
            ) from None
        return YAML()

    def _reason(self, error: Exception) -> str:
        """Return what is wrong, and in which line."""
        mark = getattr(error, "problem_mark", None)
        if mark is None:
            return first_line(error)
        line = self._header.count("\n") + mark.line + 1
        context, problem = (getattr(error, name) for name in ("context", "problem"))
        return first_line(f"line {line}, {', '.join(filter(None, (context, problem)))}".replace("\n", " "))


@dataclass(frozen=True, eq=False)
class KeyFile:
    """A key file of GLib, as Gst-nvinfer reads it: sections, and `key=value` lines.

    Python's `configparser` reads another format: it joins lines that are indented to the one before.

    Attributes:
        text: as it was read.
        where: its path, for messages.
    """

    text: str
    where: str

    def load(self) -> dict[str, dict[str, str]]:
        """Return values by section and key; of a key that is there twice, the last.

        Raises:
            InputError: it is no such file.
        """
        found: dict[str, dict[str, str]] = {}
        for _, section, key, value in self._lines():
            entries = found.setdefault(section, {})
            if key:
                entries[key] = value
        return found

    def replace(self, changes: Mapping[str, Any]) -> str:
        """Return the text with values replaced wherever they stand, or added at the start of their section.

        Args:
            changes: by `section.key`.
        """
        lines, starts, there = self.text.split("\n"), dict[str, int](), set[str]()
        for place, section, key, _ in self._lines():
            name = f"{section}.{key}"
            if not key:
                starts.setdefault(section, place)
            elif name in changes:
                there.add(name)
                lines[place] = _with_value(lines[place], changes[name])
        for name in reversed([name for name in changes if name not in there]):
            section, key = name.split(".", 1)
            # The header's own line takes the new one, so that the places of all others stay.
            lines[starts[section]] += f"\n{key}={changes[name]}"
        return "\n".join(lines)

    def _lines(self) -> Iterator[tuple[int, str, str, str]]:
        """Yield place, section, key and value of each line that says something; a section's own has no key.

        Raises:
            InputError: a line is none of these.
        """
        section = ""
        for place, line in enumerate(self.text.split("\n")):
            if not line.strip() or line.strip().startswith("#"):
                continue
            key, equals, value = (part.strip() for part in line.partition("="))
            if header := re.fullmatch(r"\s*\[([^]]+)\]\s*", line):
                section = header[1]
                yield place, section, "", ""
            elif section and key and equals:
                yield place, section, key, value
            else:
                wanted = "key=value, [section] or # comment" if section else "a [section] before any key"
                raise InputError(
                    f"{self.where} is no key file: line {place + 1}, expected {wanted}, got "
                    f"{first_line(line, 40)!r}; correct that first"
                )


def _with_value(line: str, value: Any) -> str:
    """Return a line of a key file with another value, its blanks and a comment behind it as they were."""
    key, _, old = line.partition("=")
    blanks = old[: len(old) - len(old.lstrip())]
    comment = re.search(r"\s+#.*", old)
    return f"{key}={blanks}{value}{comment[0] if comment else ''}"
