"""Backends and precisions are rows of registries: nothing else branches on their names, and no name is taken
for another."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import cast, get_args

import pytest

from osnet_edge.engines.backends.registry import BUILDERS, builder_of
from osnet_edge.engines.targets import check_precision, parse_target
from osnet_edge.runtime.backends.registry import BACKENDS, BackendName, backend_named
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.precisions import PRECISIONS, Precision

ROOT = Path(__file__).parents[1]
ROOMS = ("bench", "cli", "engines", "export", "integrate", "runtime", "ship", "track", "train")
#: Rivals of ours are called by the names of the libraries that they use, and each has its own code.
RIVALS = ("bench/versus/", "cli/bench_versus.py")


def product_files() -> Iterator[Path]:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            # A backend's own module, or folder, and the registries of both sides.
            if "backends" not in path.relative_to(ROOT).parts:
                yield path


def names_in(node: ast.expr) -> set[str]:
    return {
        each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and each.value in BACKENDS
    }


def branches(tree: ast.Module) -> Iterator[int]:
    """Lines that compare something with a backend's name, or look something up by several of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            if names_in(node):
                yield node.lineno
        elif isinstance(node, ast.match_case):
            if any(
                isinstance(each, ast.MatchValue) and names_in(each.value) for each in ast.walk(node.pattern)
            ):
                yield node.pattern.lineno
        elif isinstance(node, ast.Dict):
            keys = [key for key in node.keys if key is not None]
            if len({name for key in keys for name in names_in(key)}) > 1:
                yield node.lineno


def test_nothing_but_a_backends_own_files_and_the_registries_branches_on_its_name() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in product_files()
        for line in branches(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not {place for place in found if not place.startswith(RIVALS)}


@pytest.mark.parametrize(
    "code",
    [
        'x == "openvino"',
        '"openvino" != x',
        'x in ("tensorrt", "tensorrt_rtx")',
        '(x, y) == ("openvino", 8)',
        '{"onnxruntime": 1, "openvino": 2}[x]',
        'match x:\n    case "openvino":\n        pass',
    ],
)
def test_such_a_branch_would_be_found(code: str) -> None:
    assert list(branches(ast.parse(code)))


def test_every_backend_has_a_module_that_loads_it_a_builder_and_a_name_of_its_own() -> None:
    assert set(BACKENDS) == set(BUILDERS) == set(get_args(BackendName))
    assert len({each.target for each in BACKENDS.values()}) == len(BACKENDS)
    for name, backend in BACKENDS.items():
        module = import_module(f"osnet_edge.runtime.backends.{backend.module}")
        assert callable(module.load)
        assert callable(module.support)
        assert builder_of(name).backend is backend
        assert set(backend.precisions) <= set(PRECISIONS)
    assert set(PRECISIONS) == set(get_args(Precision))


@pytest.mark.parametrize(
    ("what", "ask"),
    [
        ("its row", lambda: backend_named("ncnn")),
        ("its builder", lambda: builder_of(cast(BackendName, "ncnn"))),
        ("its target", lambda: parse_target("ncnn")),
        ("a precision of a target", lambda: check_precision(parse_target("cpu"), "fp8")),
        ("the rules of a processor", lambda: builder_of("onnxruntime").rules_for("riscv64")),
    ],
)
def test_what_is_unknown_is_an_error_and_nothing_is_taken_in_its_place(
    what: str, ask: Callable[[], object]
) -> None:
    with pytest.raises(InputError, match="expected"):
        ask()
