"""Checkpoints: read without running any code in them, recognised by their shapes, loaded strictly."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.files import write_aside
from osnet_edge.runtime.package.placement import BlockDesign, Placement
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import EMBEDDING_SIZE, WIDTHS, Variant, variant_named

State = dict[str, Tensor]

#: Names under which trainers keep the state dict beside epochs, optimisers and scores.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")


def load_osnet(path: Path | str, arch: str = "auto") -> OSNet:
    """Read a checkpoint into the OSNet that it was saved from.

    Args:
        path: a `.pth` or `.pt` file, of a state dict as it is or wrapped; any classifier, or none.
        arch: a name for `variant_named`, or `auto` to recognise it from names and shapes.

    Returns:
        The model in eval mode, float32, on the CPU, with the file's classifier if that was a linear layer.

    Raises:
        InputError: the file is no checkpoint, holds code, or fits no variant (or not the one named).
    """
    state = read_state(path)
    wanted = None if arch == "auto" else variant_named(arch).name
    variant = recognise(state, path)
    if wanted not in (None, variant.name):
        raise InputError(f"{path} is no {wanted}, but {variant.name}; --arch auto takes it as it is")
    state, classes = _fit_classifier(state)
    model = OSNet(variant, num_classes=classes)
    # Files from before torch 0.4.1 lack these counters, which inference never reads.
    counters = {name: value for name, value in model.state_dict().items() if _is_counter(name)}
    known = {name: value for name, value in state.items() if not _is_counter(name) or name in counters}
    model.load_state_dict({**counters, **known})
    return model.eval()


def save_osnet(model: OSNet, path: Path | str) -> None:
    """Write a model's state dict to `path`, under the public names, whole or not at all."""
    save_tensors({"state_dict": model.state_dict()}, path)


def read_state(path: Path | str) -> State:
    """Read a checkpoint file to a plain state dict of float32 tensors.

    Wrappers (`state_dict` and the like) and the `module.` of data-parallel training are taken off. Only
    tensors and plain containers are unpickled (`torch.load(weights_only=True)`).

    Raises:
        InputError: the file is missing, empty, truncated, of another kind, or would need code to be run.
    """
    return _clean(_unwrap(load_tensors(path), path), path)


def weights_digest(model: OSNet) -> str:
    """Return a SHA-256 of the names, shapes and weights of a network, whatever file they came from."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def recognise(state: State, path: Path | str) -> Variant:
    """Find the network that a state dict is of: names tell the placement, shapes the width.

    Raises:
        InputError: it fits none; the message names the nearest one and what differs first.
    """
    placement, stream_list = _placement(state), any(".layers." in name for name in state)
    variants = [Variant(width, placement, stream_list) for width in WIDTHS]
    stem = state.get("conv1.conv.weight", torch.empty(0))
    differences: dict[Variant, list[str]] = {}
    # The width that the stem tells first: listing a network's shapes takes a tenth of a second.
    for variant in sorted(variants, key=lambda variant: variant.channels[0] not in stem.shape[:1]):
        differences[variant] = _differences(state, expected_shapes(variant))
        if not differences[variant]:
            return variant
    nearest = min(variants, key=lambda variant: len(differences[variant]))
    raise InputError(
        f"{path} fits no OSNet variant; nearest is {nearest.name}, but {_shown(differences[nearest])}"
    )


def expected_shapes(variant: Variant) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a variant's state dict, without a classifier and without counters."""
    with torch.device("meta"):
        state = OSNet(variant).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not _is_counter(name)}


def _placement(state: State) -> Placement:
    """Read where instance norm stands from which norms a state dict has."""
    modules = {name.rpartition(".")[0] for name in state}

    def design(block: str) -> BlockDesign:
        if {f"{block}.IN_in", f"{block}.IN_out"} & modules:
            return "both"
        if f"{block}.IN" not in modules:
            return "plain"
        # Inside the residual branch it takes the place of the batch norm.
        return "outside" if f"{block}.conv3.bn" in modules else "inside"

    one, two, three, four, five, six = (design(f"conv{stage}.{k}") for stage in (2, 3, 4) for k in (0, 1))
    # Instance norm has a weight, but keeps no statistics.
    stem = "conv1.bn" in modules and not {"conv1.bn.running_mean", "conv1.bn.running_var"} & state.keys()
    return Placement(stem, (one, two, three, four, five, six))


