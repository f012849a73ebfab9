"""The kind of a file: weights are read, and other kinds are named with the command that helps."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError, UnavailableError, first_line, printable
from osnet_edge.train.weights.torch_files import (
    MAGIC,
    CompressedError,
    QuantizedError,
    UnpackedError,
    read_archive,
    read_legacy,
)

#: How files begin that are taken for checkpoints, and what to do with them; {path} is the quoted file's.
_OTHERS: list[tuple[int, bytes, str]] = [
    (0, b"version https://git-lfs", "is a Git LFS pointer and not the file itself; fetch it: git lfs pull"),
    (0, b"\x1f\x8b", "is compressed by gzip; unpack it: gunzip -k -S '' {path}, or tar -xzf {path}"),
    (0, b"BZh", "is compressed by bzip2; unpack it: bunzip2 -k {path}"),
    (0, b"\xfd7zXZ", "is compressed by xz; unpack it: xz -dk {path}"),
    (0, b"\x28\xb5\x2f\xfd", "is compressed by Zstandard; unpack it: zstd -d {path}"),
    (0, b"7z\xbc\xaf", "is a 7z archive; unpack it: 7z x {path}"),
    (0, b"Rar!", "is a RAR archive; unpack it: unrar x {path}"),
    (257, b"ustar", "is a tar archive; unpack it, and name the checkpoint in it: tar -xf {path}"),
    (0, b"\x89HDF", "is an HDF5 file, such as Keras writes; expected one of PyTorch"),
    (0, b"\x93NUMPY", "is a NumPy array; expected a checkpoint of PyTorch"),
    (4, b"TFL3", "is a TensorFlow Lite model; expected the checkpoint that it was made of"),
    (0, b"ftrt", "is a TensorRT engine; expected the checkpoint or ONNX file that it was built from"),
    (0, b"ptrt", "is a TensorRT engine; expected the checkpoint or ONNX file that it was built from"),
    (0, b"<?xml", "is XML, such as OpenVINO's; expected the checkpoint that it was made of"),
    (0, b"<", "is a web page, not a checkpoint; download the file itself, not its page"),
    (0, b"{", "is JSON, not a checkpoint; expected a .pth file"),
]

#: How pickles begin: with their protocol, or, in the first ones, with the first thing in them.
_PICKLES = (b"\x80", b"(", b"]", b"}", b"cc", b"L" + str(MAGIC).encode()[:7])
_SUFFIXES = (".pth", ".pt", ".pt2", ".ckpt", ".tar", ".bin", ".safetensors", ".onnx")


def read_tensors(path: Path | str, advice: str = "download it again") -> Any:
    """Read the tensors of a file, without running code in it.

    Args:
        path: a file of `torch.save`, `torch.jit.save` or `torch.export.save`, or of safetensors.
        advice: what to do about a damaged one.

    Returns:
        Tensors, numbers and texts in containers; all other objects are replaced by stand-ins, see
        `osnet_edge.train.weights.pickles.Object`.

    Raises:
        InputError: the file is missing, empty, damaged, or of another kind; the message names the kind.
        UnavailableError: safetensors is not installed.
    """
    path = Path(path)
    head = _head(path, advice)
    if head.startswith(b"PK"):
        return _archive(path, advice)
    if head.startswith(_PICKLES):
        return _pickles(path, advice)
    if _is_safetensors(path, head):
        return _safetensors(path, advice)
    raise InputError(
        f"{path} is no torch checkpoint: it begins with {head[:8]!r}; expected a .pth file; {advice}"
    )


def is_onnx(path: Path | str) -> bool:
    """Return whether a file has an ONNX graph's suffix, or begins as one: with the version of its format."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(2)
    return path.suffix.lower() == ".onnx" or (head[:1] == b"\x08" and head[1:2] < b"\x20")


def _head(path: Path, advice: str) -> bytes:
    """Return the beginning of a file, after refusing kinds that people pass by mistake."""
    if path.is_dir():
        raise InputError(f"expected a checkpoint file, {path} is a folder; name the .pth in it")
    if not path.is_file():
        raise InputError(f"there is no file {path}; expected an OSNet checkpoint (.pth)")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise InputError(f"{path} is empty; {advice}")
    # Pages begin with blank lines as often as not.
    for at, start, what in _OTHERS:
        if head[at:].lstrip()[: len(start)] == start and not _is_safetensors(path, head):
            raise InputError(f"{path} {what.format(path=shlex.quote(str(path)))}")
    return head


def _archive(path: Path, advice: str) -> Any:
    try:
        with path.open("rb") as file:
            read = read_archive(file)
        if read is not None:
            return read
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except CompressedError:
        raise InputError(
            f"{path} is a checkpoint that was packed again with compression, which torch knows nothing of; "
            "unpack it, and pack it with zip -0 -r"
        ) from None
    except QuantizedError:
        raise _quantized(path) from None
    except Exception as error:
        raise _damaged(path, error, advice) from None
    inside = [name for name in names if name.lower().endswith(_SUFFIXES)]
    if inside:
        raise InputError(
            f"{path} is a zip archive that holds {printable(inside[0])[:200]}; unpack it: "
            f"unzip {shlex.quote(str(path))}"
        )
    first = f"; it holds {printable(names[0])[:200]}" if names else ""
    raise InputError(f"{path} is a zip archive without a checkpoint{first}; expected a .pth file")


def _pickles(path: Path, advice: str) -> Any:
    content = io.BytesIO(path.read_bytes())
    try:
        read = read_legacy(content)
    except UnpackedError:
        around, folder = path.absolute().parents[1], path.absolute().parent.name
        pack = shlex.join(["zip", "-0", "-r", f"{folder}.pth", folder])
        raise InputError(
            f"{path} is the data.pkl of an unpacked checkpoint, whose weights are in files beside it; "
            f"pack it again: cd {shlex.quote(str(around))} && {pack}"
        ) from None
    except QuantizedError:
        raise _quantized(path) from None
    except Exception as error:
        raise _damaged(path, error, advice) from None
    return read


def _is_safetensors(path: Path, head: bytes) -> bool:
    """Recognise safetensors by its first bytes: the length of a JSON object, and the object."""
    size = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and size < 2**40


def _safetensors(path: Path, advice: str) -> Any:
    try:
        from safetensors.torch import load
    except ModuleNotFoundError:
        raise UnavailableError(
            f"{path} is of safetensors, which is not installed: pip install 'osnet-edge[train]'"
        ) from None
    try:
        return load(path.read_bytes())
    # Its own error has no base but Exception; types that torch lacks are a KeyError.
    except Exception as error:
        raise _damaged(path, error, advice) from None


def _quantized(path: Path) -> InputError:
    return InputError(
        f"{path} holds weights that torch quantised to integers; expected the float32 checkpoint that it was "
        "made from"
    )


def _damaged(path: Path, error: Exception, advice: str) -> InputError:
    reason = "" if isinstance(error, json.JSONDecodeError) else f" ({first_line(error)})"
    return InputError(
        f"{path} cannot be read as a checkpoint: it is truncated, damaged or something else{reason}; {advice}"
    )
