"""How a name is read: a role, a key (``hidden`` without case, dots and underscores) and perhaps a time step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

ROLES = (  # role, what stands before the key, what stands behind it
    ("next", ("dnext", "gradnext"), ("",)),
    ("here", ("dhere",), ("",)),
    ("previous", ("dprevious",), ("",)),
    ("gradient", ("dld", "dlossd", "dcostd", "djd", "ded", "dcd", "gradient", "grad", "delta", "nabla", "d"), ("",)),
    ("gradient", ("",), ("gradient", "grad", "delta")),
    ("update", ("new", "updated"), ("",)),
    ("update", ("",), ("new", "updated", "after")),
    ("value", ("",), ("",)),
)
MOMENTS = (  # a moment, what stands before the key, what stands behind it
    ("before", ("prev", "previous", "old"), ("prev", "previous", "old", "before", "tm1")),
    ("initial", ("initial", "init", "first"), ("initial", "init", "start")),
    ("next", ("next",), ("next",)),
    ("last", ("last", "final"), ("last", "final", "n", "end")),
    ("now", ("new", "cur", "curr", "current"), ("new", "t", "cur", "curr", "current", "now")),
    ("all", ("all",), ("sequence", "seq", "list", "all", "states", "history", "hist", "values", "vals", "s", "es")),
)

# What the rank loses where the front of a name, or a time step, was taken off.
WITHOUT_SCOPE, WITH_MOMENT = 5, 10


class Reading(NamedTuple):
    """A way to read a name.

    Its role, the key to look up, the moment; what the rank loses; all but role and moment; its front (``fc1``).
    """

    role: str
    key: str
    moment: int | str | None
    extra: int
    said: str
    scope: str = ""


def plain(name: str) -> str:
    """A name without case, dots, underscores and other signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("∂", "d").replace("δ", "delta"))


def has_free_sign(name: str) -> bool:
    """Whether a name is that of an error, l2_delta say: many take it as y − p, the negative of a gradient."""
    return re.search(r"^(delta|err|error)|(delta|err|error)$", plain(name)) is not None


def singulars(key: str) -> list[str]:
    """What may be called a single one of all time steps: ``h`` of ``hs``."""
    return [rest for moment, rest in _moments(key) if moment == "all"]


@lru_cache(maxsize=4096)
def readings_of(name: str) -> tuple[Reading, ...]:
    """All ways to read a name."""
    text = re.sub(r"^self\.|\.data$", "", name.strip())
    text = re.sub(r"^(.+)_d$", r"d_\1", text)  # W_f_d; without the underscore it is the end of a word
    found = re.fullmatch(r"(.*?)\[(\d+|initial)\](.*)", text)
    index: int | str | None = None
    if found:
        text, index = found[1] + found[3], found[2] if found[2] == "initial" else int(found[2])
    scope, _, last = text.removesuffix(".grad").rpartition(".")
    texts = [(text, "", 0)]
    if scope:
        texts.append((last + ".grad" * text.endswith(".grad"), scope, WITHOUT_SCOPE))
    return tuple(
        Reading(role, key, moment, extra + less, plain(front) + key, front)
        for part, front, less in texts
        for role, key, moment, extra in _read(plain(part), index)
    )


def _read(text: str, index: int | str | None) -> Iterator[tuple[str, str, int | str | None, int]]:
    for role, key in _roles(text):
        yield role, key, index, 0
        for moment, rest in _moments(key):
            if index is None or (not moment.startswith("#") and moment != "initial"):
                yield from _timed(role, rest, moment, index)


def _roles(key: str) -> Iterator[tuple[str, str]]:
    for role, before, behind in ROLES:
        for start, end in product(before, behind):
            if key.startswith(start) and key.endswith(end) and len(key) > len(start) + len(end):
                yield role, key[len(start) : len(key) - len(end)]


def _moments(key: str) -> Iterator[tuple[str, str]]:
    for moment, before, behind in MOMENTS:
        for start, end in [*((b, "") for b in before), *(("", b) for b in behind)]:
            if key.startswith(start) and key.endswith(end) and len(key) > len(start) + len(end):
                yield moment, key[len(start) : len(key) - len(end)]
    numbered = re.fullmatch(r"(.*?[a-z])t?(\d+)", key)
    if numbered:
        for key_ in dict.fromkeys((numbered[1], numbered[1].removesuffix("t"))):
            if key_:
                yield f"#{int(numbered[2])}", key_


def _timed(
    role: str, key: str, moment: str, index: int | str | None
) -> Iterator[tuple[str, str, int | str | None, int]]:
    """A moment read out of a name; of a gradient, what goes to a state before or comes from the state after."""
    if role == "gradient" and moment == "before":
        yield "next", key, index - 1 if isinstance(index, int) else "before", WITH_MOMENT
        return
    if role == "gradient" and moment == "next":
        yield "next", key, index, WITH_MOMENT
        return
    if moment == "before" and isinstance(index, int):
        index -= 1
    yield role, key, ("now" if moment == "next" else moment) if index is None else index, WITH_MOMENT
