"""Graphs that name another file, wherever and however they hide it; and bytes of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from fleet import tiny_onnx
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, FunctionProto, ModelProto, SparseTensorProto, TensorProto, TrainingInfoProto

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.self_contained import require_self_contained


def outside(name: str = "secret") -> TensorProto:
    """A tensor that is read from outside of the package."""
    tensor = TensorProto(name=name, data_type=1, dims=[2], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    return tensor


def in_attribute(attribute: AttributeProto) -> ModelProto:
    """A graph with a node of that attribute."""
    model = ModelProto(ir_version=8)
    model.graph.node.add(op_type="Constant").attribute.append(attribute)
    return model


def deep(levels: int) -> ModelProto:
    """A graph in a graph in a graph, and the tensor at its bottom."""
    model = in_attribute(AttributeProto(t=outside()))
    for _ in range(levels):
        model = in_attribute(AttributeProto(g=model.graph))
    return model


SPARSE_VALUES, SPARSE_INDICES = SparseTensorProto(values=outside()), SparseTensorProto(indices=outside())
NODE = in_attribute(AttributeProto(t=outside())).graph.node[0]


@pytest.mark.parametrize(
    ("where", "model"),
    [
        ("a weight", ModelProto(ir_version=8, graph={"initializer": [outside()]})),
        (
            "the values of a sparse weight",
            ModelProto(ir_version=8, graph={"sparse_initializer": [SPARSE_VALUES]}),
        ),
        ("its indices", ModelProto(ir_version=8, graph={"sparse_initializer": [SPARSE_INDICES]})),
        ("a constant", in_attribute(AttributeProto(t=outside()))),
        ("a list of constants", in_attribute(AttributeProto(tensors=[TensorProto(), outside()]))),
        ("a sparse constant", in_attribute(AttributeProto(sparse_tensor=SPARSE_VALUES))),
        ("a list of these", in_attribute(AttributeProto(sparse_tensors=[SPARSE_INDICES]))),
        ("a branch", in_attribute(AttributeProto(g={"initializer": [outside()]}))),
        ("a list of branches", in_attribute(AttributeProto(graphs=[{"node": [NODE]}]))),
        ("thirty branches deep", deep(30)),
        ("a function", ModelProto(ir_version=8, functions=[FunctionProto(node=[NODE])])),
        (
            "the default of a function",
            ModelProto(ir_version=8, functions=[{"attribute_proto": [AttributeProto(t=outside())]}]),
        ),
        (
            "what training begins with",
            ModelProto(ir_version=8, training_info=[TrainingInfoProto(initialization={"node": [NODE]})]),
        ),
        ("a step of training", ModelProto(ir_version=8, training_info=[{"algorithm": {"node": [NODE]}}])),
    ],
)
def test_a_tensor_in_another_file_is_found_in(where: str, model: ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=f"one file, and {path} keeps secret in another file; export it"):
        require_self_contained(path)


def field(number: int, content: bytes) -> bytes:
    """A message or text on the wire, of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def weight(content: bytes) -> bytes:
    """A graph with one weight, of these fields."""
    return b"\x08\x08" + field(7, field(5, content))


