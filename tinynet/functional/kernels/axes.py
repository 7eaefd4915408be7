"""Where the windows of a convolution lie along an axis: worked out once for all calls of the same sizes."""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import NamedTuple


class Axis(NamedTuple):
    """How windows slide along an axis of so many numbers, with zeros ``before`` and ``after`` these."""

    size: int
    window: int
    places: int
    step: int
    spacing: int
    before: int
    after: int


@lru_cache(maxsize=1024)
def axes_of(sizes, window, steps, spacing, borders, places=None):
    """The two axes of images; a row of numbers is an image of one row."""
    axes = zip(sizes, window, steps, spacing, borders, places or [None] * len(sizes), strict=True)
    found = [
        Axis(n, k, (low + n + high - d * (k - 1) - 1) // s + 1 if p is None else p, s, d, low, high)
        for n, k, s, d, (low, high), p in axes
    ]
    return found if len(found) == 2 else [Axis(1, 1, 1, 1, 1, 0, 0), *found]


@lru_cache(maxsize=1024)
def seen(axis):
    """For each place in a window: the windows that have a number there, and which these numbers are."""
    found = []
    for k in range(axis.window):
        start = k * axis.spacing - axis.before
        first = min(max(0, -(start // axis.step)), axis.places)
        last = max(first, min(axis.places, (axis.size - 1 - start) // axis.step + 1))
        numbers = slice(max(0, start + axis.step * first), max(0, start + axis.step * last), axis.step)
        found.append((slice(first, last), numbers))
    return found


@lru_cache(maxsize=1024)
def windows_that_see(axis):
    """How many zeros to put before the windows and after them; and for every step-th number, what is alike for these.

    Number n is at place k of window p where n + before = step · p + spacing · k. So every step-th number is at the same
    places, in windows that follow each other. Of these: the numbers, the places, the window that has the first of the
    numbers at the last of the places, and how far apart are the windows that have it at the others.
    """
    before = max(0, ((axis.window - 1) * axis.spacing - axis.before) // axis.step)
    after = max(0, (axis.size - 1 + axis.before) // axis.step + 1 - axis.places)
    shared = gcd(axis.step, axis.spacing)
    apart, alike = axis.step // shared, []
    for n in range(min(axis.step, axis.size)):
        from_here = (k for k in range(axis.window) if (n + axis.before - axis.spacing * k) % axis.step == 0)
        start = next(from_here, axis.window)
        last = start + (axis.window - 1 - start) // apart * apart
        first = before + (n + axis.before - axis.spacing * last) // axis.step
        alike.append((slice(n, None, axis.step), slice(start, None, apart), first, axis.spacing // shared))
    return before, after, alike
