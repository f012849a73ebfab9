"""Loading and saving networks, from many kinds of files, without running code in them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osnet_edge.runtime.errors import InputError, printable
from osnet_edge.runtime.files import write_aside
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import Variant, variant_named
from osnet_edge.train.weights.kinds import is_onnx, read_tensors
from osnet_edge.train.weights.networks import Found, find_networks, state_dicts
from osnet_edge.train.weights.pickles import Name, Object
from osnet_edge.train.weights.recognise import State, is_counter, recognise


def load_osnet(
    path: Path | str,
    arch: str = "auto",
    *,
    weights_key: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> OSNet:
    """Load an OSNet from a file.

    Args:
        path: a file of PyTorch (a state dict, a training checkpoint, a pickled network, TorchScript,
            `torch.export`), of safetensors, or an ONNX graph of any exporter.
        arch: a name for `variant_named`, or `auto` to recognise it by names and shapes.
        weights_key: the network to take from a file that holds several: the keys that lead to it, joined by
            dots. None takes the first, and prefers trained weights to averaged ones.
        progress: called with a line that says which of several networks was taken, and how an ONNX graph
            preprocesses its images.

    Returns:
        The model in eval mode, float32, on the CPU, with the file's classifier if that is one linear layer.

    Raises:
        InputError: the file is of another kind, is damaged, or fits no variant (or not the one named).
        UnavailableError: a library that reads such a file is not installed.
    """
    wanted = None if arch == "auto" else variant_named(arch).name
    if is_onnx(path):
        from osnet_edge.train.weights.onnx_graphs import recover_osnet

        if weights_key is not None:
            raise InputError(f"{path} is a graph, which holds one network; leave out --weights-key")
        model = recover_osnet(path, progress)
    else:
        state, variant = _read_network(path, weights_key, progress)
        model = _model_of(state, variant)
    if wanted not in (None, model.variant.name):
        raise InputError(f"{path} is no {wanted}, but {model.variant.name}; --arch auto takes it as it is")
    return model.eval()


def read_state(path: Path | str, weights_key: str | None = None) -> State:
    """Read the network in a file of weights as a plain state dict of float32 tensors.

    Wrapping containers and prefixes of names are removed. No code in the file is run.

    Raises:
        InputError: as `load_osnet`.
    """
    return _read_network(path, weights_key, lambda line: None)[0]


def _read_network(
    path: Path | str, weights_key: str | None, progress: Callable[[str], None]
) -> tuple[State, Variant]:
    content = read_tensors(path)
    networks = find_networks(content)
    if not networks:
        raise _nothing_found(content, path)
    if weights_key is not None:
        networks = [_named(networks, weights_key, path)]
    refusals = []
    for found in networks:
        state = _clean(found, path)
        try:
            variant = recognise(state, f"{path} ({printable(found.key)})" if found.key else str(path))
        except InputError as error:
            refusals.append(error)
            continue
        if len(networks) > 1:
            others = ", ".join(_shown(each) for each in networks if each is not found)
            progress(f"{path} holds several networks: took {_shown(found)}; --weights-key takes {others}")
        return state, variant
    raise refusals[0]


def _model_of(state: State, variant: Variant) -> OSNet:
    state, classes = _fit_classifier(state, variant)
    model = OSNet(variant, num_classes=classes)
    # Files from before torch 0.4.1 lack these counters, which inference never reads.
    counters = {name: value for name, value in model.state_dict().items() if is_counter(name)}
    known = {name: value for name, value in state.items() if not is_counter(name) or name in counters}
    model.load_state_dict({**counters, **known})
    return model


def save_osnet(model: OSNet, path: Path | str) -> None:
    """Write a model's state dict to `path` atomically, with the names of the public checkpoints."""
    save_tensors({"state_dict": model.state_dict()}, path)


def weights_digest(model: OSNet) -> str:
    """Return a SHA-256 of the names, shapes and weights of a network; it does not depend on the file."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _named(networks: list[Found], key: str, path: Path | str) -> Found:
    """Return the network that `--weights-key` names, by all of its key or by a part that no other has."""
    chosen = [each for each in networks if each.key == key] or [
        each for each in networks if f".{key}." in f".{each.key}."
    ]
    if len(chosen) != 1:
        known = ", ".join(_shown(each) for each in networks)
        raise InputError(f"{path}: expected --weights-key to name one of {known}; got {printable(key)!r}")
    return chosen[0]


def _shown(network: Found) -> str:
    return printable(network.key) or "(the top)"


def _clean(found: Found, path: Path | str) -> State:
    """Return the tensors of a network in float32, each of them checked."""
    state: State = {}
    tensors = [value for value in found.values.values() if isinstance(value, Tensor)]
    held = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in tensors}
    # Networks share a weight or two; a file could have a thousand names for one, to be copied each.
    if sum(value.nbytes for value in tensors) > 4 * sum(held.values()):
        raise InputError(f"{path}: its names claim more weights than the file holds; download it again")
    for name, value in found.values.items():
        if isinstance(value, Object) and name.endswith((".weight", ".bias")):
            raise InputError(f"{path}: {name!r} is {_described(value)}, expected a tensor of floats")
        if not isinstance(value, Tensor):
            continue
        if is_counter(name):
            # Inference never reads it; a file that holds something else there is no worse for it.
            if value.dtype == torch.int64 and value.ndim == 0:
                state[name] = value
            continue
        check_tensor(value, name, path)
        state[name] = value.float()
    return state


def _described(value: Object) -> str:
    """Say what a tensor of another kind is, such as one of INT8 with its scale."""
    return f"what {printable(str(value.of))[:80]} makes" if isinstance(value.of, Name) else "no tensor"


def _nothing_found(content: Any, path: Path | str) -> InputError:
    """Say what is in a file that holds no OSNet."""
    for where, values in state_dicts(content):
        names = [printable(name)[:60] for name, value in values.items() if isinstance(value, Tensor)]
        place = f" under {printable(where)[:60]!r}" if where else ""
        return InputError(
            f"{path} holds no OSNet: expected names such as conv1.conv.weight and conv2.0.conv1.conv.weight, "
            f"got {', '.join(names[:3])}{place}"
        )
    kind = type(content).__name__ if not isinstance(content, Object) else _described(content)
    return InputError(f"{path} holds no tensors ({kind}); expected the weights of an OSNet")


def _fit_classifier(state: State, variant: Variant) -> tuple[State, int]:
    """Keep a classifier that is one linear layer, and leave out any other: embeddings do not need it."""
    rest = {name: value for name, value in state.items() if not name.startswith("classifier.")}
    head = {name: value for name, value in state.items() if name.startswith("classifier.")}
    weight, bias = head.get("classifier.weight"), head.get("classifier.bias")
    if len(head) != 2 or weight is None or bias is None:
        return rest, 0
    if weight.shape != (len(bias), variant.embedding_size) or bias.ndim != 1:
        return rest, 0
    return state, len(bias)


_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def save_tensors(content: dict[str, Any], path: Path | str) -> None:
    """Write tensors and plain values to `path` in torch's format, atomically.

    Raises:
        OSError: the file cannot be written, for example since the disk is full.
    """
    # Through memory, because torch's own writer tells of a full disk as of a fault of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with write_aside(path) as partial:
        partial.write_bytes(buffer.getvalue())


def check_tensor(value: Any, name: str, path: Path | str) -> None:
    """Check that a value of a file is a dense tensor of finite floats whose data are in the file.

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
