"""One value of a YAML text replaced or added, and all else left as it is written, comments and blanks too."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

#: What stands before a value: an anchor or a tag, which stay.
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")


def yaml_text(text: str) -> str:
    """Return a text as YAML takes it, in quotes where it has more than a path's usual characters."""
    return text if re.fullmatch(r"[\w./+-]+", text) else json.dumps(text, ensure_ascii=False)


def with_value(text: str, node: Any, names: Sequence[str], value: Any) -> str:
    """Return a YAML text in which one value is another, or is added.

    Args:
        text: all of it.
        node: what ruamel composes of it, or the mapping or list in it that the first name is of.
        names: on the way to the value; a number counts in a list.
        value: to be written in one line.
    """
    name, *deeper = names
    if name.isdigit() and not _is_mapping(node):
        return with_value(text, node.value[int(name)], deeper, value)
    pairs = [pair for pair in node.value if pair[0].value == name]
    if not pairs:
        return _added(text, node, names, value)
    key, old = pairs[-1]
    if deeper and isinstance(old.value, list):
        return with_value(text, old, deeper, value)
    start, end = old.start_mark.index, _end(key, old)
    if start < key.start_mark.index:
        # An alias of something before, which keeps its own value.
        start = text.index("*", key.end_mark.index)
        end = start + len(re.split(r"[\s,}]", text[start:])[0])
    elif start == old.end_mark.index:
        start = end = text.index(":", key.end_mark.index) + 1
    elif isinstance(old.value, list) and not old.flow_style:
        # The lines of a list may begin where the key does, and a list in brackets may not.
        start = text.index(":", key.end_mark.index) + 1
    elif behind := _PROPERTIES.match(text, start, end):
        start = behind.end()
    # An empty section becomes one in brackets.
    written = _nested([*deeper], value)
    blank = "" if text[start - 1].isspace() else " "
    return text[:start] + blank + written + text[end:]


def _added(text: str, node: Any, names: Sequence[str], value: Any) -> str:
    """Return a YAML text with a key that a mapping lacks, behind its last one."""
    first, *deeper = names
    if node.flow_style or not node.value:
        start = node.start_mark.index + 1
        return f"{text[:start]}{first}: {_nested(deeper, value)}{', ' if node.value else ''}{text[start:]}"
    indent = " " * node.value[0][0].start_mark.column
    lines = "".join(f"\n{indent}{'  ' * depth}{each}:" for depth, each in enumerate(names))
    last = _end(*node.value[-1])
    end = last + len(text[last:].split("\n", 1)[0])
    return f"{text[:end]}{lines} {_written(value)}{text[end:]}"


def _nested(names: Sequence[str], value: Any) -> str:
    """Return a value under keys, in brackets."""
    return "".join(f"{{{each}: " for each in names) + _written(value) + "}" * len(names)


def _written(value: Any) -> str:
    if value is None:
        return "null"
    return yaml_text(value) if isinstance(value, str) else str(value)


def _is_mapping(node: Any) -> bool:
    return bool(node.value) and isinstance(node.value[0], tuple)


def _end(key: Any, value: Any) -> int:
    """Return where an entry ends; marks of mappings and lists in lines, and of nothing, are further below."""
    start = value.start_mark.index
    if start < key.start_mark.index or start == value.end_mark.index:
        return int(key.end_mark.index)
    if isinstance(value.value, list) and value.value and not value.flow_style:
        last = value.value[-1]
        return _end(*last) if isinstance(last, tuple) else _end(key, last)
    return int(value.end_mark.index)
