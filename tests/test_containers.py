"""Modules in modules: what is held is trained and called, or refused by name; and how modules show themselves."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinynet import functional as F
from tinynet import nn

REFUSED = {
    "a function": ((nn.Linear(1, 1), F.relu), "Sequential got relu at '1', expected a Module: use nn.ReLU()"),
    "another": ((F.max_pool2d,), "Sequential got max_pool2d at '0', expected a Module: use nn.MaxPool2d()"),
    "any function": ((abs,), "Sequential got abs at '0', expected a Module: write a Module whose forward calls it"),
    "a list": (([nn.Linear(3, 2)],), "expected a Module: pass them one by one, Sequential(*modules)"),
    "a class": ((nn.ReLU,), "Sequential got ReLU at '0', expected a Module: make one, ReLU()"),
    "in a dict": (({"act": F.tanh},), "Sequential got tanh at 'act', expected a Module: use nn.Tanh()"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_sequential_refuses_what_is_no_module(case):
    modules, message = REFUSED[case]
    with pytest.raises(TypeError, match=re.escape(message)):
        nn.Sequential(*modules)


@pytest.mark.parametrize("name", ["forward", "training", "a.b", ""])
def test_sequential_refuses_a_name_that_is_taken(name):
    with pytest.raises(ValueError, match=f"Sequential cannot call a module {name!r}"):
        nn.Sequential({name: nn.ReLU()})


def test_a_sequential_has_places():
    net = nn.Sequential({"hidden": nn.Linear(2, 3), "act": nn.Tanh(), "head": nn.Linear(3, 1)})
    assert len(net) == 3 and net[0] is net.hidden and net[-1] is net.head and list(net) == [*net[:]]
    assert [name for name, _ in net[1:].children()] == ["act", "head"]
    with pytest.raises(IndexError):
        net[3]


class Stack(nn.Module):
    def __init__(self, layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def test_a_module_list_is_trained():
    net = Stack(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)]).append(nn.Tanh()))
    assert [name for name, _ in net.named_parameters()] == [f"layers.{i}.{w}" for i in "01" for w in ("weight", "bias")]
    assert len(net.layers) == 3 and net.layers[1] is list(net.layers)[1] and len(net.layers[1:]) == 2


@pytest.mark.parametrize("pack", [list, tuple, lambda modules: dict(enumerate(modules))])
def test_modules_and_parameters_that_would_not_be_trained_are_refused(pack):
    with pytest.raises(TypeError, match=r"layers is a list, tuple or dict with a Linear.*nn\.ModuleList"):
        Stack(pack([nn.Linear(2, 2)]))
    with pytest.raises(TypeError, match="with a Parameter, which would not be trained: give it an attribute"):
        Stack(pack([nn.Parameter(np.ones(2))]))


def test_a_list_of_modules_that_have_attributes_too_is_none_of_our_business():
    net = Stack(nn.Linear(2, 2))
    net.all, net.weights = [net.layers], [net.layers.weight]
    assert len(list(net.parameters())) == 2


def test_a_module_shows_its_parts():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, bias=False), nn.MaxPool2d(2), nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(0.2)), nn.Dropout()
    )
    assert repr(net).split("\n") == [
        "Sequential(",
        "  (0): Conv2d(in_channels=1, out_channels=2, kernel_size=(3, 3), bias=False)",
        "  (1): MaxPool2d(kernel_size=2, padding=0, dilation=1, ceil_mode=False)",
        "  (2): Sequential(",
        "    (0): Linear(in_features=3, out_features=4)",
        "    (1): LeakyReLU(negative_slope=0.2)",
        "  )",
        "  (3): Dropout()",
        ")",
    ]
    assert repr(nn.GRU(2, 3, bidirectional=True)) == "GRU(input_size=2, hidden_size=3, bidirectional=True)"
