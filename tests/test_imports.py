"""The rooms, their arrows, and what a camera's import costs."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import osnet_edge

ROOT = Path(__file__).parents[1]
#: The package itself, on top of all rooms: what `import osnet_edge` gives.
API = "api"
#: Which rooms a room may lean on. `runtime` is the floor: it carries the errors, the files written aside
#: and the preprocessing, which training must share with the camera to the pixel.
ARROWS = {
    "runtime": set(),
    "train": {"runtime", "bench", "track"},
    "export": {"runtime", "train"},
    "engines": {"runtime", "bench"},
    "integrate": {"runtime", "bench", "engines"},
    "ship": {"runtime"},
    "bench": {"runtime", "track"},
    "track": {"runtime"},
    "cli": {"bench", "engines", "export", "integrate", "runtime", "ship", "track", "train"},
}
#: Libraries that a room may never need, wherever in a file they are imported.
BARRED = {
    "runtime": {"torch", "onnx", "onnxsim"},
    "bench": {"torch", "onnx", "onnxsim"},
    "engines": {"torch"},
    "integrate": {"torch"},
    "ship": {"torch", "onnx"},
    "track": {"torch", "onnx"},
    "train/data": {"torch"},
    "train/synthetic": {"torch"},
}


def imported(folder: Path) -> dict[str, set[str]]:
    """Every module that the files of a folder import, also inside functions, by file."""
    found = {}
    for path in folder.rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative imports hide the arrows"
                names.add(node.module or "")
        found[str(path.relative_to(ROOT))] = names
    return found


@pytest.mark.parametrize("room", ARROWS)
def test_arrows_between_rooms_go_one_way(room: str) -> None:
    for path, names in imported(ROOT / room).items():
        rooms = {name.split(".")[1] for name in names if name.startswith("osnet_edge.")}
        assert rooms <= ARROWS[room] | {room}, path


@pytest.mark.parametrize("folder", [*ARROWS, API, "scripts", "tests"])
def test_openvino_is_imported_where_it_is_kept_from_telling(folder: str) -> None:
    for path, names in imported(ROOT / folder).items():
        assert "openvino" not in {name.split(".")[0] for name in names}, f"{path}: use import_openvino"


@pytest.mark.parametrize("folder", BARRED)
def test_rooms_do_without_the_libraries_barred_to_them(folder: str) -> None:
    for path, names in imported(ROOT / folder).items():
        assert not {name.split(".")[0] for name in names} & BARRED[folder], path


def modules_imported(room: str) -> dict[str, set[str]]:
    """The modules of a room that each of its modules imports, also inside functions and for types alone."""
    paths = {
        ".".join(("osnet_edge", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in (ROOT / room).rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for module, path in paths.items():
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                wholes = ((f"{node.module}.{alias.name}", node.module or "") for alias in node.names)
                names |= {whole if whole in paths else part for whole, part in wholes}
        found[module] = names & set(paths)
    return found


@pytest.mark.parametrize("room", ARROWS)
def test_no_module_imports_itself_by_way_of_others(room: str) -> None:
    imports, done = modules_imported(room), set[str]()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in sorted(imports[module]):
                visit(other, (*path, module))
            done.add(module)

    for module in imports:
        visit(module, ())


def test_runtime_imports_nothing_that_a_camera_lacks() -> None:
    code = "from osnet_edge.runtime import *; import sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in ran.stdout.split()}
    assert {"numpy", "PIL"} <= loaded
    # Backends are loaded when a package asks for one.
    backends = {"onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"}
    assert not loaded & {*backends, "torch", "onnx", "click", "cv2", "pycuda"}


def test_tests_of_the_runtime_run_without_torch() -> None:
    code = (
        "import pytest, sys; "
        "code = pytest.main(['-pno:cacheprovider', '-ktest_package or test_pictures', 'tests/runtime']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_status_needs_neither_numpy_nor_what_verifies_signatures() -> None:
    code = (
        "import osnet_edge.cli.main, osnet_edge.cli.device, osnet_edge.ship.device.status as s, sys; "
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in ran.stdout.split()}
    assert "click" in loaded
    assert not loaded & {"numpy", "PIL", "tuf", "securesystemslib", "cryptography", "onnxruntime"}


@pytest.mark.parametrize(
    ("room", "names"),
    [
        ("osnet_edge", {"Embedder", "FollowingEmbedder", "InputError", "__version__", "read_manifest"}),
        ("osnet_edge.runtime", {"Embedder", "Manifest", "Preprocessing", "UnavailableError"}),
    ],
)
def test_public_names_are_listed_before_they_are_imported(room: str, names: set[str]) -> None:
    code = (
        f"import {room} as r, sys; print(*dir(r)); assert 'numpy' not in sys.modules; "
        "assert all(getattr(r, name) for name in r.__all__)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert names <= set(ran.stdout.split())


def test_the_package_says_where_things_are() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "import osnet_edge; help(osnet_edge)"],
        capture_output=True,
        text=True,
        check=True,
    )
    for room in (*ARROWS, "docs/RUNTIME.md"):
        assert room in ran.stdout, room


def test_the_package_runs_as_its_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "osnet_edge", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"osnet-edge, version {osnet_edge.__version__}\n"


def test_every_folder_with_code_is_installed() -> None:
    assert Path(osnet_edge.__file__).resolve() == ROOT / API / "__init__.py"
    folders = {path.parent for room in ARROWS for path in (ROOT / room).rglob("*.py")}
    for folder in folders:
        name = "osnet_edge." + ".".join(folder.relative_to(ROOT).parts)
        assert importlib.util.find_spec(name), f"{name} is not listed under packages in pyproject.toml"
