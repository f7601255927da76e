"""A module of PyTorch as a chain, by the graph that torch.export makes of it.

That graph has one form for each operator, whether a module, a function or a method called it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import getitem
from typing import Any

import numpy as np

from convlet.equations import Array
from convlet.errors import ArchitectureError, InputError, one_line
from convlet.inputs import as_input_shape
from convlet.interchange.chain import Chain, Order, Step, refused
from convlet.interchange.levels import with_white
from convlet.interchange.torch_operators import DATA, OPERATORS, TWO_SIDED, WHAT, Call
from convlet.libraries import library, quiet

BATCH = 2
"""Images of the example: an axis of one may be left out unseen."""
_ZEROS = ("zeros_like", "new_zeros")
_AXES: dict[tuple[Order, tuple[int, ...]], Order] = {
    ("chw", (0, 2, 3, 1)): "hwc",
    ("hwc", (0, 3, 1, 2)): "chw",
}
"""Which axes may move, and where images then have their channels."""


def chain_of_module(
    module: Any, input_shape: Any, white: float | None
) -> tuple[Chain, tuple[str, ...]]:
    """What a module predicts of images (rows, columns, channels), which it takes channels first.

    Beside the chain, sentences about what is not as it was.  white: as for `with_white`.  Raises
    `InputError`, `ArchitectureError`, `MissingDependencyError`.
    """
    torch = library("torch", "from_torch needs", "torch")
    if not isinstance(module, torch.nn.Module):
        raise InputError("module", module, "a torch.nn.Module")
    shape = as_input_shape(input_shape)
    try:
        with _predicting(module), torch.no_grad(), quiet():
            walk = _Walk(torch, _exported(torch, module, shape))
    except ArchitectureError as error:
        raise error.remade(parameter="module") from None
    steps, scaled = with_white(walk.steps, white, "the module")
    return Chain(shape, steps), (*scaled, *walk.said)


@contextmanager
def _predicting(module: Any) -> Iterator[None]:
    """Inside, all parts are in eval mode."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _exported(torch: Any, module: Any, shape: tuple[int, int, int]) -> Any:
    """The graph for a minibatch of such images."""
    rows, columns, channels = shape
    some = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    example = torch.zeros(BATCH, channels, rows, columns, dtype=some.dtype, device=some.device)
    try:
        return torch.export.export(module, (example,))
    except Exception as error:  # whatever the module's own code or PyTorch says
        found = f"cannot be followed with images {tuple(example.shape)} ({one_line(error)})"
        hint = (
            "a forward that takes one minibatch, (n, channels, rows, columns), and branches never"
        )
        raise refused("the module", found, hint) from error


