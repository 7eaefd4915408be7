"""Images as strips: of each row of an image, what the windows see that slide along it, one column of theirs at a time.

Source: Cho and Brand, MEC: memory-efficient convolution for deep neural network (2017). A number is copied once for
each column of the kernel, but not for each of its rows: as many strips as a kernel has rows, one after the other in
memory, are all that a row of windows sees. Images are (H, C, W, N) in memory, seen as (N, C, H, W): what is copied lies
together, and what comes out of a convolution lies in the same order, so that layers in a row need no copies.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tinynet.backend import namespace
from tinynet.functional.kernels.axes import seen
from tinynet.memory import empty


def rows_of(images, groups):
    """Images (N, C, H, W), or (N, C, W), as rows (groups, H, C/groups, W · N): a copy, unless they lie so in memory."""
    batch, channels, *above, width = images.shape
    rows = images.reshape(batch, channels, prod(above), width).transpose(2, 1, 3, 0)
    return rows.reshape(prod(above), groups, channels // groups, width * batch).swapaxes(0, 1)


def images_of(rows, shape):
    """Rows (groups, H, C/groups, W · N) as images of the ``shape``: a view of ``empty_rows``."""
    batch, channels, *above, width = shape
    return rows.swapaxes(0, 1).reshape(prod(above), channels, width, batch).transpose(3, 1, 0, 2).reshape(shape)


def empty_rows(xp, shape, dtype):
    """Rows (groups, H, C/groups, W · N), in memory one row after the other."""
    groups, height, *inner = shape
    return empty(xp, (height, groups, *inner), dtype).swapaxes(0, 1)


def strips_of(rows, down, along):
    """Rows (groups, H, C, W · N) as strips (groups, H with its zeros, K' · C, P' · N)."""
    groups, height, channels, numbers = rows.shape
    batch = numbers // along.size
    sizes = groups, down.before + height + down.after, along.window, channels, along.places, batch
    strips = empty(namespace(rows), sizes, rows.dtype)
    inside = slice(down.before, down.before + height)
    strips[:, : inside.start] = 0
    strips[:, inside.stop :] = 0
    rows = rows.reshape(groups, height, channels, along.size, batch)
    for k, (windows, numbers) in enumerate(seen(along)):
        strip = strips[:, inside, k]
        strip[..., windows, :] = rows[..., numbers, :]
        if windows.start > 0:
            strip[..., : windows.start, :] = 0
        if windows.stop < along.places:
            strip[..., windows.stop :, :] = 0
    return strips.reshape(*sizes[:2], along.window * channels, along.places * batch)


def added_up(strips, along):
    """The way back, of strips without rows of zeros: (groups, H, K' · C, P' · N) to rows (groups, H, C, W · N)."""
    groups, height, many, numbers = strips.shape
    channels, batch = many // along.window, numbers // along.places
    rows = empty_rows(namespace(strips), (groups, height, channels, along.size * batch), strips.dtype)
    rows[...] = 0
    strips = strips.reshape(groups, height, along.window, channels, along.places, batch)
    places = rows.reshape(groups, height, channels, along.size, batch)
    for k, (windows, numbers) in enumerate(seen(along)):
        places[..., numbers, :] += strips[:, :, k, :, windows]
    return rows


def windows_of(strips, window, places, step=1, spacing=1):
    """Windows of as many strips (groups, H, S, P' · N): (groups, P, window · S, P' · N), a view unless spaced."""
    (groups, _, size, along), (group, down, *inner) = strips.shape, strips.strides
    shape, strides = (groups, places, window, size, along), (group, step * down, spacing * down, *inner)
    if type(strips) is np.ndarray and strips.flags.c_contiguous:
        windows = np.ndarray(shape, strips.dtype, strips, 0, strides)  # as below, in less time
    else:
        windows = namespace(strips).lib.stride_tricks.as_strided(strips, shape, strides)
    return windows.reshape(groups, places, window * size, along)
