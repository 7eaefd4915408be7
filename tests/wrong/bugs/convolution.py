"""Bugs of a small convolutional net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.wrong.bug import Bug, Row, bugs_of, times
from tests.wrong.bugs.common import classifier_bugs
from tests.wrong.convolution import ConvNet, Pair, cut, places, put
from tests.wrong.network import Array

bug = bugs_of("conv_net")

# Where the window of the output pixel (i, j) should not begin: a slug, the words, the corner.
CORNERS: dict[str, tuple[str, Callable[[ConvNet, int, int], Pair]]] = {
    "stride-ignored": ("the stride is ignored", lambda net, i, j: (i - net.padding[0], j - net.padding[1])),
    "stride-swapped": (
        "the strides of rows and columns are swapped",
        lambda net, i, j: (i * net.stride[1] - net.padding[0], j * net.stride[0] - net.padding[1]),
    ),
    "padding-swapped": (
        "the paddings of rows and columns are swapped",
        lambda net, i, j: (i * net.stride[0] - net.padding[1], j * net.stride[1] - net.padding[0]),
    ),
    "padding-ignored": ("the padding is forgotten", lambda net, i, j: (i * net.stride[0], j * net.stride[1])),
    "column-one-off": (
        "the windows begin one column late",
        lambda net, i, j: (i * net.stride[0] - net.padding[0], j * net.stride[1] - net.padding[1] + 1),
    ),
    "kernel-for-stride": (
        "the size of the kernel is taken for the stride",
        lambda net, i, j: (i * net.kernel[0] - net.padding[0], j * net.kernel[1] - net.padding[1]),
    ),
    "row-for-column": (
        "row and column of the output are taken for each other",
        lambda net, i, j: (j * net.stride[0] - net.padding[0], i * net.stride[1] - net.padding[1]),
    ),
}


def corner_bugs(slug: str, words: str, corner: Callable[[ConvNet, int, int], Pair]) -> list[Bug]:
    """A wrong corner in the whole convolution, in the gradient of x alone, and in that of the kernels alone."""
    keyword = slug.split("-")[0]

    def wrong(net: ConvNet, right: Any, i: int, j: int) -> Pair:
        return corner(net, i, j)

    def window(net: ConvNet, right: Any, i: int, j: int) -> Array:
        return cut(net["x"], corner(net, i, j), net.kernel)

    where, geometry = f"{words}.", Row.CONV_GEOMETRY
    return [
        bug(slug, geometry, f"In the convolution, forward and backward, {where}", "z", f"{keyword}", corner=wrong),
        bug(f"dx-{slug}", geometry, f"In the gradient of x, {where}", "dx", f"{keyword}, dx", corner_back=wrong),
        bug(
            f"dW-{slug}",
            geometry,
            f"In the kernels' gradient, {where}",
            "dW_conv",
            f"{keyword}, dW",
            window_back=window,
        ),
    ]


def flipped(*axes: int) -> Callable[..., Array]:
    return lambda net, right: np.flip(right(), axes)


def last_row_dropped(net: ConvNet, right: Any) -> Array:
    dx = right()
    dx[:, :, -1] = 0
    return dx


def last_window(net: ConvNet, right: Any, i: int, j: int) -> Array:
    return right(*places(net.size)[-1])


CONVOLUTION = [
    *(found for slug, (words, corner) in CORNERS.items() for found in corner_bugs(slug, words, corner)),
    bug(
        "dx-overwritten",
        Row.CONV_GEOMETRY,
        "Where windows overlap, the gradient of x is overwritten.",
        "dx",
        "overlap, overwritten",
        into_dx=lambda net, right, dx, corner, window: put(dx, corner, window),
    ),
    bug(
        "dx-remainder-dropped",
        Row.CONV_GEOMETRY,
        "The gradient of x ends a row early, as if the stride left a remainder of two.",
        "dx",
        "remainder",
        dx=last_row_dropped,
    ),
    bug(
        "dW-overwritten",
        Row.OVERWRITTEN,
        "The gradient of the kernels is overwritten at every place: it holds the share of the last one.",
        "dW_conv",
        "overwritten",
        summed=lambda net, right, shares: list(shares)[-1],
    ),
    bug(
        "dW-of-one-buffer",
        Row.IN_PLACE,
        "Every window is read into one buffer in place, so the gradient of the kernels sees the last window only.",
        "dW_conv",
        "in place",
        window_back=last_window,
    ),
    bug(
        "true-convolution",
        Row.CONV_FLIP,
        "The kernels are flipped, as in a true convolution; the gradient of x agrees with that.",
        "z",
        "flip",
        kernels=flipped(2, 3),
        kernels_back=flipped(2, 3),
    ),
    bug(
        "true-convolution-forward",
        Row.CONV_FLIP,
        "The kernels are flipped in the forward pass only.",
        "z",
        "flip",
        kernels=flipped(2, 3),
    ),
    bug(
        "kernel-rows-flipped",
        Row.CONV_FLIP,
        "The rows of the kernels are flipped, forward and backward.",
        "z",
        "flip",
        kernels=flipped(2),
        kernels_back=flipped(2),
    ),
    bug(
        "dx-kernel-flipped",
        Row.CONV_FLIP,
        "The gradient of x goes through flipped kernels.",
        "dx",
        "flip",
        kernels_back=flipped(2, 3),
    ),
    bug(
        "dx-kernel-columns-flipped",
        Row.CONV_FLIP,
        "The gradient of x goes through kernels whose columns are flipped.",
        "dx",
        "flip",
        kernels_back=flipped(3),
    ),
    bug(
        "dW-flipped",
        Row.CONV_FLIP,
        "The gradient of the kernels is correlated the wrong way round and comes out flipped.",
        "dW_conv",
        "flip",
        dW_conv=flipped(2, 3),
    ),
    bug(
        "kernels-reshaped",
        Row.AXES,
        "The kernels came with the channels last and were reshaped where they had to be transposed.",
        "z",
        "reshape, kernel",
        kernels=lambda net, right: right().transpose(0, 2, 3, 1).reshape(right().shape),
        kernels_back=lambda net, right: right().transpose(0, 2, 3, 1).reshape(right().shape),
    ),
    bug(
        "channels-exchanged",
        Row.AXES,
        "The channels of x come in reverse, as BGR for RGB.",
        "z",
        "channels",
        window=lambda net, right, i, j: right(i, j)[:, ::-1],
    ),
    bug(
        "b_conv-twice",
        Row.BIAS_TWICE,
        "The bias of the convolution is added twice.",
        "z",
        "bias, twice",
        z=lambda net, right: right() + net.weights["b_conv"][:, None, None],
    ),
    bug(
        "b_conv-missing",
        Row.TWO_BIASES,
        "The bias of the convolution is left out.",
        "z",
        "bias",
        z=lambda net, right: right() - net.weights["b_conv"][:, None, None],
    ),
    bug(
        "db-mean",
        Row.BIAS_GRADIENT,
        "The gradient of the bias is averaged over the batch and the places.",
        "db_conv",
        "bias, mean",
        db_conv=lambda net, right: net["dz"].mean(axis=(0, 2, 3)),
    ),
    bug(
        "db-mean-over-batch",
        Row.BIAS_GRADIENT,
        "The gradient of the bias is averaged over the batch and summed over the places.",
        "db_conv",
        "bias, mean",
        db_conv=times(lambda net: 1 / net.N),
    ),
    bug(
        "db-mean-over-places",
        Row.BIAS_GRADIENT,
        "The gradient of the bias is summed over the batch and averaged over the places.",
        "db_conv",
        "bias, mean",
        db_conv=lambda net, right: net["dz"].mean(axis=(2, 3)).sum(axis=0),
    ),
    bug(
        "db-of-first-picture",
        Row.BIAS_GRADIENT,
        "The gradient of the bias is not summed over the batch.",
        "db_conv",
        "bias, batch",
        db_conv=lambda net, right: net["dz"][0].sum(axis=(1, 2)),
    ),
    bug(
        "db-of-first-place",
        Row.BIAS_GRADIENT,
        "The gradient of the bias is summed over the batch, but not over the places.",
        "db_conv",
        "bias, axis",
        db_conv=lambda net, right: net["dz"].sum(axis=0)[:, 0, 0],
    ),
    bug(
        "db-of-first-column",
        Row.BIAS_GRADIENT,
        "The gradient of the bias is summed over the batch and the rows, but not over the columns.",
        "db_conv",
        "bias, axis",
        db_conv=lambda net, right: net["dz"].sum(axis=(0, 2))[:, 0],
    ),
    bug(
        "dW-averaged-twice",
        Row.FACTOR,
        "The gradient of the kernels is divided by the batch size once more.",
        "dW_conv",
        "factor, batch",
        dW_conv=times(lambda net: 1 / net.N),
    ),
    bug(
        "dW-averaged-over-places",
        Row.FACTOR,
        "The gradient of the kernels is averaged over the places of the window.",
        "dW_conv",
        "factor, places",
        dW_conv=times(lambda net: 1 / len(places(net.size))),
    ),
]

RELU = [
    bug(
        "relu-unmasked",
        Row.ACTIVATION_DERIVATIVE,
        "The derivative of the relu is forgotten.",
        "dz",
        "derivative, relu",
        dz=lambda net, right: net["da"],
    ),
    bug(
        "relu-of-gradient",
        Row.ACTIVATION_DERIVATIVE,
        "The relu's mask is taken of the gradient instead of z.",
        "dz",
        "derivative, relu",
        dz=lambda net, right: np.maximum(net["da"], 0),
    ),
    bug(
        "relu-function",
        Row.ACTIVATION_DERIVATIVE,
        "The gradient is multiplied by the relu itself.",
        "dz",
        "derivative, relu",
        dz=lambda net, right: net["da"] * net["a"],
    ),
    bug(
        "relu-in-place",
        Row.IN_PLACE,
        "The relu overwrites z, whose sign is all that the derivative asks for.",
        "",
        "in place, relu",
        dz=lambda net, right: net["da"] * (net["a"] > 0),
    ),
    bug(
        "db-of-da",
        Row.PRE_ACTIVATION,
        "The gradient of the bias sums da where it wants dz.",
        "db_conv",
        "bias, da",
        db_conv=lambda net, right: net["da"].sum(axis=(0, 2, 3)),
    ),
]


def last_of_ties(net: ConvNet, right: Any, window: Array) -> Array:
    return right(window[:, :, ::-1, ::-1])[:, :, ::-1, ::-1]


def all_ties(net: ConvNet, right: Any, window: Array) -> Array:
    return net.array(window == window.max(axis=(2, 3), keepdims=True))


def shared_ties(net: ConvNet, right: Any, window: Array) -> Array:
    winners = all_ties(net, right, window)
    return winners / winners.sum(axis=(2, 3), keepdims=True)


def split_by_rows(net: ConvNet, right: Any, window: Array) -> Array:
    """The winner's flat index, taken for row + column · rows."""
    rows, columns = net.pool
    return right(window).reshape(*window.shape[:2], columns, rows).swapaxes(2, 3)