class _Walk:
    """Node after node: what does not depend on the images is computed, the rest becomes steps."""

    def __init__(self, torch: Any, program: Any) -> None:
        self.torch = torch
        self.steps: list[Step] = []
        self.said: list[str] = []
        self.order: Order = "chw"
        self.known: dict[Any, Any] = {}  # numbers and tensors by node
        self.current: Any = None  # the node that gives what became of the images
        tensors = _tensors(program)
        for node in program.graph.nodes:
            if node.op == "placeholder":
                if node.name in tensors:
                    self.known[node] = tensors[node.name]
                else:
                    self.current = node
            elif node.op == "output":
                self._end(node)
            else:
                self._take(node)

    def _take(self, node: Any) -> None:
        source = _source(node)
        if node.target is getitem:
            self._choose(node, source)
            return
        if node.op != "call_function" or not hasattr(node.target, "_schema"):
            raise refused(source, "is no operator of tensors", WHAT)
        name = node.target._schema.name.partition("::")[2].removesuffix("_")  # in place
        read = [one for one in node.all_input_nodes if one not in self.known]
        if not node.target._schema.returns:
            return  # a check, of a type or a size, which the example passes
        if not read:
            if node.target._schema.is_mutable and name != "detach":
                raise refused(source, "changes a parameter or buffer", "a forward that reads them")
            arguments, named = self.torch.fx.node.map_arg(
                (node.args, node.kwargs), self.known.__getitem__
            )
            self.known[node] = node.target(*arguments, **named)
        elif read != [self.current]:
            found = f"reads {' and '.join(repr(one.name) for one in read)}"
            hint = f"a chain, in which it reads {self.current.name!r} only: no branches"
            raise refused(source, found, hint)
        elif name in _ZEROS:
            self.known[node] = self.torch.zeros(())
        else:
            self._step(node, source, name)
            self.current = node

    def _choose(self, node: Any, source: str) -> None:
        """One of the values that an operator gives."""
        several, place = node.args
        if not node.users:
            return
        if several in self.known:
            self.known[node] = self.known[several][place]
        elif several is self.current and place == 0:
            self.current = node
        else:
            found = f"takes value {place} of {several.name!r}"
            raise refused(source, found, "a chain, that goes on with the first one")

    def _step(self, node: Any, source: str, name: str) -> None:
        if name != "permute" and name not in OPERATORS:
            raise refused(source, "is no layer of convlet", WHAT)
        before, after = (_first_value(one) for one in (self.current, node))
        shapes = [tuple(before.shape), tuple(after.shape)]
        if any(not shape or shape[0] != BATCH for shape in shapes):
            raise refused(source, "joins the images of a minibatch", "each image by itself")
        if not after.is_floating_point():
            raise refused(source, "cuts numbers to whole ones", "floats from input to output")
        if after.dtype.itemsize < min(before.dtype.itemsize, 4):
            self.said.append(f"{source} goes on in {after.dtype}, convlet in float32")
        arguments = self._arguments(node)
        places = [argument for argument, value in arguments.items() if value is DATA]
        if places != [*arguments][:1] and not (name in TWO_SIDED and len(places) == 1):
            raise refused(source, f"takes them as {' and '.join(places)}", "constants there")
        call = Call(source, arguments, shapes[0][1:], shapes[1][1:], self.order)
        if name == "permute":
            axes = tuple(n % len(shapes[0]) for n in node.args[1])
            if (self.order, axes) not in _AXES:
                hint = "channels first or last: permute(0, 2, 3, 1), permute(0, 3, 1, 2)"
                raise refused(source, f"moves the axes to {axes}", hint)
            self.order = _AXES[self.order, axes]
        else:
            self.steps += OPERATORS[name](call)
            self.said += call.said

    def _arguments(self, node: Any) -> dict[str, Any]:
        """By name, tensors as arrays."""
        found = {}
        for place, argument in enumerate(node.target._schema.arguments):
            if place < len(node.args):
                value = node.args[place]
            else:
                value = node.kwargs.get(argument.name, argument.default_value)
            if value is self.current:
                value = DATA
            elif isinstance(value, self.torch.fx.Node):
                value = _as_array(self.known[value], _source(node))
            found[argument.name] = value
        return found

    def _end(self, node: Any) -> None:
        (given,) = node.args
        if len(given) != 1 or given[0] is not self.current:
            found, hint = f"gives {len(given)} values", "what becomes of the images, and that only"
            raise refused("the module", found, hint)


def _tensors(program: Any) -> dict[str, Any]:
    """Parameters, buffers and other tensors of a program by the name of their placeholder."""
    signature, found = program.graph_signature, {}
    for name, target in signature.inputs_to_parameters.items():
        found[name] = program.state_dict[target]
    for name, target in signature.inputs_to_buffers.items():
        found[name] = program.state_dict.get(target, program.constants.get(target))
    for name, target in signature.inputs_to_lifted_tensor_constants.items():
        found[name] = program.constants[target]
    return found


def _first_value(node: Any) -> Any:
    """What a node gives, of several values the first one, without its numbers."""
    value = node.meta["val"]
    return value[0] if isinstance(value, tuple | list) else value


def _as_array(tensor: Any, source: str) -> Array:
    if tensor.is_quantized:
        raise refused(source, "has quantized numbers", "dequantize()")
    if tensor.is_meta:
        raise refused(source, "has parameters without numbers, on the device meta", "load them")
    tensor = tensor.detach().cpu()
    wide = tensor.double() if tensor.is_floating_point() else tensor
    array: Array = np.asarray(wide.to_dense())
    return array


def _source(node: Any) -> str:
    """By which a reader finds a node: its name, its operator, and the module that called it."""
    *_, (path, _) = node.meta.get("nn_module_stack", {"": ("", "")}).values()
    kind = getattr(node.target, "__name__", node.target).partition(".")[0]
    return f"node {node.name!r} ({kind}{f' of module {path!r}' if path else ''})"
