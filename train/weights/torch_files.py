"""Reads the tensors in files of `torch.save`, `torch.jit.save` and `torch.export.save`, without running code.

Three layouts: a zip archive with `data.pkl` and a record for each storage (torch 1.6 and later, TorchScript);
pickles one after another with the storages behind them (earlier); and a zip archive with a list of weights in
JSON (`torch.export`).
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import torch
from torch import Tensor

from osnet_edge.train.weights.pickles import Name, Object, read_pickle

#: What `torch.save` wrote first before it wrote zip archives.
MAGIC = 0x1950A86A20F9469CFC6C
#: Types of what a storage holds, by the names that a pickle gives them.
_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
#: Of `torch.quantization` (`c10/core/ScalarType.h`).
_QUANTIZED = {f"{kind}Storage" for kind in ("QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4")}
_DTYPES = {str(dtype): dtype for dtype in _STORAGES.values()}
#: Numbers of types in `torch.export`'s list of weights (`ScalarType` of `torch._export.serde.schema`).
_EXPORTED = {1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64}
_EXPORTED |= {6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16}
#: More than weights have, and few enough to multiply.
_DIMENSIONS = 8


@dataclass(frozen=True, eq=False)
class Storage:
    """The data of which tensors are views."""

    dtype: torch.dtype
    content: bytearray


class CompressedError(Exception):
    """The records of an archive are compressed, and their sizes are whatever the archive claims."""


class QuantizedError(Exception):
    """Weights are integers of torch's own quantisation, with a scale and a zero point."""


class UnpackedError(Exception):
    """A pickle is `data.pkl` of an archive, and the storages that it names are not here."""


def read_archive(file: IO[bytes], *, within: bool = False) -> Any:
    """Read a zip archive of `torch.save`, `torch.jit.save` or `torch.export.save`.

    Args:
        file: open for reading bytes.
        within: whether it was itself a record of an archive, and so may contain no further archive.

    Returns:
        Tensors in containers and stand-ins, see `read_pickle`; None if it is no such archive.

    Raises:
        CompressedError: its records are compressed.
        QuantizedError: its weights are torch's quantised ones.
        Exception: of nearly any kind: it is damaged.
    """
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if sum(each.file_size for each in archive.infolist() if not each.compress_type) > size:
            raise ValueError("its records overlap")
        # TorchScript keeps constants of its code in a pickle of its own; weights are in data.pkl.
        pickled = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
        exported = [name for name in names if name.endswith("data/weights/model_weights_config.json")]
        older = [name for name in names if name.endswith("serialized_state_dict.pt")]
        if len(pickled) == 1:
            return _read_pickled(archive, pickled[0].removesuffix("data.pkl"))
        if len(exported) == 1 and not within:
            return _read_exported(archive, exported[0])
        # What torch.export wrote before 2.8: a file of torch.save in the archive.
        if len(older) == 1 and not within:
            return read_archive(io.BytesIO(_record(archive, older[0])), within=True)
        return None


