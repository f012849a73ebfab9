"""Checkpoints: read without running any code in them, recognised by their shapes, loaded strictly."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_aside
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import VARIANTS, Variant, variant_named

State = dict[str, Tensor]

#: Names under which trainers keep the state dict beside epochs, optimisers and scores.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")


def load_osnet(path: Path | str, arch: str = "auto") -> OSNet:
    """Read a checkpoint into the OSNet that it was saved from.

    Args:
        path: a `.pth` or `.pt` file, of a state dict as it is or wrapped; any classifier, or none.
        arch: a name of `VARIANTS`, or `auto` to recognise it from the shapes.

    Returns:
        The model in eval mode, float32, on the CPU, with the file's classifier if it had one.

    Raises:
        InputError: the file is no checkpoint, holds code, or fits no variant (or not the one named).
    """
    state = read_state(path)
    variant = recognise(state, path) if arch == "auto" else variant_named(arch)
    if differences := _differences(state, expected_shapes(variant)):
        raise _unfit(path, variant, differences)
    classes = state["classifier.weight"].shape[0] if "classifier.weight" in state else 0
    model = OSNet(variant, num_classes=classes)
    # Files from before torch 0.4.1 lack this counter, which inference never reads.
    counters = {name: value for name, value in model.state_dict().items() if name not in state}
    model.load_state_dict({**counters, **state})
    return model.eval()


def save_osnet(model: OSNet, path: Path | str) -> None:
    """Write a model's state dict to `path`, under the public names, whole or not at all."""
    with write_aside(path) as partial:
        torch.save({"state_dict": model.state_dict()}, partial)


def read_state(path: Path | str) -> State:
    """Read a checkpoint file to a plain state dict of float32 tensors.

    Wrappers (`state_dict` and the like) and the `module.` of data-parallel training are taken off. Only
    tensors and plain containers are unpickled (`torch.load(weights_only=True)`).

    Raises:
        InputError: the file is missing, empty, truncated, of another kind, or would need code to be run.
    """
    path = Path(path)
    _check_file(path)
    try:
        with warnings.catch_warnings():
            # An old pickle protocol makes torch warn; whether the file can be read is all that matters here.
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(_unpickling_message(path, str(error))) from None
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"{path} cannot be read as a torch checkpoint; it may be truncated, download it again "
            f"({_first_line(error)})"
        ) from None
    return _clean(_unwrap(loaded, path), path)


def recognise(state: State, path: Path | str) -> Variant:
    """Find the variant whose shapes a state dict has.

    Raises:
        InputError: it fits none; the message names the nearest one and what differs first.
    """
    differences = {name: _differences(state, expected_shapes(variant)) for name, variant in VARIANTS.items()}
    nearest = min(differences, key=lambda name: len(differences[name]))
    if differences[nearest]:
        raise _unfit(path, VARIANTS[nearest], differences[nearest])
    return VARIANTS[nearest]


def expected_shapes(variant: Variant) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a variant's state dict, without a classifier and without counters."""
    with torch.device("meta"):
        state = OSNet(variant).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not _is_counter(name)}


def _check_file(path: Path) -> None:
    """Tell apart what people pass by mistake, before torch gives its longer message."""
    if path.is_dir():
        raise InputError(f"expected a checkpoint file, {path} is a folder; name the .pth in it")
    if not path.is_file():
        raise InputError(f"there is no file {path}; expected an OSNet checkpoint (.pth)")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise InputError(f"{path} is empty; download the checkpoint again")
    if head.lstrip()[:1] == b"<":
        raise InputError(f"{path} is a web page, not a checkpoint; download the file itself, not its page")
    if not head.startswith((b"PK", b"\x80")):
        raise InputError(f"{path} is no torch checkpoint: it begins with {head[:8]!r}; expected a .pth file")


def _unpickling_message(path: Path, text: str) -> str:
    """Name the class that the file wants, if it is that; torch's own message advises to trust the file."""
    for marker in ("GLOBAL ", "Unsupported class ", "instruction ", "type "):
        if marker in text:
            wanted = text.split(marker, 1)[1].split()[0].strip("`.,")
            return (
                f"{path} holds more than tensors ({wanted}), and reading that would run code from the file; "
                "save it again as torch.save({'state_dict': model.state_dict()}, file)"
            )
    return (
        f"{path} cannot be read as tensors alone: it is truncated, damaged or a pickle of something else; "
        "download it again, or save it again with torch.save"
    )


def _unwrap(loaded: Any, path: Path) -> Mapping[str, Any]:
    for name in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    if not isinstance(loaded, Mapping):
        raise InputError(f"{path}: expected a state dict of tensors by name, got {type(loaded).__name__}")
    return loaded


def _clean(loaded: Mapping[str, Any], path: Path) -> State:
    state: State = {}
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(f"{path}: expected tensors by name, got {type(value).__name__} for {name!r}")
        value = value.float() if value.is_floating_point() else value
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: {name} holds NaN or infinite weights; use an earlier checkpoint")
        state[name.removeprefix("module.")] = value
    if not state:
        raise InputError(f"{path} holds no tensors; expected a state dict")
    return state


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _differences(state: State, expected: dict[str, tuple[int, ...]]) -> list[str]:
    """List where a state dict differs from a variant: missing, of another shape, unknown."""
    found = {
        name: tuple(value.shape)
        for name, value in state.items()
        if not _is_counter(name) and not name.startswith("classifier.")
    }
    missing = [f"{name} is missing" for name in expected if name not in found]
    other = [
        f"{name} is {found[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    unknown = [f"{name} is unknown" for name in found if name not in expected]
    classifier = [
        f"{name} is {tuple(state[name].shape)}, expected one row of 512 a class"
        for name in ("classifier.weight",)
        if name in state and tuple(state[name].shape[1:]) != (512,)
    ]
    return other + missing + unknown + classifier


def _unfit(path: Path | str, variant: Variant, differences: list[str]) -> InputError:
    more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
    return InputError(
        f"{path} fits no OSNet variant; nearest is {variant.name}, but {'; '.join(differences[:3])}{more}"
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
