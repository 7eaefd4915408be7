"""Write torch.json: what PyTorch computes for a few small networks, for those who have no PyTorch.

    python tests/reference/make.py

Of each case: inputs, parameters, outputs y[0], y[1] … and the gradients of the sum of (k + 1) (y[k]² + y[k]).
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

STEPS, BATCH, INPUTS, UNITS = 4, 2, 2, 3


def numbers(*shape: int) -> torch.Tensor:
    """Random numbers of few digits, which makes a short file."""
    return torch.randn(*shape, dtype=torch.float64).mul(1000).round().div(1000)


def solved(inputs: dict[str, torch.Tensor], parameters: dict[str, torch.Tensor], outputs: list) -> dict:
    sum((k + 1) * (y * y + y).sum() for k, y in enumerate(outputs)).backward()
    return {
        "inputs": {name: x.detach().tolist() for name, x in inputs.items()},
        "parameters": {name: p.detach().tolist() for name, p in parameters.items()},
        "outputs": [y.detach().tolist() for y in outputs],
        "gradients": {name: x.grad.tolist() for name, x in (inputs | parameters).items() if x.grad is not None},
    }


def recurrent(kind: str, layers: int, **options: str) -> dict:
    module = getattr(torch.nn, kind)(INPUTS, UNITS, layers, **options).double()
    for parameter in module.parameters():
        parameter.data = numbers(*parameter.shape).mul(500).round().div(1000)
    names = ["x", "h0", "c0"] if kind == "LSTM" else ["x", "h0"]
    inputs = {name: numbers(layers, BATCH, UNITS).requires_grad_() for name in names}
    inputs["x"] = numbers(STEPS, BATCH, INPUTS).requires_grad_()
    states = (inputs["h0"], inputs["c0"]) if kind == "LSTM" else inputs["h0"]
    output, last = module(inputs["x"], states)
    outputs = [output, *last] if kind == "LSTM" else [output, last]
    return {"kind": kind, "layers": layers, "options": options} | solved(
        inputs, dict(module.named_parameters()), outputs
    )


def cross_entropy(reduction: str) -> dict:
    inputs = {"logits": numbers(3, 4).mul(5).requires_grad_(), "target": torch.tensor([2, 0, 3])}
    losses = torch.nn.functional.cross_entropy(inputs["logits"], inputs["target"], reduction=reduction)
    return {"reduction": reduction} | solved(inputs, {}, [losses])


def main() -> None:
    torch.manual_seed(0)
    document = {
        "torch": torch.__version__.partition("+")[0],
        "recurrent": [
            recurrent("RNN", 1, nonlinearity="tanh"),
            recurrent("RNN", 1, nonlinearity="relu"),
            recurrent("LSTM", 2),
        ],
        "cross_entropy": [cross_entropy(reduction) for reduction in ("mean", "sum", "none")],
    }
    Path(__file__).with_name("torch.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
