"""Hostile pickles: read by Python's own unpickler each of them runs code, and read by ours none does."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.checkpoint import load_osnet, read_state
from osnet_edge.train.weights.pickles import Object, read_pickle


class Runs:
    """Unpickled the usual way, this makes a folder."""

    def __init__(self, witness: str) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.mkdir, (self.witness,)


class AsState(Runs):
    """An object whose state is made by a call."""

    def __reduce__(self) -> Any:
        return Holder, (), {"state": Runs(self.witness)}


class AsKeys(Runs):
    """A dictionary whose value is made by a call, given after it was made."""

    def __reduce__(self) -> Any:
        return dict, (), None, None, iter([("weight", Runs(self.witness))])


class AsItems(Runs):
    """A list whose items are made by calls."""

    def __reduce__(self) -> Any:
        return list, (), None, iter([Runs(self.witness)])


class Setting(Runs):
    """A function of its own that sets a state (a sixth value of `__reduce__`)."""

    def __reduce__(self) -> Any:
        return str, (self.witness,), self.witness, None, None, make_folder


class Holder:
    pass


def make_folder(_: object, witness: str) -> None:
    os.mkdir(witness)


class SetState:
    """An object whose own `__setstate__` runs code."""

    def __init__(self, witness: str) -> None:
        self.witness = witness

    def __setstate__(self, state: dict[str, str]) -> None:
        os.mkdir(state["witness"])


class New:
    """An object whose own `__new__` runs code."""

    def __new__(cls, witness: str) -> New:
        os.makedirs(witness, exist_ok=True)
        return super().__new__(cls)

    def __init__(self, witness: str) -> None:
        self.witness = witness

    def __getnewargs__(self) -> Any:
        return (self.witness,)


class NewByName:
    """An object whose own `__new__` runs code, and takes its arguments by name."""

    def __new__(cls, *, witness: str) -> NewByName:
        os.makedirs(witness, exist_ok=True)
        return super().__new__(cls)

    def __init__(self, *, witness: str) -> None:
        self.witness = witness

    def __getnewargs_ex__(self) -> Any:
        return (), {"witness": self.witness}


def by_class(kind: Callable[[str], Any]) -> Callable[[str, int], bytes]:
    def write(witness: str, protocol: int) -> bytes:
        content = pickle.dumps({"args": kind(witness)}, protocol)
        if Path(witness).is_dir():
            Path(witness).rmdir()
        return content

    return write


def by_hand(text: str) -> Callable[[str, int], bytes]:
    return lambda witness, _: text.replace("WITNESS", witness).encode()


def nested(witness: str, protocol: int) -> bytes:
    """A pickle within a pickle, which the outer one has loaded."""
    inner = pickle.dumps(Runs(witness), protocol)
    return b"cpickle\nloads\n(" + b"B" + len(inner).to_bytes(4, "little") + inner + b"tR."


def by_extension(witness: str, _: int) -> bytes:
    """A function by its number in the process's registry of extensions, see `extensions`."""
    return b"\x80\x02\x82\x07X" + len(witness).to_bytes(4, "little") + witness.encode() + b"\x85R."


@pytest.fixture(autouse=True)
def extensions() -> Any:
    import copyreg

    copyreg.add_extension("os", "mkdir", 7)
    yield
    copyreg.remove_extension("os", "mkdir", 7)


#: What runs code, and each protocol that can say it.
HOSTILE: list[tuple[str, Callable[[str, int], bytes], range]] = [
    ("a call", by_class(Runs), range(6)),
    ("a call for a state", by_class(AsState), range(6)),
    ("a call for a value of a dictionary", by_class(AsKeys), range(6)),
    ("a call for an item of a list", by_class(AsItems), range(6)),
    ("a call that sets a state", by_class(Setting), range(6)),
    ("a state that runs code as it is set", by_class(SetState), range(6)),
    ("an object that runs code as it is made", by_class(New), range(2, 6)),
    (
        "an object that runs code by an argument's name",
        by_class(lambda witness: NewByName(witness=witness)),
        range(4, 6),
    ),
    ("a pickle in a pickle", nested, range(6)),
    ("a function by its number", by_extension, range(2, 3)),
    ("an instance of an old class", by_hand("(S'WITNESS'\nios\nmkdir\n."), range(1)),
    ("an object of a class on the stack", by_hand("(cos\nmkdir\nS'WITNESS'\no."), range(1, 2)),
    ("os.system", by_hand("cos\nsystem\n(S'mkdir WITNESS'\ntR."), range(1)),
    ("eval", by_hand('cbuiltins\neval\n(S\'__import__("os").mkdir("WITNESS")\'\ntR.'), range(1)),
    ("a call within a call's arguments", by_hand("cos\nlistdir\n(cos\nmkdir\n(S'WITNESS'\ntRtR."), range(1)),
    (
        "a method of a class, by its dotted name",
        by_hand('cbuiltins\neval\n(S\'open("WITNESS", "w")\'\ntR.'),
        range(1),
    ),
]
CASES = [(sentence, write, protocol) for sentence, write, protocols in HOSTILE for protocol in protocols]