def first_cell(net: ConvNet, right: Any, window: Array) -> Array:
    winners = np.zeros_like(window)
    winners[:, :, 0, 0] = 1
    return winners


POOLING = [
    bug(
        "ties-all",
        Row.MAX_POOL,
        "Every one of equal maxima gets the full gradient.",
        "da",
        "ties",
        data="ties",
        winners=all_ties,
    ),
    bug(
        "ties-all-at-zero",
        Row.MAX_POOL,
        "Every one of equal maxima gets the full gradient; here only the zeros of the relu are equal.",
        "da",
        "ties",
        winners=all_ties,
    ),
    bug(
        "ties-last",
        Row.MAX_POOL,
        "The last of equal maxima gets the gradient, where PyTorch gives it to the first.",
        "da",
        "ties",
        data="ties",
        winners=last_of_ties,
    ),
    bug(
        "ties-shared",
        Row.MAX_POOL,
        "Equal maxima share the gradient, where PyTorch gives it to the first.",
        "da",
        "ties",
        data="ties",
        winners=shared_ties,
    ),
    bug(
        "pool-overwritten",
        Row.MAX_POOL,
        "Where windows of the pooling overlap, the gradient is overwritten.",
        "da",
        "overlap, overwritten",
        into_da=lambda net, right, da, corner, window: put(da, corner, window),
    ),
    bug(
        "pool-to-first",
        Row.MAX_POOL,
        "The gradient of a window goes to its first cell, wherever the maximum is.",
        "da",
        "maximum",
        winners=first_cell,
    ),
    bug(
        "pool-to-all",
        Row.MAX_POOL,
        "The gradient of a window goes to all its cells.",
        "da",
        "maximum",
        winners=lambda net, right, window: np.ones_like(window),
    ),
    bug(
        "pool-as-average-backward",
        Row.MAX_POOL,
        "All cells of a window share its gradient, as in average pooling.",
        "da",
        "average",
        winners=lambda net, right, window: np.full_like(window, 1 / window[0, 0].size),
    ),
    bug(
        "pool-index-split-by-rows",
        Row.MAX_POOL,
        "The flat index of a maximum is split into row and column by the number of rows.",
        "da",
        "index",
        winners=split_by_rows,
    ),
    bug(
        "pool-stride-ignored",
        Row.MAX_POOL,
        "The gradient of the pooling ignores the stride.",
        "da",
        "stride",
        pool_corner_back=lambda net, right, i, j: (i, j),
    ),
    bug(
        "pool-stride-swapped",
        Row.MAX_POOL,
        "The gradient of the pooling swaps the strides of rows and columns.",
        "da",
        "stride",
        pool_corner_back=lambda net, right, i, j: (i * net.pool_stride[1], j * net.pool_stride[0]),
    ),
    bug(
        "pool-by-its-size",
        Row.MAX_POOL,
        "The windows of the gradient are a window apart: the stride is taken for the size.",
        "da",
        "stride",
        pool_corner_back=lambda net, right, i, j: (i * net.pool[0], j * net.pool[1]),
    ),
    bug(
        "pool-by-average",
        Row.OTHER,
        "The pooling takes the average; the backward pass agrees with that.",
        "m",
        "average",
        largest=lambda net, right, window: window.mean(axis=(2, 3)),
        winners=lambda net, right, window: np.full_like(window, 1 / window[0, 0].size),
    ),
    bug(
        "pool-by-minimum",
        Row.OTHER,
        "The pooling takes the minimum.",
        "m",
        "minimum",
        largest=lambda net, right, window: window.min(axis=(2, 3)),
    ),
    bug(
        "flat-channels-last",
        Row.AXES,
        "The output layer reads the maps with the channels last; the backward pass agrees with that.",
        "logits",
        "reshape, channels",
        features=lambda net, right: net["m"].transpose(0, 2, 3, 1).reshape(net.N, -1),
        unflat=lambda net, right, d: d.reshape(net.N, *net.pooled_size, -1).transpose(0, 3, 1, 2),
    ),
    bug(
        "dm-reshaped",
        Row.AXES,
        "The gradient of the maps is given its shape by a reshape with the channels last.",
        "dm",
        "reshape, channels",
        unflat=lambda net, right, d: d.reshape(net.N, *net.pooled_size, -1).transpose(0, 3, 1, 2),
    ),
    bug(
        "dm-expanded-wrongly",
        Row.SUM_SHAPE,
        "The gradient of the maps is expanded from its sum over the places: each place gets the same share.",
        "dm",
        "shape",
        unflat=lambda net, right, d: np.broadcast_to(right(d).mean(axis=(2, 3), keepdims=True), net["m"].shape),
    ),
]

CONV_NET_BUGS: list[Bug] = [
    *classifier_bugs("conv_net", "W_conv", "dm", timed=False),
    *CONVOLUTION,
    *RELU,
    *POOLING,
]
