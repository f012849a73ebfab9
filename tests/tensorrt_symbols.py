"""Which of TensorRT's symbols the code names, and which versions have them.

Run as a script, it downloads each version's Python bindings (a megabyte each, which are read and never
loaded), looks for the names, and writes `tensorrt_symbols.json` beside itself:

    python tests/tensorrt_symbols.py
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORD = Path(__file__).with_suffix(".json")
#: A wheel for each line that is supported, first and last where there are several.
WHEELS = {
    "8.6.1": "tensorrt-bindings==8.6.1",
    "10.0.1": "tensorrt-cu12-bindings==10.0.1",
    "10.3.0": "tensorrt-cu12-bindings==10.3.0",
    "10.13.3": "tensorrt-cu12-bindings==10.13.3.9",
    "10.16.1": "tensorrt-cu12-bindings==10.16.1.11",
    "11.0.0": "tensorrt-cu12-bindings==11.0.0.114",
    "11.4.0": "tensorrt-cu12-bindings==11.4.0.106",
    "RTX 1.7.1": "tensorrt-rtx-cu13-bindings==1.7.1.116",
}
#: What objects of TensorRT are called in the code.
RECEIVERS = re.compile(
    r"trt(\..+)?|(library|self|loaded)\.trt(\..+)?|builder|config|(self\.|self\._)?engine|network|parser|profile"
    r"|runtime|layer|layer\.get_output\(0\)|preview|types|flags|self\._config|self\._cache|self\._context\[0\]"
)
#: Attributes of any Python object or enumeration.
_PYTHON = {"name", "items"}


def named_symbols() -> dict[str, str]:
    """Every attribute of an object of TensorRT that the code names, and the file that names it."""
    found: dict[str, str] = {}
    folders = ("runtime/backends/tensorrt", "engines/backends/tensorrt")
    files = [file for folder in folders for file in (ROOT / folder).glob("*.py")]
    for path in sorted(files):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute) or not RECEIVERS.fullmatch(ast.unparse(node.value)):
                continue
            if node.attr not in _PYTHON and not node.attr.startswith("__"):
                found.setdefault(node.attr, str(path.relative_to(ROOT)))
    return found


def present_names(names: list[str], wheel: Path) -> list[str]:
    """Those names that stand in the bindings' machine code, each at the end of a string.

    The linker lets a string share the end of a longer one, so that `INT8` may be found as the end of `UINT8`:
    a name that is here may be missing even so, and one that is not here is missing for sure.
    """
    with zipfile.ZipFile(wheel) as archive:
        (library,) = (name for name in archive.namelist() if re.search(r"tensorrt(_rtx)?\.(so|pyd)$", name))
        data = archive.read(library)
    return [name for name in names if f"{name}\0".encode() in data]


def main() -> None:
    """Write the record."""
    symbols, record = sorted(named_symbols()), {}
    with tempfile.TemporaryDirectory() as folder:
        for version, wheel in WHEELS.items():
            target = Path(folder) / version.replace(" ", "-")
            fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--python-version", "3.11"]
            platforms = [f"--platform=manylinux_2_{n}_x86_64" for n in (17, 28, 31)]
            options = ["--only-binary=:all:", *platforms, "-d", str(target), wheel]
            subprocess.run([*fetch, *options], check=True)
            record[version] = present_names(symbols, next(target.glob("*.whl")))
            print(version, "lacks", *(name for name in symbols if name not in record[version]))
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
