"""The networks in the content of a file, whatever containers and prefixes they are wrapped in.

Training programs store a state dict under a key of their own (`state_dict`, `ema`, `model`), with prefixed
names (`module.`, `_orig_mod.`, `backbone.`), as a whole pickled network, or several of them beside each
other. In all of these, the names in the file end with OSNet's own names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from osnet_edge.train.weights.pickles import Object

#: Names that every OSNet has. `conv2.0.conv1.conv.weight` ends with the first of them, so one is not enough.
_MARKS = ("conv1.conv.weight", "conv2.0.conv1.conv.weight", "conv5.conv.weight")
_CONTAINERS = (Object, Mapping, list, tuple)
#: Where a network is takes fewer letters than this; a file could have very long names nested very deep.
_LONGEST = 200
#: What copies of the trained network are called, which are taken after the network itself.
_COPIES = ("ema", "teacher", "momentum", "swa", "average", "target")


@dataclass(frozen=True, eq=False)
class Found:
    """A network in a file.

    Attributes:
        key: its place: the keys that lead to it, and the prefix of its names, joined by dots.
        values: its values, under OSNet's own names; most are tensors.
    """

    key: str
    values: dict[str, Any]


def find_networks(content: Any) -> list[Found]:
    """Find the OSNets by their names, trained networks before averaged ones.

    Args:
        content: as `read_tensors` returns it.
    """
    found: dict[int, Found] = {}
    for where, values in state_dicts(content):
        for prefix in _prefixes(values):
            key = ".".join(filter(None, (where, prefix.rstrip("."))))
            own = {name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)}
            # Some files hold one network under two names.
            found.setdefault(id(own.get(_MARKS[0], own)), Found(key, own))
    return sorted(found.values(), key=lambda each: any(copy in each.key.lower() for copy in _COPIES))


def state_dicts(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each group of named values that has a tensor, and the keys that lead to it.

    A pickled network counts as one group, under the names that its `state_dict()` would have.
    """
    left = [("", content)] if isinstance(content, _CONTAINERS) else []
    seen = {id(content)}
    while left:
        where, value = left.pop()
        if isinstance(value, Object):
            values = _of_module(value, seen)
        elif isinstance(value, Mapping):
            values = {str(name): each for name, each in value.items() if _is_name(name)}
        else:
            values = {str(number): each for number, each in enumerate(value)}
        if any(isinstance(each, Tensor) for each in values.values()):
            yield where, values
        inner: list[tuple[str, Any]] = []
        for name, each in values.items():
            # A pickle may hold one thing in many places, and itself.
            if isinstance(each, _CONTAINERS) and id(each) not in seen and len(where) + len(name) < _LONGEST:
                seen.add(id(each))
                inner.append((f"{where}.{name}" if where else name, each))
        left.extend(reversed(inner))


def _is_name(key: Any) -> bool:
    return isinstance(key, str) or (isinstance(key, int) and abs(key) < 2**63)


def _of_module(module: Object, seen: set[int]) -> dict[str, Any]:
    """Return the values of a pickled network under the names that its `state_dict()` would have.

    torch's modules keep parameters, buffers and modules apart; TorchScript's keep all as attributes.
    """
    values: dict[str, Any] = {}
    left = [("", module)]
    while left:
        prefix, inner = left.pop()
        state = inner.state[0] if isinstance(inner.state, tuple) and inner.state else inner.state
        if not isinstance(state, dict):
            continue
        kept = [state.get(name) for name in ("_parameters", "_buffers", "_modules")]
        parts = [part for part in kept if isinstance(part, dict)] or [state]
        for name, value in (item for part in parts for item in part.items()):
            if not _is_name(name) or len(prefix) > _LONGEST:
                continue
            if isinstance(value, Object) and value.state is not None:
                if id(value) not in seen and len(str(name)) < _LONGEST:
                    seen.add(id(value))
                    left.append((f"{prefix}{name}.", value))
            else:
                values[f"{prefix}{name}"] = value
    return values


def _prefixes(values: dict[str, Any]) -> list[str]:
    """Return the prefix of each OSNet among names."""
    ends = [name.removesuffix(_MARKS[0]) for name in values if name.endswith(_MARKS[0])]
    ends += [name.removesuffix(_MARKS[2]) for name in values if name.endswith(_MARKS[2])]
    ends = [prefix for prefix in ends if not prefix or prefix.endswith(".")]
    enough = [prefix for prefix in ends if sum(prefix + mark in values for mark in _MARKS) >= 2]
    return list(dict.fromkeys(enough))