@pytest.mark.parametrize(
    ("sentence", "write", "protocol"),
    CASES,
    ids=[f"{sentence}, protocol {each}" for sentence, _, each in CASES],
)
def test_nothing_of_a_hostile_pickle_is_run(
    sentence: str, write: Callable[[str, int], bytes], protocol: int, checkpoint: Path, tmp_path: Path
) -> None:
    witness = tmp_path / "ran"
    content = write(str(witness), protocol)
    (tmp_path / "alone.pth").write_bytes(content)
    # As the data of an archive whose storages are a real checkpoint's, and in front of old torch's pickles.
    with zipfile.ZipFile(checkpoint) as whole, zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, content if name.endswith("data.pkl") else whole.read(name))
    torch.save({}, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "legacy.pth").write_bytes(content + (tmp_path / "legacy.pth").read_bytes())
    for name in ("alone.pth", "zip.pth", "legacy.pth"):
        with pytest.raises(InputError) as refused:
            load_osnet(tmp_path / name)
        assert "\n" not in str(refused.value)
        assert not witness.exists(), name
    # The attack is real: Python's own unpickler runs it.
    with contextlib.suppress(Exception):
        pickle.loads(content)
    assert witness.exists(), "this pickle attacks nothing"


def test_weights_beside_code_are_read_and_the_code_is_not_run(checkpoint: Path, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    state = read_state(checkpoint)
    torch.save({"state_dict": state, "hook": Runs(str(witness))}, tmp_path / "x.pth")
    assert read_state(tmp_path / "x.pth").keys() == state.keys()
    assert not witness.exists()
    torch.load(tmp_path / "x.pth", weights_only=False)
    assert witness.exists()


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def stored(key: bytes, kind: bytes = b"ctorch\nFloatStorage\n") -> bytes:
    return b"(" + text("storage") + kind + key + text("cpu") + b"K\x01tQ"


def archive(pickled: bytes, **records: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, content in {"data.pkl": b"\x80\x02" + pickled + b".", **records}.items():
            out.writestr(f"x/{name}", content)
    return buffer.getvalue()


NEST = b")" + b"\x85" * 400_000


@pytest.mark.parametrize(
    ("sentence", "content"),
    [
        ("a memo index of four thousand million", b"\x80\x02}r\xff\xff\xff\xff."),
        ("bytes that claim to be eight exabytes", b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f."),
        ("a text that claims two gigabytes", b"\x80\x02X\xff\xff\xff\x7fabc."),
        (
            "lists within lists, each twice the one before",
            b"\x80\x02]q\x00" + b"]q\x01(h\x00h\x00e0" * 90 + b".",
        ),
        ("a hundred thousand tuples within each other", b"\x80\x02)" + b"\x85" * 100_000 + b"."),
        ("such a tuple as a key", b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s."),
        ("a storage named by a nest of tuples, which hashing would follow", archive(stored(NEST))),
        ("a storage whose type is such a nest", archive(stored(text("0"), NEST), **{"data/0": b"1234"})),
        ("more steps than any checkpoint has", b"\x80\x02" + b")0" * 1_000_001 + b"}."),
        ("a list that holds itself", b"\x80\x02]q\x00h\x00a."),
        ("a stack that is empty", b"\x80\x02R."),
        ("no end", b"\x80\x02]"),
    ],
)
def test_a_pickle_that_would_exhaust_a_reader_is_refused_at_once(
    sentence: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(InputError):
        load_osnet(tmp_path / "x.pth")


def claiming(content: bytes, size: int) -> bytes:
    """An archive whose listing gives its first record another size."""
    at = content.index(b"PK\x01\x02") + 20
    return content[:at] + size.to_bytes(4, "little") * 2 + content[at + 8 :]


def within(content: bytes, depth: int) -> bytes:
    """An archive in an archive, as `torch.export` once wrote one, and so on."""
    for _ in range(depth):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as out:
            out.writestr("serialized_state_dict.pt", content)
        content = buffer.getvalue()
    return content


def listing(names: int, content: bytes) -> bytes:
    """A file of `torch.export` with many names for one record."""
    meta = {"dtype": 7, "sizes": [{"as_int": len(content) // 4}], "strides": [{"as_int": 1}]}
    entry = {
        "path_name": "w",
        "use_pickle": False,
        "tensor_meta": {**meta, "storage_offset": {"as_int": 0}},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        config = {"config": {f"name{number}": entry for number in range(names)}}
        out.writestr("x/data/weights/model_weights_config.json", json.dumps(config))
        out.writestr("x/data/weights/w", content)
    return buffer.getvalue()


LONG = text("k" * 50_000)
PAIRS = b"](" + b"".join(b"J" + k.to_bytes(4, "little") + b"N\x86" for k in range(1000)) + b"eq\x00"


@pytest.mark.parametrize(
    ("sentence", "content", "message"),
    [
        (
            "a number too long to write as a key",
            b"\x80\x02}\x8b\0\x10\0\0" + b"\x7f" * 4096 + b"Ns.",
            "no tensors",
        ),
        (
            "a long name over a thousand others",
            archive(b"}" + LONG + b"}(" + b"".join(text(f"{n}") + b"N" for n in range(1000)) + b"us"),
            "no tensors",
        ),
        (
            "long names nested in objects",
            archive(LONG + b"q\0ca\nb\nq\x010" + b"h\x01)R(h\0" * 200 + b"N" + b"db" * 200),
            "no tensors",
        ),
        (
            "a dictionary copied a thousand times",
            archive(PAIRS + b"ccollections\nOrderedDict\nq\x010](" + b"h\x01h\0\x85R" * 1000 + b"e"),
            "no tensors",
        ),
        (
            "a size copied a thousand times",
            archive(PAIRS + b"ctorch\nSize\nq\x010](" + b"h\x01h\0\x85R" * 1000 + b"e"),
            "a size is no tuple",
        ),
        (
            "a tensor of a hundred thousand dimensions",
            archive(
                b"ctorch._utils\n_rebuild_tensor_v2\n("
                + stored(text("0"))
                + b"K\0("
                + b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x3f" * 100_000
                + b"t("
                + b"K\0" * 100_000
                + b"t\x89}tR",
                **{"data/0": b"1234"},
            ),
            "a tensor of no size",
        ),
        (
            "records that claim what follows them",
            claiming(archive(b"}", pad=b"0" * 99), 900),
            "records overlap",
        ),
        ("an archive in an archive", within(archive(b"}", pad=b"0" * 900_000), 100), "unpack it: unzip"),
        ("one record under a thousand names", listing(1000, b"0" * 400_000), "holds no OSNet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_file_takes_no_more_memory_than_a_few_of_its_size(
    sentence: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as refused:
            load_osnet(tmp_path / "x.pth")
        assert tracemalloc.get_traced_memory()[1] < 20 * len(content) + 10_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refused.value)


def test_many_names_for_one_weight_are_not_copied_each(checkpoint: Path, tmp_path: Path) -> None:
    weight = torch.zeros(500_000, dtype=torch.half)
    shared = {f"classifier.{number}": weight for number in range(50)}
    torch.save({**read_state(checkpoint), **shared}, tmp_path / "x.pth")
    with pytest.raises(InputError, match="claim more weights than the file holds"):
        load_osnet(tmp_path / "x.pth")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=PLAIN, protocol=st.integers(0, 5))
def test_what_needs_no_code_reads_as_python_reads_it(value: Any, protocol: int) -> None:
    read = read_pickle(io.BytesIO(pickle.dumps(value, protocol)))
    # Bytes have no opcode before protocol 3, where Python calls a codec for them.
    assert read == value or protocol < 3


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    refused: Exception | None = None
    try:
        read_pickle(io.BytesIO(b"\x80\x02" + content))
    except Exception as error:
        refused = error
    assert not isinstance(refused, MemoryError | RecursionError)


def test_what_would_be_called_is_named() -> None:
    read = read_pickle(io.BytesIO(pickle.dumps(Runs("x"))))
    assert isinstance(read, Object)
    assert (str(read.of).rpartition(".")[2], read.arguments) == ("mkdir", ("x",))
