"""The checkers: ours and those of others, each of which tells of a case whether its gradients are right."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from benchmarks.checker.case import Case, backward, forward
from tinynet.testing import GradientError, check_gradients

RIGHT, WRONG, CANNOT_TELL, ERROR = "right", "wrong", "cannot tell", "error"

Said = tuple[str, str]  # the verdict and its reason
Checker = Callable[[Case, int], Said]


def ours(case: Case, seed: int, order: int = 1) -> Said:
    try:
        report = check_gradients(case.function, *case.inputs, order=order, seed=seed)
    except GradientError as error:
        return WRONG, str(error)
    except Exception as error:
        return ERROR, repr(error)
    return report.verdict, report.reason


def torch_gradcheck(case: Case, seed: int) -> Said:
    """``torch.autograd.gradcheck`` as it comes; inputs in float64, as its documentation demands."""
    import torch
    from torch.autograd.gradcheck import GradcheckError, gradcheck

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            ctx.inputs = tuple(t.detach().numpy().copy() for t in tensors)
            return torch.from_numpy(forward(case, ctx.inputs).copy())

        @staticmethod
        def backward(ctx, g):
            return tuple(torch.from_numpy(found.copy()) for found in backward(case, ctx.inputs, g.numpy().copy()))

    torch.manual_seed(seed)
    tensors = tuple(torch.from_numpy(a).requires_grad_() for a in _in_float64(case))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            gradcheck(Wrapped.apply, tensors)
    except GradcheckError as error:
        return WRONG, str(error)
    except Exception as error:
        return ERROR, repr(error)
    return RIGHT, ""


def hips_check_grads(case: Case, seed: int) -> Said:
    """``autograd.test_util.check_grads`` of HIPS autograd, backwards and of first order; inputs in float64."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    @primitive
    def wrapped(*arrays):
        return forward(case, arrays)

    def rule(i):
        return lambda y, *arrays: lambda g: backward(case, arrays, g)[i]

    places = tuple(range(len(case.inputs)))
    defvjp(wrapped, *map(rule, places))
    np.random.seed(seed)  # check_grads draws its directions there
    try:
        with np.errstate(all="ignore"):
            check_grads(wrapped, places, modes=["rev"], order=1)(*_in_float64(case))
    except AssertionError as error:
        return WRONG, str(error)
    except Exception as error:
        return ERROR, repr(error)
    return RIGHT, ""


def _in_float64(case: Case) -> list[np.ndarray]:
    return [a.astype(np.float64) for a in case.inputs]


PEERS: dict[str, Checker] = {"torch": torch_gradcheck, "HIPS autograd": hips_check_grads}
MODULES = {"torch": "torch", "HIPS autograd": "autograd"}


def checkers() -> dict[str, Checker]:
    """Ours and those that are installed."""
    there = {name: checker for name, checker in PEERS.items() if importlib.util.find_spec(MODULES[name])}
    return {"tinynet": ours, **there}


def versions() -> str:
    """What is compared, and what is not."""
    told = [f"numpy {version('numpy')}"]
    for name, module in MODULES.items():
        told.append(f"{name} {version(module)}" if importlib.util.find_spec(module) else f"{name} not installed")
    return ", ".join([*told, "MyGrad left out: the package ships no checker (it stands in its test folder only)"])
