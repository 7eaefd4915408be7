"""Bugs of weights whose rows hold several gates: in another order, or in one gate alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.wrong.bug import Bug, Row, bugs_of, only
from tests.wrong.bugs.recurrent import later, reshaped
from tests.wrong.network import Array


def order_bugs(network: str, gates: str, wrong_orders: dict[str, str]) -> list[Bug]:
    """Rows in the order ``gates`` are read in another one: for each, the first gate that comes out wrong."""
    bug, bugs = bugs_of(network), []
    for order, first in wrong_orders.items():
        read = f"the rows of the gates {', '.join(gates)} are read as {', '.join(order)}."
        reordered = _reordered(gates, order)
        bugs += [
            bug(
                f"order-{order}",
                Row.GATE_ORDER,
                f"In all weights, {read}",
                f"z_{first}[0]",
                "order, gates",
                rows=tuple(f"z_{gate}" for gate in order),
            ),
            bug(
                f"order-{order}-of-U",
                Row.GATE_ORDER,
                f"In W_hh alone, {read}",
                f"z_{first}[0]",
                "order, W_hh",
                load=only("W_hh", reordered),
            ),
            bug(
                f"order-{order}-of-b_ih",
                Row.GATE_ORDER,
                f"In b_ih alone, {read}",
                f"z_{first}[0]",
                "order, b_ih",
                load=only("b_ih", reordered),
            ),
        ]
    return bugs


def gate_bugs(network: str, gates: str) -> list[Bug]:
    """Bugs of a single gate."""
    bug, bugs = bugs_of(network), []
    for k, gate in enumerate(gates):
        in_h = "u_n" if gate == "n" else f"z_{gate}"  # the first quantity that W_hh and b_hh reach
        bugs += [
            bug(
                f"U-transposed-of-{gate}",
                Row.TRANSPOSED,
                f"The recurrent weight of gate {gate} alone was transposed when it was loaded.",
                f"{in_h}[0]",
                f"W_hh, transposed, {gate}",
                load=only("W_hh", _changed(k, len(gates), np.transpose)),
            ),
            bug(
                f"b_hh-missing-of-{gate}",
                Row.TWO_BIASES,
                f"The recurrent bias of gate {gate} alone is left out.",
                f"{in_h}[0]",
                f"b_hh, {gate}",
                load=only("b_hh", _changed(k, len(gates), np.zeros_like)),
            ),
            bug(
                f"carry-h-without-{gate}",
                Row.CARRY,
                f"What gate {gate} sends to the h of the step before is left out.",
                "dh[-2]",
                f"dh, {gate}",
                dh_before=later(_without(f"z_{gate}")),
            ),
            bug(
                f"dx-without-{gate}",
                Row.OTHER,
                f"What gate {gate} sends to x is left out.",
                "dx[-1]",
                f"dx, {gate}",
                dx=_dx_without(f"z_{gate}"),
            ),
        ]
    return bugs


def stacked_bugs(network: str, gates: str) -> list[Bug]:
    """Bugs of weights that hold all gates."""
    bug = bugs_of(network)
    return [
        bug(
            "U-reshaped",
            Row.AXES,
            "The recurrent weight was reshaped where it had to be transposed.",
            f"z_{gates[0]}[0]",
            "W_hh, reshape",
            load=only("W_hh", lambda net, right, symbol, weight: reshaped(weight)),
        ),
        bug(
            "gates-interleaved",
            Row.AXES,
            "The gates of a unit are taken to be neighbours in the weights: (H, gates) for (gates, H).",
            f"z_{gates[0]}[0]",
            "reshape, gates",
            part=lambda net, right, stacked, z: stacked[:, net.rows.index(z) :: len(net.rows)],
        ),
    ]


def _reordered(gates: str, order: str) -> Callable[..., Array]:
    """A weight whose rows are in the order ``gates``, read in another one."""

    def load(net: Any, right: Any, symbol: str, weight: Array) -> Array:
        blocks = np.split(weight, len(gates))
        return np.concatenate([blocks[order.index(gate)] for gate in gates])

    return load


def _changed(k: int, count: int, wrong: Callable[[Array], Array]) -> Callable[..., Array]:
    """A weight of ``count`` gates, that of gate ``k`` changed."""

    def load(net: Any, right: Any, symbol: str, weight: Array) -> Array:
        blocks = np.split(weight, count)
        return np.concatenate([*blocks[:k], wrong(blocks[k]), *blocks[k + 1 :]])

    return load


def _without(z: str) -> Callable[..., Array]:
    return lambda net, right, t: right(t) - net.part(net.d_from_h(t), z) @ net.block("W_hh", z)


def _dx_without(z: str) -> Callable[..., Array]:
    return lambda net, right, t: right(t) - net[f"d{z}", t] @ net.block("W_ih", z)
