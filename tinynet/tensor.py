"""Tensor: an array that remembers how it was made. Its operators are the primitives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from tinynet import backend
from tinynet.axes import axes_of, axis_of, integers
from tinynet.tape import Node, state

_new = object.__new__


class Tensor:
    """An array with a gradient. It mirrors the array API (``@ * + - / ** .T .sum .reshape [..]``).

    ``grad`` is None until ``backward`` has reached the tensor; then it holds dL/d(self), in the same shape,
    accumulated over all calls.
    """

    __array_ufunc__ = None  # so that array * Tensor is Tensor.__rmul__

    data: Any
    # Most tensors have nothing but data: what the class says holds until something else is set.
    grad: Tensor | None = None
    node: Node | None = None
    place: int = 0  # among the outputs of the node
    name: str | None = None
    requires_grad: bool = False
    value: Any = None

    def __init__(self, data: Any, requires_grad: bool = False, name: str | None = None, dtype: Any = None):
        array = data.data if isinstance(data, Tensor) else data
        if not backend.is_array(array):
            array = backend.placed(_from_python(array))
        elif isinstance(array, np.ndarray):
            _check_numeric(array, data)
        if dtype is not None:
            array = backend.cast(array, dtype)
        self.data, self.name = array, name
        if requires_grad:
            self.requires_grad_()

    @staticmethod
    def _wrap(array: Any) -> Tensor:
        """Make a Tensor of an array as it is (a NumPy scalar becomes a 0-d array)."""
        out = _new(Tensor)
        out.data = array if type(array) is ndarray or backend.is_array(array) else np.asarray(array)
        return out

    def requires_grad_(self) -> Tensor:
        """Ask for gradients of this tensor. Raises TypeError for integers and booleans, which have none."""
        if not backend.is_floating(self.data):
            raise TypeError(
                f"only floating-point tensors can take a gradient, this one holds {self.data.dtype}: "
                "make it with a floating dtype (for example dtype='float64')"
            )
        self.requires_grad = True
        return self

    # What it is
    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return len(self.data.shape)

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-d tensor has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        body = np.array2string(backend.to_host(self.data), separator=", ", precision=4, prefix="tensor(")
        name = f", name={self.name!r}" if self.name else ""
        return f"tensor({body}{name}{', requires_grad=True' if self.requires_grad else ''})"

    def __bool__(self) -> bool:
        return bool(backend.to_host(self.data))

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def item(self) -> float:
        """Return the one number of a tensor of size 1. Raises ValueError for any other size."""
        if self.data.size != 1:
            raise ValueError(f"item() needs a tensor with one element, this one has shape {self.shape}")
        return (self.data if type(self.data) is ndarray else backend.to_host(self.data)).item()

    def numpy(self) -> np.ndarray:
        """Return the numbers as a NumPy array (shared, where they already are one; copied to the host otherwise)."""
        return backend.to_host(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __format__(self, spec: str) -> str:
        """One number as a number, ``f"{loss:.3f}"``; without a format, as ``repr``."""
        return format(self.item(), spec) if spec and self.size == 1 else object.__format__(self, spec)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        library = backend.namespace(self.data)
        if library is not np:
            raise TypeError(f"this tensor is in {library.__name__}, not copied to NumPy unasked: call .numpy()")
        return np.array(self.data, dtype=dtype, copy=copy)

    def to(self, name: str) -> Tensor:
        """Return a tensor in another array library (see ``tinynet.use``), a leaf; itself where it is there already.

        Raises ValueError for a tensor with a history, because gradients do not cross from one library to another.
        """
        array = backend.moved(self.data, backend.library(name))
        if array is self.data:
            return self
        if self.node is not None:
            raise ValueError(
                f"this tensor was computed, and its gradients cannot come back from {name}: "
                "move what it was computed from, or detach() it"
            )
        out = Tensor._wrap(array)
        out.name, out.requires_grad = self.name, self.requires_grad
        return out

    def detach(self) -> Tensor:
        """Return the same numbers without their history: gradients stop here."""
        out = Tensor._wrap(self.data)
        out.name = self.name
        if state.recorder is not None:
            out.value = state.recorder.value_of(self)
        return out

    def backward(self, gradient: Any = None) -> None:
        """Add dself/dleaf to ``.grad`` of every leaf that requires it; see ``tinynet.autograd.backward``."""
        autograd.backward(self, gradient)

    # Arithmetic
    def __add__(self, other):
        return P.add(self, _operand(other, self))

    def __radd__(self, other):
        return P.add(_operand(other, self), self)

    def __sub__(self, other):
        return P.subtract(self, _operand(other, self))

    def __rsub__(self, other):
        return P.subtract(_operand(other, self), self)

    def __mul__(self, other):
        return P.multiply(self, _operand(other, self))

    def __rmul__(self, other):
        return P.multiply(_operand(other, self), self)

    def __truediv__(self, other):
        return P.divide(self, _operand(other, self))

    def __rtruediv__(self, other):
        return P.divide(_operand(other, self), self)

    def __pow__(self, other):
        return P.power(self, _operand(other, self))

    def __rpow__(self, other):
        return P.power(_operand(other, self), self)

    def __neg__(self):
        return P.negative(self)

    def __abs__(self):
        return P.absolute(self)

    def __matmul__(self, other):
        return functional.matmul(self, other)

    def __rmatmul__(self, other):
        return functional.matmul(other, self)

    # In place: of a leaf that takes gradients, which is updated so; any other name is given to the result
    def __iadd__(self, other):
        return self._updated(self + other)

    def __isub__(self, other):
        return self._updated(self - other)

    def __imul__(self, other):
        return self._updated(self * other)

    def __itruediv__(self, other):
        return self._updated(self / other)

    def _updated(self, new: Tensor) -> Tensor:
        """What ``p -= …`` leaves: ``p`` itself with new numbers, if it is a leaf that takes gradients (as PyTorch)."""
        if not self.requires_grad or self.node is not None:
            return new
        if state.grad_enabled:
            raise RuntimeError(
                f"{self.name or 'a tensor'} takes gradients and was not computed, so it is only changed in place where "
                "nothing is differentiated: write `with tn.no_grad(): p -= lr * p.grad`, or p = p - … for a new tensor"
            )
        if new.shape != self.shape:
            raise ValueError(f"{self.name or 'a tensor'} of shape {self.shape} cannot become {new.shape} in place")
        self.data = new.data if new.dtype == self.dtype else backend.cast(new.data, self.dtype)
        if state.recorder is not None:
            state.recorder.updated(self, new)
        return self

    # Comparisons give tensors of booleans, which take no gradient
    def __gt__(self, other):
        return P.greater(self, _operand(other, self))

    def __lt__(self, other):
        return P.less(self, _operand(other, self))

    def __ge__(self, other):
        return P.greater_equal(self, _operand(other, self))

    def __le__(self, other):
        return P.less_equal(self, _operand(other, self))

    def __eq__(self, other):  # type: ignore[override]
        return P.equal(self, _operand(other, self))

    def __ne__(self, other):  # type: ignore[override]
        return P.not_equal(self, _operand(other, self))

    __hash__ = object.__hash__

    # Shape
    def __getitem__(self, index):
        return functional.getitem(self, index)

    @property
    def T(self) -> Tensor:
        return P.transpose(self, axes=tuple(reversed(range(self.ndim))))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Exchange two axes (as ``torch.Tensor.transpose``)."""
        one, other = axis_of(dim0, self.shape), axis_of(dim1, self.shape)
        axes = list(range(self.ndim))
        axes[one], axes[other] = other, one
        return P.transpose(self, axes=tuple(axes))

    def permute(self, *axes: Any) -> Tensor:
        """Order the axes anew. Raises ValueError unless each is named once."""
        order = tuple(axis_of(axis, self.shape) for axis in integers(axes))
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"permute got {order} for shape {self.shape}: expected all {self.ndim} of its axes")
        return P.transpose(self, axes=order)

    def reshape(self, *shape: Any) -> Tensor:
        """Give the elements another shape, in row-major order; one size may be -1."""
        return functional.reshape(self, shape)

    def expand(self, *shape: Any) -> Tensor:
        """Repeat along axes of size 1, or new leading ones, without copying; -1 keeps a size."""
        return functional.expand(self, shape)

    def squeeze(self, axis: int | None = None) -> Tensor:
        """Drop axes of size 1: all of them, or the one named."""
        return functional.squeeze(self, axis)

    def unsqueeze(self, axis: int) -> Tensor:
        """Insert an axis of size 1."""
        return functional.unsqueeze(self, axis)

    # Reductions
    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return P.sum(self, axis=axes_of(axis, self.shape), keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return functional.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return P.max(self, axis=axes_of(axis, self.shape), keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return P.min(self, axis=axes_of(axis, self.shape), keepdims=keepdims)

    # Functions
    def exp(self) -> Tensor:
        return P.exp(self)

    def log(self) -> Tensor:
        return P.log(self)

    def sqrt(self) -> Tensor:
        return P.sqrt(self)

    def abs(self) -> Tensor:
        return P.absolute(self)

    def sin(self) -> Tensor:
        return P.sin(self)

    def cos(self) -> Tensor:
        return P.cos(self)

    def tanh(self) -> Tensor:
        return P.tanh(self)

    def sigmoid(self) -> Tensor:
        return P.sigmoid(self)

    def relu(self) -> Tensor:
        return P.relu(self)


class Parameter(Tensor):
    """A tensor that a module learns: it always requires a gradient."""

    def __init__(self, data: Any, name: str | None = None):
        super().__init__(backend.adopted(data), requires_grad=True, name=name)


class Buffer(Tensor):
    """A tensor that belongs to the state of a module but is not learned, such as a running mean."""

    def __init__(self, data: Any):
        super().__init__(backend.adopted(data))


def tensor(data: Any, requires_grad: bool = False, name: str | None = None, dtype: Any = None) -> Tensor:
    """Make a tensor of numbers, nested lists or an array; ``name`` is what a recorded run calls it.

    An array keeps its dtype; Python floats get the default one (float64); integers and booleans stay so and
    take no gradient. ``use`` says in which array library it is. Raises TypeError for what is not numeric or ragged.
    """
    out = Tensor(data, requires_grad, name, dtype)
    out.data = out.data if isinstance(data, Tensor) else backend.adopted(out.data)
    return out


def as_tensor(x: Any) -> Tensor:
    """Return a tensor as it is, and make one of anything else."""
    return x if isinstance(x, Tensor) else tensor(x)


def _from_python(data: Any) -> np.ndarray:
    if _holds_gradients(data):
        raise TypeError(
            "cannot make a tensor of tensors that take gradients, which would be lost: join them by "
            "tn.functional.stack([...]), or take their numbers, x.item()"
        )
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise TypeError(
            f"cannot make a tensor: nested lists must have equal lengths and hold numbers only ({error})"
        ) from None
    if array.dtype.kind == "f" and not isinstance(data, np.generic):
        return array.astype(backend.get_default_dtype())
    _check_numeric(array, data)
    return array


def _holds_gradients(data: Any) -> bool:
    if not isinstance(data, (list, tuple)):
        return isinstance(data, Tensor) and data.requires_grad
    plain = {float, int, bool}.issuperset(map(type, data))  # one look at many: lists of numbers may be long
    return not plain and any(_holds_gradients(item) for item in data)


def _check_numeric(array: np.ndarray, data: Any) -> None:
    if array.dtype.kind not in "fiub":
        raise TypeError(f"cannot make a tensor of {type(data).__name__} {str(data)[:40]!r}: expected real numbers")


def beside(x: Any, given: Any, name: str | None = None) -> Tensor:
    """Make a tensor of Python's numbers where the tensor ``x`` is, of an array as ``tensor`` does; a tensor is one."""
    if isinstance(given, Tensor):
        return given
    there = x.data if isinstance(x, Tensor) else None
    if not backend.is_array(given):
        given = backend.placed(_from_python(given), there)
    elif there is None or backend.namespace(given) is not backend.namespace(there):
        given = backend.adopted(given)
    return Tensor(given, name=name)


def _operand(given: Any, x: Tensor) -> Any:
    """Let arrays and tensors be; make an array of a list, and of NumPy's numbers plain ones (they adapt in dtype)."""
    if isinstance(given, (list, tuple)):
        return backend.placed(_from_python(given), x.data)
    return given.item() if isinstance(given, np.generic) else given


from tinynet import autograd, functional  # noqa: E402
from tinynet import primitives as P  # noqa: E402
