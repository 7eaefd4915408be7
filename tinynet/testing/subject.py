"""What is checked: a function of arrays and its backward pass, of Tensors or of any array library."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.backend import namespace
from tinynet.nn.module import Module
from tinynet.nn.state import as_numpy
from tinynet.tape import switched
from tinynet.tensor import Tensor

Arrays = list[np.ndarray]
OF_PYTORCH = (
    "a function of PyTorch's tensors is checked by check_backward(forward, backward, *tensors), "
    "where backward(g, *tensors) may call torch.autograd.grad"
)
NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Subject:
    """A function of NumPy arrays, and the gradients that it claims to have.

    ``changed`` names what was changed in place, of what a call was given.
    """

    changed = ""
    title = ""  # the name of the function, where it has one of its own

    def names(self, count: int) -> list[str]:
        """What its ``count`` inputs are called."""
        raise NotImplementedError

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the outputs."""
        raise NotImplementedError

    def backward(self, arrays: Arrays, cotangents: Arrays) -> list[np.ndarray | None]:
        """Return, for each input, what the cotangents of the outputs send to it."""
        raise NotImplementedError

    def _watch(self, what: str, given: Sequence[Any], before: Arrays) -> None:
        for i, (item, array) in enumerate(zip(given, before, strict=True)):
            if not self.changed and not np.array_equal(as_numpy(item), array, equal_nan=array.dtype.kind == "f"):
                self.changed = f"{what} {i}"


