"""A function along straight lines through a point: what is measured there, beside what its gradients claim."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tinynet.testing.numerical import EPSILON, Function, derivative, noise_of
from tinynet.testing.richardson import Estimate
from tinynet.testing.subject import Arrays, Subject, is_floating

SINGLE = float(np.finfo(np.float32).eps)


class Lines:
    """The sum of the outputs times ``cotangents``, along lines through ``arrays``, and the slopes that are claimed.

    The floating-point inputs are one flat vector here; a group is an index array into it. ``precisions`` are the
    relative roundings of the inputs as they came: a gradient may be as coarse as its input, or as the function.
    """

    def __init__(
        self,
        subject: Subject,
        arrays: Arrays,
        outputs: Arrays,
        cotangents: Arrays,
        gradients: list[np.ndarray | None],
        precisions: list[float],
    ):
        self.subject, self.arrays, self.outputs = subject, arrays, outputs
        self.cotangents, self.gradients, self.precisions = cotangents, gradients, precisions
        self.floating = [i for i, a in enumerate(arrays) if is_floating(a)]
        self.point = self.flat(arrays)
        self.claimed = self.flat(gradients)
        self.ends = np.cumsum([arrays[i].size for i in self.floating])
        self.size = self.point.size
        self.unit = float(np.sqrt(sum(float(np.sum(g * g)) for g in cotangents)))
        # Each element moves by about its own size: then the rounding of the large ones does not hide the small.
        random = np.random.default_rng(self.size)
        signs = random.choice([-1.0, 1.0], self.size)
        self.direction = signs * random.uniform(0.5, 1.0, self.size) * np.maximum(1.0, np.abs(self.point))
        self.failure = ""  # what the function raised where it was last asked

    def flat(self, arrays: list[np.ndarray | None] | Arrays) -> np.ndarray:
        """One vector of the arrays that belong to floating-point inputs."""
        return np.concatenate([np.asarray(arrays[i]).reshape(-1) for i in self.floating]).astype(np.float64)

    def place(self, k: int) -> tuple[int, tuple[int, ...]]:
        """The input, and the index in it, of an element of the flat vector."""
        which = int(np.searchsorted(self.ends, k, side="right"))
        i = self.floating[which]
        flat = k - (int(self.ends[which - 1]) if which else 0)
        return i, tuple(int(n) for n in np.unravel_index(flat, self.arrays[i].shape))

    def usual(self, group: np.ndarray) -> np.ndarray:
        """The direction in which a group is moved: an element by itself in its own."""
        return np.ones(1) if group.size == 1 else self.direction[group]

    def estimate(self, group: np.ndarray, along: np.ndarray, first: float = 1.0) -> Estimate:
        """The derivative by one element, or along a group of them; another ``first`` than 1 takes other steps."""
        near = abs(float(self.point[group[0]])) if group.size == 1 else 0.0
        rounded = max(eps_of(self.arrays[i]) for i in self.floating)
        displaced = rounded * float(np.sum(np.abs(self.claimed[group] * self.point[group])))
        displaced = displaced if np.isfinite(displaced) else 0.0
        self.failure = ""
        return derivative(self.along(group, along), near, self.noise, displaced, self.unit, first, self._rounded)

    def along(self, group: np.ndarray, direction: np.ndarray) -> Function:
        """The weighted outputs as a function of how far a group is moved."""

        def function(t: float) -> np.ndarray:
            pairs = zip(self._moved(group, t * direction), self.cotangents, strict=True)
            return np.concatenate([(o * g).reshape(-1) for o, g in pairs if is_floating(o)]).astype(np.float64)

        return function

    def elementwise(self, k: int) -> bool:
        """Whether an element moves nothing but the element at its place of a single output."""
        i, index = self.place(k)
        if len(self.outputs) != 1 or self.outputs[0].shape != self.arrays[i].shape:
            return False
        moved = np.zeros(self.outputs[0].shape, dtype=bool)
        for step in (-0.1, 0.1):
            moved |= self._moved(np.array([k]), np.array([step]))[0] != self.outputs[0]
        return bool(moved[index]) and int(np.sum(moved)) == 1

    def at(self, flat: np.ndarray) -> Arrays:
        """The inputs, with the floating-point ones from a flat vector."""
        arrays = list(self.arrays)
        for i, part in zip(self.floating, np.split(flat, self.ends[:-1]), strict=True):
            arrays[i] = part.reshape(arrays[i].shape).astype(arrays[i].dtype)
        return arrays

    def _moved(self, group: np.ndarray, by: np.ndarray) -> Arrays:
        """The outputs, at the point with a group of its elements moved."""
        flat = self.point.copy()
        flat[group] += by
        try:
            outputs = self.subject.forward(self.at(flat))
        except Exception as error:  # somebody's function may refuse what is outside its domain
            self.failure = f"{type(error).__name__}: {error}"
            outputs = []
        if [o.shape for o in outputs] != [o.shape for o in self.outputs]:
            return [np.full(o.shape, np.nan) if is_floating(o) else o for o in self.outputs]
        return outputs

    @cached_property
    def noise(self) -> np.ndarray:
        """Of each number of the weighted outputs: as measured, or what float32 must have."""
        return np.maximum(noise_of(self.along(np.arange(self.size), self.direction)), self._rounded)

    @cached_property
    def _rounded(self) -> np.ndarray:
        """What float32 does to each number of the weighted outputs."""
        pairs = zip(self.outputs, self.cotangents, strict=True)
        sizes = [np.abs(o * g).reshape(-1) for o, g in pairs if is_floating(o)]
        return SINGLE * self._single * np.concatenate(sizes)

    @cached_property
    def _single(self) -> np.ndarray:
        """Whether each number of the outputs is rounded to float32."""
        moved = self._moved(np.arange(self.size), 1e-3 * self.direction)
        pairs = [(a, b) for a, b in zip(self.outputs, moved, strict=True) if is_floating(a)]
        return np.concatenate([np.full(a.size, _in_float32(a, b)) for a, b in pairs])

    @cached_property
    def function_rounding(self) -> float:
        """That of the coarsest output, relative."""
        return SINGLE if np.any(self._single) else EPSILON

    @cached_property
    def rounding(self) -> np.ndarray:
        """Of each element of the gradients, relative: as coarse as they are, where they may be that."""
        found = []
        for i in self.floating:
            own, given = eps_of(self.arrays[i]), eps_of(np.asarray(self.gradients[i]))
            allowed = own if given <= own else max(self.precisions[i], self.function_rounding)
            found.append(np.full(self.arrays[i].size, max(own, given if given <= allowed else 0.0)))
        return np.concatenate(found)

    @property
    def too_coarse(self) -> list[int]:
        """The inputs whose gradients are of a coarser dtype than they and the function are."""
        ends = zip(self.floating, self.ends, strict=True)
        return [i for i, end in ends if end and eps_of(np.asarray(self.gradients[i])) > self.rounding[end - 1]]


def eps_of(array: np.ndarray) -> float:
    """The relative rounding of a dtype; 0 for integers."""
    return float(np.finfo(array.dtype).eps) if is_floating(array) else 0.0


def _in_float32(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether numbers were rounded to float32: all of them fit into it, and not because none has moved."""
    return bool(np.any(before != after) and np.all(after.astype(np.float32) == after))
