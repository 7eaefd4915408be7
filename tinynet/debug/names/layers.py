"""What people call the layers of a net that has no steps, by number or by name, and a net's input, output and loss."""

from __future__ import annotations

from collections.abc import Mapping

from tinynet.debug.names.quantities import Quantities
from tinynet.debug.names.readings import plain
from tinynet.debug.names.tables import ACTIVATIONS, LAYERS, NET, ONLY, POOLED


def name_layers(ours: Quantities) -> None:
    """File what dense and convolutional layers may be called."""
    hidden = [scope for scope in ours.layers if scope != ours.output]
    dense = [scope for scope in ours.layers if ours.dimensions(scope) == 2]
    convolutional = [scope for scope in ours.layers if scope not in dense]
    for numbered in ([ours.layers] if convolutional and dense else []) + [dense, convolutional]:
        for number, scope in enumerate(numbered, start=1):
            words = {part: _filled(keys, str(number)) for part, keys in LAYERS.items()}
            _name_layer(ours, scope, words)
    for scope in ours.layers:
        _name_layer(ours, scope, {part: _filled(keys, plain(scope)) for part, keys in LAYERS.items()})
    for kind in (dense, convolutional):
        only = [scope for scope in hidden if scope in kind]
        if len(only) == 1:
            _name_layer(ours, only[0], ONLY)
    _name_modules(ours)
    for about in ours.by_about:
        if about.endswith(".flat"):
            ours.call(about, ONLY["flat"])


def _name_layer(ours: Quantities, scope: str, words: Mapping[str, tuple[str, str]]) -> None:
    places = {"weight": ("weight",), "bias": ("bias",), "z": ("z",), "act": ACTIVATIONS, "pool": POOLED}
    for part, labels in places.items():
        for label in labels:
            ours.call(f"{scope}.{label}", words[part])
    if scope == ours.output:
        ours.call(ours.probabilities, (words["act"][0], ""))


def _name_modules(ours: Quantities) -> None:
    """File pool1.pooled under pool1 and relu1 under relu1; the number may be left out where only one has it."""
    names = {about: _module(about) for about in ours.by_about if _module(about)}
    stems = [name.rstrip("0123456789") for name in names.values()]
    for about, name in names.items():
        stem = name.rstrip("0123456789")
        keys = [name, f"{name}out"] + [stem, f"{stem}out"] * (stems.count(stem) == 1)
        ours.call(about, (" ".join(dict.fromkeys(keys)), ""))


def _module(about: str) -> str:
    """The name of a module that only computes one thing, such as a pooling, or "" for anything else."""
    scope, _, label = about.rpartition(".")
    name = plain(scope.rpartition(".")[2] if label in POOLED else label)
    return name if label in POOLED or (not scope and name.rstrip("0123456789") in ACTIVATIONS) else ""


def name_net(ours: Quantities) -> None:
    """File what the input, the output and the loss may be called."""
    for about, words in NET.items():
        about = ours.probabilities if about == "loss.p" else about
        ours.call(about.replace("output.", f"{ours.output}.") if ours.output else about, words)
    for about in ours.by_about:
        if about.endswith(".x"):
            ours.call(about, ("", NET["x"][0]))


def _filled(words: tuple[str, str], number: str) -> tuple[str, str]:
    first, second = (keys.format(number) for keys in words)
    return first, second