class TensorFunction(Subject):
    """A function of Tensors that gives a Tensor, or several, which tinynet's autograd differentiates."""

    def __init__(self, function: Callable[..., Any], labels: Sequence[str] | None = None):
        if _of_pytorch(function):  # it may take our Tensors all the same, and pass its own backward over
            raise TypeError(OF_PYTORCH)
        self.function, self.labels, self.title = function, labels, title_of(function)

    def names(self, count: int) -> list[str]:
        return parameters(self.function, count) if self.labels is None else list(self.labels)

    def forward(self, arrays: Arrays) -> Arrays:
        inputs = [Tensor(a.copy()) for a in arrays]
        outputs = [as_numpy(out) for out in self.outputs(inputs)]
        self._watch("input", inputs, arrays)
        return outputs

    def backward(self, arrays: Arrays, cotangents: Arrays) -> list[np.ndarray | None]:
        inputs = [Tensor(a.copy(), requires_grad=is_floating(a)) for a in arrays]
        seeds = [Tensor(g.copy()) for g in cotangents]
        found = [None if g is None else as_numpy(g) for g in self.gradients(inputs, seeds)]
        self._watch("input", inputs, arrays)
        self._watch("cotangent", seeds, cotangents)
        return found

    def gradients(self, inputs: list[Tensor], cotangents: list[Tensor], create_graph: bool = False) -> list[Any]:
        """The gradients as Tensors: None for integers, zeros where no output depends on an input."""
        wanted = [x for x in inputs if x.requires_grad]
        with switched(grad_enabled=True):
            outputs = zip(self.outputs(inputs), cotangents, strict=True)
            # Added up from the outputs, and not by differentiating a sum: that would be to trust what is checked.
            parts = [autograd.grad(out, wanted, g, create_graph) for out, g in outputs if out.requires_grad]
            totals = [sum(found[1:], found[0]) for found in zip(*parts, strict=True)]
        given = iter(totals or [Tensor(np.zeros(x.shape)) for x in wanted])
        return [next(given) if x.requires_grad else None for x in inputs]

    def outputs(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What the function gives, flat. Raises TypeError for anything but Tensors."""
        try:
            outputs = flattened(self.function(*inputs))
        except TypeError as error:
            if "must be Tensor, not Tensor" in str(error):
                raise TypeError(OF_PYTORCH) from error
            raise
        for out in outputs:
            if not isinstance(out, Tensor):
                raise TypeError(
                    f"the function gave {type(out).__name__}, expected a Tensor or a tuple of Tensors: "
                    "a backward pass written by hand is checked by check_backward(forward, backward, ...)"
                )
        return outputs

    def differentiated(self, inputs: int, outputs: int) -> TensorFunction:
        """The gradients as a function of the inputs and of the cotangents, which follow them."""

        def gradients(*tensors: Tensor) -> tuple[Tensor, ...]:
            leaves = [x if x.requires_grad else Tensor(x, requires_grad=is_floating(x)) for x in tensors[:inputs]]
            found = self.gradients(leaves, list(tensors[inputs:]), create_graph=True)
            return tuple(g for g in found if g is not None)

        found = TensorFunction(gradients, self.names(inputs) + cotangent_names(outputs))
        found.title = self.title
        return found


class ModuleFunction(TensorFunction):
    """A module as a function of its inputs and, after them, its parameters."""

    def __init__(self, module: Module, inputs: int):
        super().__init__(self.call)
        self.module, self.inputs, self.title = module, inputs, type(module).__name__
        self.paths = [path for path, _ in module.named_parameters()]

    def names(self, count: int) -> list[str]:
        return [*parameters(self.module.forward, self.inputs), *self.paths]

    def call(self, *tensors: Tensor) -> Any:
        """Run the module with these parameters; it is left as it was, its buffers too."""
        modules = dict(self.module.named_modules())
        owners = [(modules[path.rpartition(".")[0]], path.rpartition(".")[2]) for path in self.paths]
        before = [getattr(module, name) for module, name in owners]
        buffers = [(buffer, buffer.data.copy()) for _, buffer in self.module.named_buffers()]
        try:
            for (module, name), tensor in zip(owners, tensors[self.inputs :], strict=True):
                setattr(module, name, tensor)
            return self.module(*tensors[: self.inputs])
        finally:
            for (module, name), parameter in zip(owners, before, strict=True):
                setattr(module, name, parameter)
            for buffer, array in buffers:
                buffer.data = array


class HandWritten(Subject):
    """Somebody's ``forward(*inputs)`` and ``backward(cotangent, *inputs)``, in any array library.

    ``likes`` are the inputs as they came: what is passed on is made of the same kind of array.
    """

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], likes: Sequence[Any], cache: bool):
        self.function, self.backward_function = forward, backward
        self.likes, self.cache, self.title = likes, cache, title_of(forward)

    def names(self, count: int) -> list[str]:
        return parameters(self.function, count)

    def forward(self, arrays: Arrays) -> Arrays:
        inputs = self._inputs(arrays)
        outputs = [numbers(out, "an output") for out in flattened(self._run(inputs)[0])]
        self._watch("input", inputs, arrays)
        return outputs

    def backward(self, arrays: Arrays, cotangents: Arrays) -> list[np.ndarray | None]:
        inputs = self._inputs(arrays)
        outputs, context = self._run(inputs)
        seeds = [_like(g, out, as_numpy(out).dtype) for g, out in zip(cotangents, flattened(outputs), strict=True)]
        given = self.backward_function(_filled(outputs, iter(seeds)), *context)
        found = [None if g is None else numbers(g, "a gradient") for g in flattened(given)]
        self._watch("input", inputs, arrays)
        self._watch("cotangent", seeds, [g.astype(as_numpy(s).dtype) for s, g in zip(seeds, cotangents, strict=True)])
        floating = [is_floating(a) for a in arrays]
        if len(found) == len(arrays):
            return found
        if len(found) == sum(floating):
            rest = iter(found)
            return [next(rest) if has_gradient else None for has_gradient in floating]
        raise ValueError(
            f"backward gave {len(found)} gradients, expected one for each of the {len(arrays)} inputs "
            f"(or of the {sum(floating)} floating-point ones): return None for an input that has none"
        )

    def twice(self, arrays: Arrays, cotangents: Arrays) -> list[tuple[np.ndarray, np.ndarray]]:
        """Pairs of gradients that ``backward`` gives at two calls with one cache; none where it empties that."""
        outputs, context = self._run(self._inputs(arrays))
        found = []
        for _ in range(2):
            seeds = [_like(g, out, as_numpy(out).dtype) for g, out in zip(cotangents, flattened(outputs), strict=True)]
            try:
                given = flattened(self.backward_function(_filled(outputs, iter(seeds)), *context))
            except Exception:
                return []
            found.append([None if g is None else numbers(g, "a gradient") for g in given])
        pairs = zip(*found, strict=False)
        return [(a, b) for a, b in pairs if a is not None and b is not None and a.shape == b.shape]

    def _inputs(self, arrays: Arrays) -> list[Any]:
        return [_like(a, like, a.dtype) for a, like in zip(arrays, self.likes, strict=True)]

    def _run(self, inputs: list[Any]) -> tuple[Any, tuple]:
        """The outputs, and what backward gets after the cotangent."""
        result = self.function(*inputs)
        if not self.cache:
            return result, tuple(inputs)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ValueError("with cache=True forward is expected to return a pair (output, cache)")
        return result[0], (result[1],)


def flattened(result: Any) -> list[Any]:
    """The arrays of nested tuples and lists, in order."""
    return [leaf for part in result for leaf in flattened(part)] if isinstance(result, (tuple, list)) else [result]


def cotangent_names(count: int) -> list[str]:
    """What the cotangents of so many outputs are called."""
    return [f"cotangent_{i}" if i else "cotangent" for i in range(count)]


def parameters(function: Callable[..., Any], count: int) -> list[str]:
    """The names of the first parameters of a function, where it tells; "input 0" and so on otherwise."""
    try:
        found = [p.name for p in inspect.signature(function).parameters.values() if p.kind in NAMED]
    except (ValueError, TypeError):
        found = []
    return found[:count] if len(found) >= count else [f"input {i}" for i in range(count)]


def _of_pytorch(function: Any) -> bool:
    modules = (type(function).__module__, getattr(function, "__module__", None) or "")
    return any(module.partition(".")[0] == "torch" for module in modules)


def title_of(function: Callable[..., Any]) -> str:
    """The name of a function; "" for a lambda, or what has none."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(owner, type):  # a class method, inherited or not
        return f"{owner.__name__}.{name}"
    name = getattr(function, "__qualname__", name).rpartition("<locals>.")[2]
    return "" if "<lambda>" in name else name


def is_floating(x: Any) -> bool:
    return x.dtype.kind == "f"


def numbers(item: Any, what: str) -> np.ndarray:
    """A copy of the numbers of an array. Raises TypeError for anything else, which is called ``what``."""
    array = as_numpy(item)
    if array.dtype.kind not in "biuf":
        cache = " (where forward returns a cache too, say cache=True)" if what == "an output" else ""
        raise TypeError(f"{what} is {type(item).__name__} of dtype {array.dtype}, expected real numbers{cache}")
    return array.copy()


def _filled(structure: Any, flat: Iterator[Any]) -> Any:
    """What ``flat`` gives, nested as somebody's outputs are."""
    if isinstance(structure, (tuple, list)):
        return tuple(_filled(part, flat) for part in structure)
    return next(flat)


def _like(array: np.ndarray, template: Any, dtype: Any) -> Any:
    """A copy of ``array`` as the kind of array that ``template`` is, on its device."""
    array = array.astype(dtype)
    if type(template).__module__.partition(".")[0] == "torch":
        return sys.modules["torch"].as_tensor(array, device=template.device)
    return namespace(template).asarray(array)
