"""What a wrong gradient looks like beside the numerical one: a sign, a factor, a transposition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

Gradients = Sequence[np.ndarray | None]


def hint(names: Sequence[str], gradients: Gradients, numerical: Gradients, error: Gradients) -> str:
    """Return what turns the measured gradients into the claimed ones, as the end of a sentence; "" where nothing does.

    Only inputs of which every element was measured are looked at. Something that a single number shows by chance, such
    as an odd factor, is not said.
    """
    said = []
    measured = {i: n for i, n in enumerate(numerical) if n is not None and n.size and np.all(np.isfinite(n))}
    for i, exact in measured.items():
        claimed, allowed = np.asarray(gradients[i]), np.asarray(error[i]) + 1e-9 * np.max(np.abs(exact))
        if np.all(np.abs(claimed - exact) <= allowed):
            continue
        words = next(
            (text for text, other in _likely(exact, i, names, measured) if _same(claimed, other, allowed)), None
        )
        if words:
            said.append(f"; the gradient of {names[i]} {words}")
    return "".join(said)


def _same(claimed: np.ndarray, other: np.ndarray, allowed: np.ndarray) -> bool:
    return claimed.shape == other.shape and bool(np.all(np.abs(claimed - other) <= 4 * np.max(allowed)))


def _likely(
    exact: np.ndarray, i: int, names: Sequence[str], measured: dict[int, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    yield "is zero", 0 * exact
    yield "has the wrong sign", -exact
    for factor, words in ((2.0, "twice"), (0.5, "half of"), (-2.0, "minus twice"), (-0.5, "minus half of")):
        yield f"is {words} what it should be", factor * exact
    if exact.ndim == 2 and exact.shape[0] == exact.shape[1] > 1:
        yield "is transposed", exact.T
    if exact.size > 1:
        for axis, size in enumerate(exact.shape):
            yield f"is divided by {size}, the size of axis {axis}", exact / size
            yield f"is multiplied by {size}, the size of axis {axis}", exact * size
            yield f"is reversed along axis {axis}", np.flip(exact, axis)
    for j, other in measured.items():
        if j != i and other.shape == exact.shape:
            yield f"is that of {names[j]}", other
