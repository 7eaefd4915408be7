"""Recurrent networks as plain loops, written from the papers' equations: one sequence, one unit after another.

    Elman (1990); Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000); peepholes of Gers and
    Schmidhuber (2000); coupled gates of Greff et al. (2017); projection and clipped cells of Sak et al. (2014);
    GRU of Cho et al. (2014), and the variant of cuDNN that resets after the recurrent product.

Slow, and sharing nothing with the package that it judges. Parameters come as ``{"weight_ih_l0": array, …}``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, tanh
from typing import Any

import numpy as np

Parameters = dict[str, np.ndarray]
Step = Callable[..., tuple[np.ndarray, ...]]


def sigmoid(z: float) -> float:
    return 1 / (1 + exp(-z)) if z >= 0 else exp(z) / (1 + exp(z))


def products(p: Parameters, name: str, v: np.ndarray) -> list[float]:
    """W v + b, row by row, for ``name`` ih or hh."""
    bias = p.get(f"bias_{name}", np.zeros(len(p[f"weight_{name}"])))
    return [sum(float(w) * float(x) for w, x in zip(row, v, strict=True)) for row in p[f"weight_{name}"]] + bias


def rnn_step(p: Parameters, x: np.ndarray, h: np.ndarray, nonlinearity: str = "tanh") -> tuple[np.ndarray]:
    z = products(p, "ih", x) + products(p, "hh", h)
    return (np.array([tanh(a) if nonlinearity == "tanh" else max(a, 0.0) for a in z]),)


def lstm_step(
    p: Parameters,
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    coupled_gates: bool = False,
    cell_clip: float | None = None,
    **_: Any,
) -> tuple[np.ndarray, np.ndarray]:
    z, size = products(p, "ih", x) + products(p, "hh", h), len(c)
    new_c, shown = np.zeros(size), np.zeros(size)
    look = {gate: p.get(f"weight_c{gate}", np.zeros(size)) for gate in "ifo"}
    order = "igo" if coupled_gates else "ifgo"
    for k in range(size):
        z_k = {gate: z[position * size + k] for position, gate in enumerate(order)}
        i = sigmoid(z_k["i"] + look["i"][k] * c[k])
        f = 1 - i if coupled_gates else sigmoid(z_k["f"] + look["f"][k] * c[k])
        new_c[k] = f * c[k] + i * tanh(z_k["g"])
        if cell_clip is not None:
            new_c[k] = min(max(new_c[k], -cell_clip), cell_clip)
        o = sigmoid(z_k["o"] + look["o"][k] * new_c[k])
        shown[k] = o * tanh(new_c[k])
    return (p["weight_hr"] @ shown if "weight_hr" in p else shown), new_c


def gru_step(p: Parameters, x: np.ndarray, h: np.ndarray, reset_after: bool = True) -> tuple[np.ndarray]:
    from_x, from_h, size = products(p, "ih", x), products(p, "hh", h), len(h)
    r = [sigmoid(from_x[k] + from_h[k]) for k in range(size)]
    z = [sigmoid(from_x[size + k] + from_h[size + k]) for k in range(size)]
    from_reset = products(p, "hh", r * h)
    new = np.zeros(size)
    for k in range(size):
        row = 2 * size + k
        n = tanh(from_x[row] + (r[k] * from_h[row] if reset_after else from_reset[row]))
        new[k] = (1 - z[k]) * n + z[k] * h[k]
    return (new,)


STEPS: dict[str, Step] = {"RNN": rnn_step, "LSTM": lstm_step, "GRU": gru_step}


def network(
    kind: str,
    parameters: Parameters,
    x: np.ndarray,
    states: list[np.ndarray],
    lengths: list[int] | None = None,
    cuts: dict | None = None,
    num_layers: int = 1,
    bidirectional: bool = False,
    truncate: int | tuple[int, int] | None = None,
    bias: bool = True,
    proj_size: int = 0,
    peepholes: bool = False,
    **options: Any,
) -> tuple[np.ndarray, ...]:
    """The outputs (T, N, directions · size), then the last states, each as given: (layers · directions, N, size).

    ``truncate`` (k1, k2), or k for both: every k1 steps, the state is computed again from where it was k2 steps
    before the next cut. A cut state that is in ``cuts`` counts instead of the one computed, and one that is not is
    put there. So a second call with other numbers sees the cut states as constants.
    """
    last = [np.zeros_like(state) for state in states]
    cuts = {} if cuts is None else cuts
    k1, k2 = truncate if isinstance(truncate, tuple) else (truncate or len(x), truncate or len(x))
    directions = 2 if bidirectional else 1
    size = states[0].shape[-1]
    for layer in range(num_layers):
        outputs = np.zeros((*x.shape[:2], directions * size))
        for direction in range(directions):
            place, ending = layer * directions + direction, f"_l{layer}" + "_reverse" * direction
            p = {name.removesuffix(ending): w for name, w in parameters.items() if name.endswith(ending)}
            for n in range(x.shape[1]):
                now = tuple(state[place, n] for state in states)
                order = list(range(len(x)))[:: -1 if direction else 1]
                before = []
                for position, t in enumerate(order):
                    before.append(now)
                    if lengths is None or t < lengths[n]:
                        if position and position % k1 == 0:
                            start = max(0, position + k1 - k2)
                            now = cuts.setdefault((place, n, t), before[start]) if start else before[0]
                            for earlier in order[start:position]:
                                if lengths is None or earlier < lengths[n]:
                                    now = STEPS[kind](p, x[earlier, n], *now, **options)
                        now = STEPS[kind](p, x[t, n], *now, **options)
                        outputs[t, n, direction * size : (direction + 1) * size] = now[0]
                for kept, state in zip(last, now, strict=True):
                    kept[place, n] = state
        x = outputs
    return outputs, *last
