"""Which arrays without a gradient are data, and no parameters whose gradient was forgotten."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

PARAMETER = re.compile(
    r"[WUVKwuvkb](_?[A-Za-z]{1,3})?_?\d*|\w*(weight|bias|kernel|filter|theta|gamma|beta|syn|emb|param)\w*"
)
WORDS = re.compile(
    r"[xy]\d*|in|inp|inputs?|true|truth|targets?|tgt|labels?|wanted|goals?|onehot|hot|(mini)?batch|samples?|data|states?"
    r"|masks?|images?|features?",
    re.IGNORECASE,
)


def data_among(missing: Iterable[str], given: Collection[str], compared: Collection[str]) -> tuple[str, ...]:
    """Of arrays without a gradient, those that are data by a word in their name, or because they are arguments.

    ``given`` are the names of the arguments. Where a part of one has a gradient that is ``compared``, its other parts
    should have one too; and so should what is called like a parameter.
    """
    trained = {name.partition(".")[0] for name in compared}
    found = []
    for name in missing:
        front, last = name.partition(".")[0], _last_word(name)
        argument = front in given and front not in trained and not PARAMETER.fullmatch(front)
        if argument or (any(map(WORDS.fullmatch, last.split("_"))) and not PARAMETER.fullmatch(last)):
            found.append(name)
    return tuple(found)


def _last_word(name: str) -> str:
    """``net.x_in.2`` → ``x_in``."""
    return [part for part in name.split(".") if not part.isdigit()][-1]