def _record(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise CompressedError
    return archive.read(name)


def _read_pickled(archive: zipfile.ZipFile, root: str) -> Any:
    if f"{root}byteorder" in archive.namelist() and _record(archive, f"{root}byteorder") == b"big":
        raise ValueError("written on a big-endian machine")
    kept: dict[str, Storage] = {}

    def stored(key: Any) -> Storage:
        _, kind, record, _, _ = key
        record = _text(record)
        if record not in kept:
            content = bytearray(_record(archive, f"{root}data/{record}"))
            kept[record] = Storage(_dtype(kind), content)
        return kept[record]

    return read_pickle(io.BytesIO(_record(archive, f"{root}data.pkl")), make, stored)


def _read_exported(archive: zipfile.ZipFile, listing: str) -> dict[str, Any]:
    folder = listing.rpartition("/")[0]
    read: dict[str, Any] = {}
    # Read once each, however many names lead to them.
    kept: dict[str, bytearray] = {}
    pickled: dict[str, Any] = {}
    for name, entry in json.loads(_record(archive, listing))["config"].items():
        record, meta = f"{folder}/{_text(entry['path_name'])}", entry["tensor_meta"]
        if record not in kept:
            kept[record] = bytearray(_record(archive, record))
        if entry["use_pickle"]:
            if record not in pickled:
                pickled[record] = read_archive(io.BytesIO(kept[record]), within=True)
            read[name] = pickled[record]
            continue
        sizes = [each["as_int"] for each in meta["sizes"]]
        strides = [each["as_int"] for each in meta["strides"]]
        storage = Storage(_EXPORTED[meta["dtype"]], kept[record])
        read[name] = _tensor(storage, storage.dtype, meta["storage_offset"]["as_int"], sizes, strides)
    return read


def read_legacy(file: IO[bytes]) -> Any:
    """Read what `torch.save` wrote before torch 1.6: pickles in a row, then the storages.

    Returns:
        As `read_archive`; what another program's first pickle holds, where it is one.

    Raises:
        QuantizedError: as `read_archive`.
        UnpackedError: it was a part of an archive.
        Exception: of nearly any kind: it is damaged.
    """
    first = read_pickle(file, stored=_elsewhere)
    if first != MAGIC:
        return first
    _protocol, system, start = read_pickle(file), read_pickle(file), file.tell()
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise ValueError("written on a big-endian machine")
    kinds: dict[str, torch.dtype] = {}

    def noted(key: Any) -> Object:
        kinds[_text(key[2])] = _dtype(key[1])
        return Object("stored", key)

    # Types stand in what tensors say of their storages, which comes first; the storages come behind it.
    read_pickle(file, stored=noted)
    kept: dict[str, Storage] = {}
    for record in read_pickle(file):
        (count,) = struct.unpack("<q", file.read(8))
        dtype = kinds[_text(record)]
        content = file.read(count * dtype.itemsize) if count >= 0 else b""
        if len(content) != count * dtype.itemsize:
            raise EOFError("a storage ends early")
        kept[record] = Storage(dtype, bytearray(content))
    file.seek(start)
    return read_pickle(file, make, lambda key: kept[_text(key[2])])


def _elsewhere(_: Any) -> Any:
    raise UnpackedError


def _text(record: Any) -> str:
    """Hold that what names a storage is a text: a nest of tuples could not even be hashed or shown."""
    if not isinstance(record, str):
        raise ValueError("a storage has no name")
    return record


def _dtype(kind: Any) -> torch.dtype:
    if isinstance(kind, Name) and kind.name in _QUANTIZED:
        raise QuantizedError
    if not isinstance(kind, Name) or kind.name not in _STORAGES:
        raise ValueError(f"no storage is a {kind}" if isinstance(kind, Name) else "a storage of no type")
    return _STORAGES[kind.name]


def make(of: Any, arguments: Any) -> Any:
    """Return the tensor or container that a call would make, or a stand-in."""
    making = _MAKERS.get(str(of)) if isinstance(of, Name) else None
    return making(*arguments) if making and isinstance(arguments, tuple) else Object(of, arguments)


def _tensor(storage: Any, dtype: torch.dtype, offset: int, size: Any, stride: Any) -> Tensor:
    """Return a view of a storage, all of which must be there."""
    numbers = (offset, *size, *stride)
    whole = all(isinstance(number, int) and 0 <= number < 2**62 for number in numbers)
    if not whole or len(size) > _DIMENSIONS:
        raise ValueError("a tensor of no size")
    last = offset + sum((many - 1) * step for many, step in zip(size, stride, strict=True))
    if prod(size) == 0:
        return torch.empty(tuple(size), dtype=dtype)
    if (last + 1) * dtype.itemsize > len(storage.content):
        raise EOFError(f"a tensor claims {prod(size)} numbers, and its storage holds fewer")
    return torch.frombuffer(storage.content, dtype=dtype).as_strided(tuple(size), tuple(stride), offset)


def _rebuilt(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
    if not isinstance(storage, Storage):
        return Object(Name("torch", "Tensor"), (storage,))
    return _tensor(storage, storage.dtype, offset, size, stride)


def _rebuilt_as(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> Any:
    """Make a tensor of a storage without a type, whose type is named by itself."""
    named = _DTYPES.get(str(dtype)) if isinstance(dtype, Name) else None
    if not isinstance(storage, Storage) or named is None:
        return Object(Name("torch", "Tensor"), (storage, dtype))
    return _tensor(storage, named, offset, size, stride)


def _pairs(pairs: Any = (), *_: Any) -> dict[Any, Any]:
    """Make a dictionary of a list of pairs, and empty it: a file could have the same one copied for ever."""
    made = {key: value for key, value in pairs if isinstance(key, str | int)}
    if pairs:
        pairs.clear()
    return made


def _size(sizes: Any = (), *_: Any) -> tuple[int, ...]:
    if not isinstance(sizes, tuple):
        raise TypeError("a size is no tuple")
    return sizes


_MAKERS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuilt,
    "torch._utils._rebuild_tensor_v2": _rebuilt,
    "torch._utils._rebuild_tensor_v3": _rebuilt_as,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    "torch._tensor._rebuild_from_type_v2": lambda of, _kind, arguments, *_: make(of, arguments),
    "torch.Size": _size,
    "collections.OrderedDict": _pairs,
    "collections.defaultdict": lambda *_: {},
    # How protocols 0 and 1 have objects made.
    "copy_reg._reconstructor": lambda of, *_: Object(of, ()),
    "copyreg._reconstructor": lambda of, *_: Object(of, ()),
}
