"""Second looks at an element that seems wrong: no gradient is called that by chance."""

from __future__ import annotations

import numpy as np

from tinynet.testing.agreement import CLEAR, INEXACT
from tinynet.testing.lines import Lines
from tinynet.testing.richardson import Estimate

DECADES = [0.83 * 10.0**-k for k in range(1, 25)]  # of steps
LARGE = [0.83 * 10.0 ** (-k / 2) for k in range(2, 7)]  # steps


def too_inexact(claimed: float, estimate: Estimate) -> str:
    """Why a numerical derivative proves nothing against a gradient that is another one; "" where it does."""
    if not np.isfinite(claimed):
        return ""
    gap = abs(claimed - estimate.value)
    if estimate.error > max(INEXACT * max(abs(estimate.value), abs(claimed)), gap / CLEAR):
        return f"the numerical derivative, {estimate.value:.3g}, is off by up to {estimate.error:.1g}"
    if gap <= estimate.error + estimate.hidden:
        return "the difference is so small that rounding may hide it"
    return ""


def outside_a_kink(lines: Lines, k: int, estimate: Estimate) -> bool:
    """Whether what is claimed of element ``k`` at a kink is far from all that there may be.

    Any rule for a kink, such as one that all slopes there are 0, or are added, gives something between the slopes, 0,
    and their sum, or near that, if the function works element by element. Of others nothing is known.
    """
    if estimate.slopes is None or not lines.elementwise(k):
        return False
    candidates = (0.0, *estimate.slopes, sum(estimate.slopes))
    low, high = min(candidates), max(candidates)
    claimed, margin = float(lines.claimed[k]), high - low
    return not low - margin <= claimed <= high + margin


def unrepeatable(lines: Lines, k: int, estimate: Estimate) -> str:
    """Why other steps prove something else of element ``k``; "" where they do not."""
    group, alone = np.array([k]), np.ones(1)
    again = lines.estimate(group, alone, first=0.37)
    near = float(np.abs(lines.point[k]))
    closer = lines.estimate(group, alone, first=0.37 * near) if 0 < near < 1 else again
    if again.doubt:
        return again.doubt
    differs = abs(again.value - estimate.value) > again.error + estimate.error
    if not closer.doubt:
        differs |= abs(closer.value - estimate.value) > closer.error + estimate.error
    else:  # too noisy to tell by itself, but a slope of another order is no noise
        differs |= abs(closer.value) > 1000 * (abs(estimate.value) + estimate.error)
    differs = differs or _as_claimed_nearby(lines, k, near, estimate)
    return "two measurements differ: something happens very near" if differs else ""


def _as_claimed_nearby(lines: Lines, k: int, near: float, estimate: Estimate) -> bool:
    """Whether other steps have the slope that is claimed: small ones of three decades, or two of the largest."""
    gap = abs(float(lines.claimed[k]) - estimate.value)
    if not np.isfinite(gap):
        return False
    nearby = [_in_a_row(lines, k, [scale * t for t in DECADES], gap / 20) for scale in (1.0, near) if scale]
    return max(nearby) >= 3 or _in_a_row(lines, k, LARGE, gap / 3) >= 2


def _in_a_row(lines: Lines, k: int, steps: list[float], gap: float) -> int:
    """How many steps in a row, each of which moves something, have the slope that is claimed."""
    claimed, function = float(lines.claimed[k]), lines.along(np.array([k]), np.ones(1))
    longest = found = 0
    for t in steps:
        rise = float(np.sum(function(t) - function(-t)))
        found = found + 1 if rise != 0 and abs(rise / (2 * t) - claimed) <= gap else 0
        longest = max(longest, found)
    return longest
