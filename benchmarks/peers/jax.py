"""JAX: the whole step compiled, the old parameters' memory given to the new."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from benchmarks.networks import Network, Step
from benchmarks.networks.network import LR
from benchmarks.peers.arrays import Operations

# JAX reads it when it is imported
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy

jax.config.update("jax_enable_x64", True)


class JaxOperations(Operations):
    def convolve(self, x: Any, weight: Any, bias: Any) -> Any:
        return jax.lax.conv(x, weight, (1, 1), "SAME") + bias[:, None, None]

    def loop(self, step: Callable[[Any, Any], Any], state: Any, series: Any) -> Any:
        return jax.lax.scan(lambda state, item: (step(state, item), None), state, series)[0]


def compiled(network: Network) -> Step:
    ops = JaxOperations(jax.numpy)
    x, y = jax.numpy.asarray(network.x), jax.numpy.asarray(network.y)
    parameters = {name: jax.numpy.array(array) for name, array in network.state.items()}

    def updated(parameters: Any) -> Any:
        loss, gradients = jax.value_and_grad(lambda p: network.loss(ops, p, x, y))(parameters)
        return loss, {name: p - LR * gradients[name] for name, p in parameters.items()}

    train = jax.jit(updated, donate_argnums=0)

    def step() -> float:
        nonlocal parameters
        loss, parameters = train(parameters)
        return float(loss)

    return step
