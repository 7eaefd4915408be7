"""Which gradient is meant by a name that says less, where its numbers are not ours: by the parameter that is left."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from tinynet.debug.names.readings import plain

BEFORE = re.compile(r"(?:gradient|grad|nabla|delta|del|[dg])_?(?=.)", re.IGNORECASE)
BEHIND = re.compile(r"_?(?:gradients?|grads?|diff|delta|(?<=_)[dg])$", re.IGNORECASE)
ALONE = re.compile(r"gradients?|grads?|[dg]", re.IGNORECASE)  # of the only parameter


def left_over(arrays: Mapping[str, np.ndarray], parameters: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The names of ``arrays`` that are those of gradients, and of which of the ``parameters`` {name: shape}.

    The name says it of one parameter only, and no other array is called so.
    """
    for likeness in (_same, _inside, _alike, _alone):
        found = {
            (name, parameter)
            for name, array in arrays.items()
            for parameter, shape in parameters.items()
            if array.shape == shape and likeness(name, parameter)
        }
        names, meant = [name for name, _ in found], [parameter for _, parameter in found]
        sure = {name: p for name, p in found if names.count(name) == 1 and meant.count(p) == 1}
        if sure:
            others = {name: array for name, array in arrays.items() if name not in sure}
            rest = {p: shape for p, shape in parameters.items() if p not in sure.values()}
            return sure | left_over(others, rest)
    return {}


def _same(name: str, parameter: str) -> bool:
    """``gW1`` and ``params.W1``, ``net.w_diff`` and ``net.w``."""
    front, _, last = parameter.rpartition(".")
    mine, _, own = name.rpartition(".")
    if last.isdigit():
        return any(plain(rest) == plain(parameter) for rest in _rests(name))
    return any(plain(rest) == plain(last) and (not mine or mine == front) for rest in _rests(own))


def _inside(name: str, parameter: str) -> bool:
    """``gb.Wx`` and ``bw.Wx``, ``dtheta.A`` and ``theta.A``."""
    front, _, last = parameter.rpartition(".")
    mine, _, own = name.rpartition(".")
    owner = front.rpartition(".")[2]
    return own == last and any(owner.startswith(rest) or owner.endswith(rest) for rest in _rests(mine) if rest)


def _alike(name: str, parameter: str) -> bool:
    """``grad_in`` and ``W_in``, ``nabla_w.0`` and ``weights.0``."""
    parts = parameter.split(".")
    words = re.findall(r"[a-z]+|\d+", ".".join(parts[-1 - parts[-1].isdigit() :]).lower())
    for rest in _rests(name):
        mine = re.findall(r"[a-z]+|\d+", rest.lower())
        ends = len(mine) < len(words) and mine == words[-len(mine) :]
        begins = len(mine) == len(words) and all(w.startswith(m) for m, w in zip(mine, words, strict=True))
        if mine and (ends or begins) and not all(word.isdigit() for word in mine):
            return True
    return False


def _alone(name: str, parameter: str) -> bool:
    return ALONE.fullmatch(name.rpartition(".")[2]) is not None


def _rests(name: str) -> Iterator[str]:
    """What is left of a name without what says that it is a gradient."""
    for rest in (BEFORE.sub("", name, count=1) if BEFORE.match(name) else name, BEHIND.sub("", name)):
        if rest != name:
            yield rest
