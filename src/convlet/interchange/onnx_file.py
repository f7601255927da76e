"""ONNX files: what is in one, as far as convlet asks for it, read with bounded memory.

Nothing of a file is run, and no other library parses it.  Names of fields are those of onnx.proto,
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from convlet.errors import ModelFileError
from convlet.files.paths import file_name
from convlet.files.streams import open_regular, read_up_to
from convlet.interchange.onnx_tensors import Beside, Tensor, read_pair, read_tensor
from convlet.interchange.wire import Field, Reader, WireError
from convlet.wording import label

MOST_BYTES = (1 << 31) - 1
"""No ONNX file may be larger: so it is with protocol buffers."""
MOST_FIELDS = 1 << 18
"""Fields and single numbers of a file; an array of raw bytes is one.  Real files have thousands."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the graph.

    source: words by which a reader finds it.  attributes: int, float, str, `Tensor`, tuples of the
    first three, or `Unread`.
    """

    source: str
    domain: str
    kind: str  # op_type
    inputs: tuple[str, ...]  # names of tensors, "" where one is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, object]


@dataclass(frozen=True)
class Unread:
    """An attribute of a kind that no operator which convlet knows has: a graph, for one."""

    kind: str


@dataclass(frozen=True)
class Value:
    """An input or output of the graph.

    code: of the type of its numbers, 0 for what is no tensor.  shape: sizes, None for one that is
    left open; None where nothing is said.
    """

    name: str
    code: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class Model:
    """What a file holds.  opsets: version of each domain, "" for that of ONNX itself."""

    name: str  # of the file
    producer: str
    opsets: Mapping[str, int]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    metadata: Mapping[str, str]


def read_model(path: str | os.PathLike[str]) -> Model:
    """The model in a file.  Raises `FileError`, `ModelFileError`."""
    name = file_name(path)
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise ModelFileError(
                f"{name}: is {size} bytes, expected an ONNX file of at most {MOST_BYTES}:"
                " save its weights beside it"
            )
        data = read_up_to(file, size)
    beside = Beside(name)
    try:
        return _model(name, memoryview(data), Reader(MOST_FIELDS), beside)
    except WireError as error:
        raise ModelFileError(
            f"{name}: expected an ONNX file, found a damaged one or something else ({error}):"
            " export it again"
        ) from None


def _model(name: str, data: memoryview, reader: Reader, beside: Beside) -> Model:
    """ModelProto."""
    graph: memoryview | None = None
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    producer = ""
    for found in reader.fields(data):
        match found.number:
            case 2:
                producer = found.text()
            case 7 if graph is None:
                graph = found.bytes()
            case 7:
                raise WireError("two graphs")
            case 8:
                domain, version = _opset(reader, found)
                opsets["" if domain == "ai.onnx" else domain] = version
            case 14:
                key, value = read_pair(reader, found)
                metadata[key] = value
    if graph is None:
        raise WireError("it has no graph")
    if "" not in opsets:
        raise WireError("it names no version of its operators")
    nodes, constants, inputs, outputs = _graph(graph, reader, beside)
    fed = tuple(value for value in inputs if value.name not in constants)
    return Model(name, producer, opsets, tuple(nodes), constants, fed, outputs, metadata)


def _graph(
    data: memoryview, reader: Reader, beside: Beside
) -> tuple[list[Node], dict[str, Tensor], tuple[Value, ...], tuple[Value, ...]]:
    """GraphProto."""
    nodes: list[Node] = []
    constants: dict[str, Tensor] = {}
    ends: dict[int, list[Value]] = {11: [], 12: []}
    for found in reader.fields(data):
        match found.number:
            case 1:
                nodes.append(_node(len(nodes), reader, found, beside))
            case 5:
                tensor = read_tensor(reader, found, beside)
                constants[tensor.name] = tensor
            case 11 | 12:
                ends[found.number].append(_value(reader, found))
            case 15:
                raise WireError("it has sparse weights, which convlet does not read")
    return nodes, constants, tuple(ends[11]), tuple(ends[12])


def _node(place: int, reader: Reader, message: Field, beside: Beside) -> Node:
    """NodeProto."""
    inputs: list[str] = []
    outputs: list[str] = []
    texts = {3: "", 4: "", 7: ""}  # name, op_type, domain
    attributes: dict[str, object] = {}
    for found in reader.fields(message.bytes()):
        match found.number:
            case 1:
                inputs.append(found.text())
            case 2:
                outputs.append(found.text())
            case 3 | 4 | 7:
                texts[found.number] = found.text()
            case 5:
                name, value = _attribute(reader, found, beside)
                attributes[name] = value
    called = repr(label(texts[3], 60)) if texts[3] else str(place)
    domain = "" if texts[7] == "ai.onnx" else texts[7]
    kind = label(f"{domain}.{texts[4]}" if domain else texts[4], 60)
    source = f"node {called} ({kind})"
    return Node(source, domain, texts[4], tuple(inputs), tuple(outputs), attributes)


_KINDS = {1: "FLOAT", 2: "INT", 3: "STRING", 4: "TENSOR", 6: "FLOATS", 7: "INTS", 8: "STRINGS"}


def _attribute(reader: Reader, message: Field, beside: Beside) -> tuple[str, object]:
    """AttributeProto -> name and value."""
    name, kind = "", 0
    one: dict[int, object] = {2: 0.0, 3: 0, 4: ""}
    many: dict[int, list[object]] = {7: [], 8: [], 9: []}
    tensor: Tensor | None = None
    for found in reader.fields(message.bytes()):
        match found.number:
            case 1:
                name = found.text()
            case 2:
                one[2] = found.real()
            case 3:
                one[3] = found.whole()
            case 4:
                one[4] = found.text()
            case 5:
                tensor = read_tensor(reader, found, beside)
            case 7:
                many[7] += reader.reals(found)
            case 8:
                many[8] += reader.wholes(found)
            case 9:
                many[9].append(found.text())
            case 20:
                kind = found.whole()
    match kind:
        case 1 | 2 | 3:
            return name, one[kind + 1]
        case 4 if tensor is not None:
            return name, tensor
        case 6 | 7 | 8:
            return name, tuple(many[kind + 1])
    return name, Unread("a graph" if kind in (5, 10) else f"of kind {kind}")


def _value(reader: Reader, message: Field) -> Value:
    """ValueInfoProto with the tensor_type of its TypeProto."""
    name, code = "", 0
    shape: tuple[int | None, ...] | None = None
    for found in reader.fields(message.bytes()):
        if found.number == 1:
            name = found.text()
        elif found.number == 2:
            for kind in reader.fields(found.bytes()):
                if kind.number == 1:
                    code, shape = _tensor_type(reader, kind)
    return Value(name, code, shape)


def _tensor_type(reader: Reader, message: Field) -> tuple[int, tuple[int | None, ...] | None]:
    """TypeProto.Tensor -> code of the numbers, shape."""
    code, shape = 0, None
    for found in reader.fields(message.bytes()):
        if found.number == 1:
            code = found.whole()
        elif found.number == 2:
            sizes: list[int | None] = []
            for dim in reader.fields(found.bytes()):
                if dim.number == 1:
                    sizes.append(_size(reader, dim))
            shape = tuple(sizes)
    return code, shape


def _size(reader: Reader, message: Field) -> int | None:
    """TensorShapeProto.Dimension; 0 and less, which some exporters write, is open as well."""
    size = None
    for found in reader.fields(message.bytes()):
        if found.number == 1:
            size = found.whole()
    return size if size is not None and size > 0 else None


def _opset(reader: Reader, message: Field) -> tuple[str, int]:
    """OperatorSetIdProto."""
    domain, version = "", 0
    for found in reader.fields(message.bytes()):
        if found.number == 1:
            domain = found.text()
        elif found.number == 2:
            version = found.whole()
    return domain, version