def _unwrap(loaded: Any, path: Path | str) -> Mapping[str, Any]:
    while isinstance(loaded, Mapping) and (
        wrapped := [name for name in _WRAPPERS if isinstance(loaded.get(name), Mapping)]
    ):
        loaded = loaded[wrapped[0]]
    if not isinstance(loaded, Mapping):
        raise InputError(f"{path}: expected a state dict of tensors by name, got {type(loaded).__name__}")
    return loaded


def _clean(loaded: Mapping[str, Any], path: Path | str) -> State:
    state: State = {}
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(f"{path}: expected tensors by name, got {type(value).__name__} for {name!r}")
        name = name.removeprefix("module.")
        if _is_counter(name):
            # Inference never reads it; a file that holds something else there is no worse for it.
            if value.dtype == torch.int64 and value.ndim == 0:
                state[name] = value
            continue
        check_tensor(value, name, path)
        state[name] = value.float()
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
    return other + missing + unknown


def _fit_classifier(state: State) -> tuple[State, int]:
    """Keep a classifier that is one linear layer, and leave out any other: embeddings do not need it."""
    rest = {name: value for name, value in state.items() if not name.startswith("classifier.")}
    head = {name: value for name, value in state.items() if name.startswith("classifier.")}
    weight, bias = head.get("classifier.weight"), head.get("classifier.bias")
    if len(head) != 2 or weight is None or bias is None:
        return rest, 0
    if weight.shape != (len(bias), EMBEDDING_SIZE) or bias.ndim != 1:
        return rest, 0
    return state, len(bias)


def _shown(differences: list[str]) -> str:
    more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
    return "; ".join(differences[:3]) + more


_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def save_tensors(content: dict[str, Any], path: Path | str) -> None:
    """Write tensors and plain values to `path` in torch's format, whole or not at all.

    Raises:
        OSError: the disk is full, or its like.
    """
    # Through memory, because torch's own writer tells of a full disk as of a fault of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with write_aside(path) as partial:
        partial.write_bytes(buffer.getvalue())


def load_tensors(path: Path | str, advice: str = "download it again") -> Any:
    """Read what a file holds; only tensors and plain containers are unpickled, and nothing else is checked.

    Args:
        path: the file.
        advice: what to do about a damaged one.

    Raises:
        InputError: the file is missing, empty, truncated, of another kind, or would need code to be run.
    """
    path = Path(path)
    _check_file(path, advice)
    try:
        with warnings.catch_warnings():
            # An old pickle protocol makes torch warn; whether the file can be read is all that matters here.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(_unpickling_message(path, str(error), advice)) from None
    except Exception as error:
        # A damaged file makes torch raise nearly anything: KeyError, AssertionError, RuntimeError, ...
        raise InputError(
            f"{path} cannot be read as a torch checkpoint; it may be truncated, {advice} "
            f"({first_line(error).split('. ')[0]})"
        ) from None


def check_tensor(value: Any, name: str, path: Path | str) -> None:
    """Hold that a value of a file is a tensor of finite floats that are really there.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, Tensor):
        raise InputError(f"{path}: expected tensors by name, got {type(value).__name__} for {name!r}")
    whole = value.layout == torch.strided and value.device.type == "cpu" and not value.is_nested
    if not whole or value.dtype not in _FLOATS:
        raise InputError(f"{path}: {name!r} is {value.dtype} ({value.layout}), expected dense floats")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise InputError(f"{path}: {name!r} claims {value.numel()} weights, and the file holds fewer")
    if not torch.isfinite(value).all():
        raise InputError(f"{path}: {name!r} holds NaN or infinite weights; use an earlier checkpoint")
    if name.endswith("running_var") and (value < 0).any():
        raise InputError(f"{path}: {name!r} holds negative variances; use an earlier checkpoint")


def _check_file(path: Path, advice: str) -> None:
    """Tell apart what people pass by mistake, before torch gives its longer message."""
    if path.is_dir():
        raise InputError(f"expected a checkpoint file, {path} is a folder; name the .pth in it")
    if not path.is_file():
        raise InputError(f"there is no file {path}; expected an OSNet checkpoint (.pth)")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise InputError(f"{path} is empty; {advice}")
    if head.lstrip()[:1] == b"<":
        raise InputError(f"{path} is a web page, not a checkpoint; download the file itself, not its page")
    if not head.startswith((b"PK", b"\x80")):
        raise InputError(f"{path} is no torch checkpoint: it begins with {head[:8]!r}; expected a .pth file")


def _unpickling_message(path: Path, text: str, advice: str) -> str:
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
        f"{advice}"
    )
