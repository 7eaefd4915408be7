"""Module: parameters, buffers and child modules by attribute path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from tinynet.backend import copied, kind, library, moved, placed
from tinynet.nn.state import as_array, read_state
from tinynet.tape import state
from tinynet.tensor import Buffer, Parameter, Tensor


class Module:
    """Base of all layers: a subclass sets Parameters, Buffers and Modules as attributes and defines ``forward``."""

    training: bool = True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if state.recorder is None:
            return self.forward(*inputs, **options)
        with state.recorder.in_module(self):
            return self.forward(*inputs, **options)

    def __setattr__(self, name: str, item: Any) -> None:
        if isinstance(item, (list, tuple, dict)):
            self._refuse_hidden(name, item.values() if isinstance(item, dict) else item)
        object.__setattr__(self, name, item)

    def _refuse_hidden(self, name: str, items: Iterable[Any]) -> None:
        """Raise TypeError for modules and parameters that stand nowhere but in a list: they would not be trained."""
        known = {id(item) for _, module in self.named_modules() for item in (module, *vars(module).values())}
        for item in items:
            if isinstance(item, (Module, Parameter)) and id(item) not in known:
                kind = type(item).__name__
                use = "put modules into nn.ModuleList([...])" if isinstance(item, Module) else "give it an attribute"
                raise TypeError(f"{name} is a list, tuple or dict with a {kind}, which would not be trained: {use}")

    def __repr__(self) -> str:
        inside = [f"({name}): {child!r}" for name, child in self.children()]
        lines = [line for item in filter(None, [self.extra_repr(), *inside]) for line in item.split("\n")]
        if not inside:
            return f"{type(self).__name__}({', '.join(lines)})"
        return "\n".join([f"{type(self).__name__}(", *(f"  {line}" for line in lines), ")"])

    def extra_repr(self) -> str:
        """What ``repr`` says of the module itself: the arguments that are no defaults, where it has kept them."""
        said = []
        for name, parameter in signature(type(self)).parameters.items():
            kept = getattr(self, name, parameter.default)
            if isinstance(parameter.default, bool):
                kept = kept is not None and kept is not False  # a bias is None, or a Parameter
            if isinstance(kept, (bool, int, float, str, tuple)) and kept != parameter.default:
                said.append(f"{name}={kept!r}")
        return ", ".join(said)

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for the direct children, in the order of assignment."""
        for name, item in vars(self).items():
            if isinstance(item, Module):
                yield name, item

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield (path, module) for this module (path ``""``) and all below it."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (path, parameter) for all parameters, once each."""
        return self._named(Parameter)

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Yield (path, buffer) for all buffers, once each."""
        return self._named(Buffer)

    def parameters(self) -> Iterator[Parameter]:
        """Yield all parameters, once each."""
        return (parameter for _, parameter in self.named_parameters())

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all parameters and buffers by path, each where it is."""
        return {path: copied(tensor.data) for path, tensor in self._named(Parameter, Buffer)}

    def load_state_dict(self, state_dict: Mapping[str, Any] | str | Path) -> None:
        """Take over parameters and buffers from arrays, tensors (PyTorch's too) or a file.

        Each keeps its dtype and stays where it is; a count of batches may be missing, as it is in runs and old files.
        A path names a ``.safetensors``, ``.npz``, ``.pt`` or ``.pth`` file (see ``nn.state``). Raises ValueError that
        names every missing, unexpected or misshapen key; nothing is loaded then.
        """
        given = read_state(state_dict) if isinstance(state_dict, (str, Path)) else state_dict
        own: dict[str, Tensor] = dict(self._named(Parameter, Buffer))
        arrays = {key: as_array(item) for key, item in given.items()}
        faults = [f"missing {key}" for key in own if key not in arrays and not key.endswith("num_batches_tracked")]
        faults += [f"unexpected {key}" for key in arrays if key not in own]
        for key in [key for key in own if key in arrays]:
            found, tensor = arrays[key], own[key]
            if tuple(found.shape) != tensor.shape:
                faults.append(f"{key} has shape {tuple(found.shape)}, expected {tensor.shape}")
            elif kind(found) not in "fiub":
                faults.append(f"{key} holds {found.dtype}, expected real numbers")
        if faults:
            raise ValueError(f"cannot load into {type(self).__name__}: {'; '.join(faults)}")
        for key, tensor in own.items():
            if key in arrays:
                tensor.data = placed(arrays[key], tensor.data, tensor.dtype)

    def to(self, name: str) -> Module:
        """Move all parameters, buffers and gradients to another array library, by name (see ``tinynet.use``).

        They stay the same objects, so that an optimiser made before goes on with them. Returns the module.
        """
        xp = library(name)
        for _, tensor in self._named(Parameter, Buffer):
            tensor.data = moved(tensor.data, xp)
            tensor.grad = None if tensor.grad is None else tensor.grad.to(name)
        return self

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all below it to training (or, with False, evaluation); returns it."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to evaluation."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def _named(self, *kinds: type) -> Iterator[tuple[str, Any]]:
        """Yield (path, tensor) for all tensors of these kinds, once each, module by module."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, item in vars(module).items():
                if isinstance(item, kinds) and id(item) not in seen:
                    seen.add(id(item))
                    yield (f"{path}.{name}" if path else name), item
