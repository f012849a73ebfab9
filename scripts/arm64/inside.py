"""What runs in the camera's root: `python3 inside.py VERB ...` answers in one line of JSON.

Nothing but the runtime, numpy and the standard library is imported here, since a camera has nothing else.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

_AT_HWCAP, _AT_HWCAP2 = 16, 26


def hwcap() -> dict[str, Any]:
    """Return what the kernel tells a process of the processor."""
    ask = ctypes.CDLL(None).getauxval
    ask.restype, ask.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return {"machine": platform.machine(), "hwcap": ask(_AT_HWCAP), "hwcap2": ask(_AT_HWCAP2)}


def kind() -> dict[str, Any]:
    """Return what the runtime takes the processor for; nothing where it does not ask."""
    try:
        found = importlib.import_module("osnet_edge.runtime.processor").this_processor()
    except ModuleNotFoundError:
        return {}
    return {"kind": found.kind, "architecture": found.architecture, "its_features": list(found.features)}


def load(module: str) -> str:
    """Import a module."""
    importlib.import_module(module)
    return "imported"


def openvino() -> list[str]:
    """Return the precisions that OpenVINO computes in here, as the runtime asks for them."""
    from osnet_edge.runtime.backends.openvino import installed_precisions

    return list(installed_precisions())


def prove(package: str) -> dict[str, float]:
    """Run a package's golden pairs."""
    from osnet_edge.runtime import Embedder

    embedder = Embedder.load(package)
    return {"distance": embedder.prove(), "limit": embedder.manifest.golden.max_centred_distance}


def boxes(package: str, file: str) -> dict[str, Any]:
    """Embed the boxes of a drawn frame, and compare with what the host made of them."""
    import numpy as np

    from osnet_edge.runtime import Embedder

    with np.load(file) as given:
        frame, drawn, expected, wanted = (given[name] for name in ("frame", "boxes", "embeddings", "valid"))
    embeddings, valid = Embedder.load(package).embed_boxes(frame, drawn)
    middle = expected[wanted].mean(axis=0)
    got, want = (rows[wanted] - middle for rows in (embeddings, expected))
    cosine = np.sum(got * want, axis=1) / np.linalg.norm(got, axis=1) / np.linalg.norm(want, axis=1)
    return {
        "valid": valid.tolist(),
        "outside_is_nan": bool(np.isnan(embeddings[~wanted]).all()),
        "distance": max(0.0, float(np.max(1 - cosine))),
    }


def embed(package: str, names: str, output: str) -> int:
    """Embed images that a file names, one a line, into an npy file; return how many."""
    import numpy as np

    from osnet_edge.runtime import Embedder
    from osnet_edge.runtime.embed_files import embed_files

    paths = Path(names).read_text(encoding="utf-8").splitlines()
    np.save(output, embed_files(Embedder.load(package), paths, batch=8))
    return len(paths)


VERBS = {each.__name__: each for each in (hwcap, kind, load, openvino, prove, boxes, embed)}

if __name__ == "__main__":
    try:
        answer = VERBS[sys.argv[1]](*sys.argv[2:])
    except Exception as error:
        # One line is what the host reads; a traceback would be of no more use to it.
        sys.exit(f"error: {type(error).__name__}: {' '.join(str(error).split())}")
    print(json.dumps(answer))
