"""Hypotheses: edits of a computation that people make by mistake, each with the sentence that says so.

They are not a list of known bugs. For a quantity that came out wrong, everything that it is computed from is replaced
by everything that could be mistaken for it, every operation by its neighbours, and the result by what is easily
written instead.
"""

from tinynet.debug.hypotheses.about import Hypotheses
from tinynet.debug.hypotheses.base import SHOWN_ONLY, Facts, Family, Hypothesis, family_of, is_mask, symbol
from tinynet.debug.hypotheses.replacements import functions, softmax

__all__ = [
    "SHOWN_ONLY",
    "Facts",
    "Family",
    "Hypotheses",
    "Hypothesis",
    "family_of",
    "functions",
    "is_mask",
    "softmax",
    "symbol",
]
