"""What all optimisers share: the parameters, what is remembered about each of them, one step for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tinynet.backend import cast, copied, moved, namespace, placed, zeros
from tinynet.nn.state import as_array
from tinynet.optim.recorded import Update
from tinynet.tape import no_grad, state
from tinynet.tensor import Parameter, Tensor

# What a state dict of PyTorch's may hold that changes no numbers.
OF_NO_EFFECT = ("params", "param_names", "initial_lr", "foreach", "fused", "capturable", "differentiable")


@dataclass
class Memory:
    """What is remembered about a parameter: how many steps it took, and moving averages in its shape, by name.

    ``t`` is the number of steps in a recording.
    """

    steps: int = 0
    averages: dict[str, Tensor] = field(default_factory=dict)
    t: Tensor | None = None

    def average(self, label: str, x: Any) -> Tensor:
        """A moving average; it starts from 0, in the shape of the parameter's array ``x``."""
        known = self.averages.get(label)
        if known is None:
            known = self.averages[label] = Tensor(zeros(x.shape, x))
        elif type(known.data) is not type(x):  # the module was moved to another library
            known.data = moved(known.data, namespace(x))
        return known


class Optimizer:
    """Base of the optimisers, which say how one parameter is updated: in ``kernel``, and in ``definition``."""

    averages: ClassVar[Mapping[str, str]] = {}  # what is remembered: our names, and PyTorch's
    options: ClassVar[tuple[str, ...]] = ("lr",)  # what a state dict holds besides
    decouples: ClassVar[bool] = False  # whether weight decay is no part of the gradient
    weight_decay: float = 0

    def __init__(self, params: Iterable[Parameter], lr: float):
        self.params = _parameters(params, type(self).__name__)
        self.lr = at_least_0(lr, "lr", "a learning rate of at least 0")
        self.memory = [Memory() for _ in self.params]

    def kernel(self, x: Any, g: Any, memory: Memory) -> Any:
        """Return the new numbers of a parameter, a new array; the averages may be changed in place.

        Weight decay is in the gradient already, unless it ``decouples``.
        """
        raise NotImplementedError

    def definition(self, update: Update, p: Tensor, g: Tensor) -> Tensor:
        """Return the new parameter, computed as a textbook does, with names for what it names."""
        raise NotImplementedError

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        if state.recorder is not None:
            self._recorded_step(state.recorder)
            return
        kernel, decay = self.kernel, 0 if self.decouples else self.weight_decay
        for p, memory in zip(self.params, self.memory, strict=True):
            grad = p.grad
            if grad is not None:
                memory.steps += 1
                x, g = p.data, grad.data
                p.data = _like(x, kernel(x, g + decay * x if decay else g, memory))

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.params:
            p.grad = None

    def _recorded_step(self, recorder: Any) -> None:
        counts: dict[Any, Tensor] = {}
        with no_grad(), recorder.in_phase("update"):
            for p, memory in zip(self.params, self.memory, strict=True):
                if p.grad is not None:
                    update, g = Update(recorder, p, memory, counts), p.grad
                    if self.weight_decay and not self.decouples:
                        decayed = g + update.number("weight_decay", self.weight_decay) * p
                        g = update.name("g", decayed, "gradient with weight decay")
                    new = self.definition(update, p, g)
                    memory.steps += 1
                    p.data = _like(p.data, new.data)
                    recorder.updated(p, new)

    # In and out
    def state_dict(self) -> dict[str, Any]:
        """What is remembered, and the options, arranged as in PyTorch's state dicts; copies."""
        remembered: dict[int, dict[str, Any]] = {}
        for i, memory in enumerate(self.memory):
            if memory.averages:
                arrays = {self.averages[ours]: copied(average.data) for ours, average in memory.averages.items()}
                remembered[i] = {"step": memory.steps, **arrays}
        options = {name: getattr(self, name) for name in self.options}
        return {"state": remembered, "param_groups": [{**options, "params": list(range(len(self.params)))}]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state dict, PyTorch's or ours, as it is or out of JSON (where numbers are keys as text).

        Raises ValueError where it is one for other parameters, or holds what this optimizer does not know.
        """
        missing = [key for key in ("state", "param_groups") if key not in state_dict]
        if missing:
            raise ValueError(f"the state dict has no {' and no '.join(missing)}: pass what optimizer.state_dict() gave")
        groups = state_dict["param_groups"]
        if [len(group["params"]) for group in groups] != [len(self.params)]:
            counts = " and ".join(str(len(group["params"])) for group in groups)
            raise ValueError(f"the state dict is for {counts} parameters, this optimizer has {len(self.params)}")
        self._refuse(groups[0])
        found = {str(key): memory for key, memory in state_dict["state"].items()}
        remembered = [self._remembered(i, found.pop(str(i), {})) for i in range(len(self.params))]
        if found:
            raise ValueError(f"the state dict remembers {', '.join(found)}, expected 0 to {len(self.params) - 1}")
        for name in self.options:
            setattr(self, name, _plain(groups[0].get(name, getattr(self, name))))
        self.memory = remembered

    def _refuse(self, group: Mapping[str, Any]) -> None:
        """Raise ValueError for an option that would change the numbers, and that this optimizer does not have."""
        for name, number in group.items():
            if name == "decoupled_weight_decay":
                strange = bool(number) != self.decouples and bool(group.get("weight_decay"))
            else:
                strange = bool(number) and name not in (*self.options, *OF_NO_EFFECT)
            if strange:
                raise ValueError(f"the state dict has {name}={number}, which {type(self).__name__} does not know")

    def _remembered(self, i: int, found: Mapping[str, Any]) -> Memory:
        known = ("step", *self.averages.values())
        strange = [key for key, item in found.items() if item is not None and key not in known]
        if strange:
            raise ValueError(f"parameter {i} has {', '.join(strange)}, which {type(self).__name__} does not remember")
        p, memory = self.params[i], Memory(int(found.get("step", 0)))
        for ours, theirs in self.averages.items():
            if found.get(theirs) is not None:
                array = placed(as_array(found[theirs]), p.data, p.dtype)
                if tuple(array.shape) != p.shape:
                    raise ValueError(f"{theirs} of parameter {i} has shape {tuple(array.shape)}, expected {p.shape}")
                memory.averages[ours] = Tensor(array)
        return memory


def _parameters(params: Iterable[Parameter], kind: str) -> list[Parameter]:
    """Return a list. Raises TypeError for what is no tensor, ValueError for none, the same twice, or a computed one."""
    if isinstance(params, Tensor):
        raise TypeError(f"{kind} got a tensor, expected several, in a list or from model.parameters()")
    found = list(params)
    if not found:
        raise ValueError(f"{kind} got no parameters: pass model.parameters()")
    for i, p in enumerate(found):
        if not isinstance(p, Tensor):
            advice = {tuple: ", not of names and parameters", dict: "; there are no groups: make an optimizer for each"}
            raise TypeError(f"{kind} got {type(p).__name__} at {i}, expected parameters{advice.get(type(p), '')}")
        if p.node is not None:
            raise ValueError(f"{kind} cannot update tensor {i}, which was computed: pass what it was computed from")
    if len({id(p) for p in found}) < len(found):
        raise ValueError(f"{kind} got a parameter twice, and would update it twice in each step")
    return found


def at_least_0(number: Any, name: str, expected: str = "a number of at least 0") -> float:
    """Return a float. Raises ValueError for a number below 0, and for none at all."""
    plain = _plain(number)
    if not isinstance(plain, float) or not plain >= 0:
        raise ValueError(f"{name} is {number}, expected {expected}")
    return plain


def a_share(number: Any, name: str) -> float:
    """Return a float. Raises ValueError unless a number is at least 0 and below 1."""
    plain = _plain(number)
    if not isinstance(plain, float) or not 0 <= plain < 1:
        raise ValueError(f"{name} is {number}, expected at least 0 and below 1")
    return plain


def _plain(option: Any) -> Any:
    """A number, or an array or tensor of one, as a float; several as a tuple of them."""
    if isinstance(option, bool):
        return option
    if isinstance(option, (tuple, list)):
        return tuple(map(_plain, option))
    option = option.item() if hasattr(option, "item") else option
    return float(option) if isinstance(option, (int, float)) else option


def _like(x: Any, new: Any) -> Any:
    """A parameter keeps its dtype, whatever gradients and learning rates are; one number stays an array."""
    new = new if type(new) is type(x) else Tensor._wrap(new).data
    return new if new.dtype == x.dtype else cast(new, x.dtype)