@pytest.mark.parametrize(
    ("sentence", "content", "message"),
    [
        ("nothing at all", b"", "does not begin as one"),
        ("XML, which OpenVINO reads under any name", b"<?xml?><net/>", "does not begin as one"),
        ("a location without a place", weight(b"\x70\x01"), "keeps a tensor in another"),
        ("a place without a location", weight(field(13, b"")), "keeps a tensor in another"),
        ("a tag that is longer than it must be", weight(b"\xf0\x80\x00\x01"), "keeps a tensor in another"),
        (
            "a location that is 1 once cut to 32 bits",
            weight(b"\x70\x81\x80\x80\x80\x10"),
            "keeps a tensor in",
        ),
        ("a tag that is 14 once cut to 32 bits", weight(b"\xf0\x80\x80\x80\x10\x01"), "no field"),
        ("a location as text", weight(field(14, b"\x01")), "no field"),
        ("a weight as a number", b"\x08\x08" + field(7, b"\x28\x01"), "no field"),
        ("a group, which no ONNX file has", b"\x08\x08\x0b\x0c", "no field"),
        ("field 0", b"\x08\x08\x02\x00", "no field"),
        ("a length beyond the end", b"\x08\x08\x3a\x7f", "no field"),
        (
            "a weight that is longer than its graph",
            b"\x08\x08" + field(7, b"\x2a\x05ab") + b"abc",
            "no field",
        ),
        ("a number without an end", b"\x08" + b"\xff" * 11, "a number without an end"),
        ("a tag cut short", b"\x08\x08\xba", "no field"),
        ("fields for minutes", b"\x08\x08" * 1_000_001, "over 1000000 fields"),
        ("a name that clears the screen", weight(field(8, b"\x1b[2J") + b"\x70\x01"), r"keeps \\x1b\[2J in"),
        ("a name that is no text", weight(field(8, b"\xff\xfe") + b"\x70\x01"), "keeps �� in another file"),
    ],
)
def test_bytes_that_no_export_writes_are_refused(
    sentence: str, content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        require_self_contained(path)


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A graph of ours, and some that name another file."""
    ours = tiny_onnx(tmp_path_factory.mktemp("graph") / "tiny.onnx", 3).read_bytes()
    return [
        ours,
        ours + ModelProto(graph={"initializer": [outside()]}).SerializeToString(),
        deep(3).SerializeToString(),
        ModelProto(ir_version=8, functions=[FunctionProto(node=[NODE])]).SerializeToString(),
    ]


def edit(content: bytes, at: int, cut: int, put: bytes) -> bytes:
    """Replace some bytes."""
    at %= len(content) + 1
    return content[:at] + put + content[at + cut :]


EDITS = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=4
)


def tensors_of(message: Message) -> Iterator[TensorProto]:
    """All tensors in a message, as protobuf itself reads it."""
    if isinstance(message, TensorProto):
        yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for each in [value] if isinstance(value, Message) else value:
                yield from tensors_of(each)


@given(choice=st.integers(0, 3), edits=EDITS)
def test_what_protobuf_reads_as_another_file_is_never_taken(
    wholes: list[bytes],
    tmp_path_factory: pytest.TempPathFactory,
    choice: int,
    edits: list[tuple[int, int, bytes]],
) -> None:
    content = wholes[choice]
    for each in edits:
        content = edit(content, *each)
    path = tmp_path_factory.getbasetemp() / "edited.onnx"
    path.write_bytes(content)
    taken = refusal_of(path) is None
    try:
        model = ModelProto.FromString(content)
    except DecodeError:
        return
    named = [each for each in tensors_of(model) if each.data_location or each.external_data]
    assert not (taken and named)


@given(content=st.binary(max_size=200))
def test_bytes_of_any_kind_are_taken_or_refused_by_the_one_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(b"\x08\x08" + content)
    refusal_of(path)


def refusal_of(graph: Path) -> InputError | None:
    """Why a graph is refused; another exception is a failure."""
    try:
        require_self_contained(graph)
    except InputError as error:
        return error
    return None


IN_FLOATS = ModelProto(graph={"initializer": [onnx.helper.make_tensor("more", 1, [2], [1.0, 2.0])]})


@pytest.mark.parametrize(
    ("sentence", "behind"),
    [
        ("as exported", b""),
        ("weights that are no raw data", IN_FLOATS.SerializeToString()),
        ("fields of a later ONNX", b"\xba\x3e\x02hi" + b"\xbd\x3eabcd" + b"\xb9\x3eabcdefgh"),
    ],
)
def test_a_graph_in_one_file_is_taken(
    sentence: str, behind: bytes, wholes: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "graph.onnx").write_bytes(wholes[0] + behind)
    require_self_contained(tmp_path / "graph.onnx")
