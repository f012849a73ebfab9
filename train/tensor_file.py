"""Files in torch's format: written whole or not at all, read without running any code in them."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.files import write_aside

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
