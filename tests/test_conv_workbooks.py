"""Workbooks of convolutional nets: every cell recalculates, and every picture stands as a teacher would draw it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openpyxl
import pytest

import tinynet as tn
from tests.gradients import spread
from tests.spreadsheets import Values, ironcalc, libreoffice, poison
from tests.test_verify import resaved
from tests.test_workbook_file import EXPONENT, without_texts
from tests.test_workbook_file import FUNCTIONS as PLAIN
from tests.test_workbook_recalculated import AS_RECORDED, check
from tests.workbooks import Sample, assert_agrees, changed, opened, sample
from tinynet import functional as F
from tinynet import models, nn
from tinynet.datasets import load_coffee, load_digits
from tinynet.models import convolutional
from tinynet.workbook import verify, write
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import MapSheet

ENGINES = {"libreoffice": libreoffice, "ironcalc": ironcalc}
FUNCTIONS = {*PLAIN, "CHOOSE", "COLUMN", "ERF", "MOD", "OR", "REPT", "ROUND", "ROW"}


def trained(net: nn.Module, x: np.ndarray, updates: int = 1, train: bool = True) -> tn.Run:
    """Cross entropy of scores (N, C), the mean square of anything else; backward, update."""
    net.train(train)
    image, optimizer = tn.tensor(x, requires_grad=True, name="x"), tn.optim.SGD(net.parameters(), lr=0.1)
    with tn.record() as run:
        for _ in range(updates):
            optimizer.zero_grad()
            image.grad = None
            y = net(image)
            loss = F.cross_entropy(y, np.arange(len(y)) % y.shape[1]) if y.ndim == 2 else (y * y).mean()
            loss.backward()
            optimizer.step()
    return run


def layers(*shape: int, updates: int = 1, train: bool = True, **named: nn.Module) -> tn.Run:
    """Layers one after the other, on images of this shape; the last maps are the scores."""
    return trained(nn.Sequential({**named, "flatten": nn.Flatten()}), spread(*shape), updates, train)


class Net(nn.Module):
    """A net written as one expression of its layers."""

    def __init__(self, forward: Callable[[Any, tn.Tensor], tn.Tensor], **named: nn.Module):
        self.rule = forward
        for name, layer in named.items():
            setattr(self, name, layer)

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        return self.rule(self, x)


def conv(before: int = 1, after: int = 2, size: Any = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, **options)


def skip() -> tn.Run:
    a, b = conv(2, 2, padding=1), conv(2, 2, padding=1)
    return trained(Net(lambda net, x: F.flatten(F.relu(net.b(F.relu(net.a(x))) + x), 1), a=a, b=b), spread(1, 2, 3, 3))


def branches() -> tn.Run:
    a, b = conv(padding=1), conv(1, 1, 1)
    return trained(Net(lambda net, x: F.flatten(F.cat([net.a(x), net.b(x)], 1), 1), a=a, b=b), spread(1, 1, 3, 3))


def shared() -> tn.Run:
    a = conv(2, 2, padding=1)
    return trained(Net(lambda net, x: F.flatten(net.a(F.relu(net.a(x))), 1), a=a), spread(1, 2, 3, 3))


def decoder() -> tn.Run:
    dense, up = nn.Linear(4, 8), nn.ConvTranspose2d(2, 1, 2, stride=2)
    net = Net(lambda net, x: net.up(F.relu(net.dense(x)).reshape(-1, 2, 2, 2)), dense=dense, up=up)
    return trained(net, spread(2, 4))


def words(vocabulary: int = 6) -> tn.Run:
    """Kernels along a sentence, and the largest number of each map."""
    table, kernels = nn.Embedding(vocabulary, 2), nn.Conv1d(2, 3, 2)
    index = tn.tensor(np.array([[0, 2, vocabulary - 1, 1], [3, 3, vocabulary // 2, 0]]), name="words")
    optimizer = tn.optim.SGD([*table.parameters(), *kernels.parameters()], lr=0.1)
    with tn.record() as run:
        F.cross_entropy(F.relu(kernels(table(index).transpose(1, 2))).max(2), np.array([0, 2])).backward()
        optimizer.step()
    return run


def film() -> tn.Run:
    """A picture for every time step, then a recurrent layer."""
    eye, memory = conv(1, 1, 2), nn.RNN(4, 2)
    x = tn.tensor(spread(3, 1, 1, 3, 3), requires_grad=True, name="x")
    with tn.record() as run:
        seen = []
        for t in range(3):
            with tn.time_step(t):
                seen.append(F.flatten(F.relu(eye(x[t])), 1))
        outputs, _ = memory(F.stack(seen, 0))
        F.cross_entropy(outputs, np.array([[0], [1], [0]])).backward()
    return run


def penalty() -> tn.Run:
    """The backward pass of a convolution has a backward pass."""
    kernels, x = conv(1, 2, 2), tn.tensor(spread(1, 1, 3, 3), requires_grad=True, name="x")
    with tn.record() as run:
        slope = tn.grad((kernels(x) ** 3).sum(), x, create_graph=True)
        (slope * slope).sum().backward()
    return run


def in_two_parts() -> tn.Run:
    """backward() runs twice, and the gradients add up."""
    kernels, x = conv(1, 2, 2), tn.tensor(spread(2, 1, 3, 3), name="x")
    with tn.record() as run:
        for n in range(2):
            (kernels(x[n : n + 1]) ** 2).sum().backward()
    return run


def nameless() -> tn.Run:
    x, one, two = (tn.tensor(spread(*s), requires_grad=True) for s in ((1, 1, 5, 5), (2, 1, 3, 3), (1, 2, 2, 2)))
    with tn.record() as run:
        (F.conv2d(F.conv2d(x, one, padding=1).relu(), two, stride=2) ** 2).sum().backward()
    return run


def ties() -> tn.Run:
    """A picture of one colour: all numbers of a window are the largest, the first of them is chosen."""
    return trained(nn.Sequential({"c": conv(), "p": nn.MaxPool2d(2), "f": nn.Flatten()}), np.ones((1, 1, 6, 6)))


NETS: dict[str, Callable[[], tn.Run]] = {
    "conv, relu, max-pool": lambda: layers(2, 1, 4, 4, c=conv(padding=1), r=nn.ReLU(), p=nn.MaxPool2d(2)),
    "two layers and a dense one": lambda: trained(convolutional.ConvNet([1, 2], 3, 2, 4), spread(1, 1, 4, 4)[:, 0:1]),
    "a kernel wider than high": lambda: layers(1, 1, 4, 5, c=conv(1, 2, (2, 3))),
    "a kernel larger than the picture": lambda: layers(1, 1, 2, 2, c=conv(1, 1, 4, padding=3)),
    "1×1": lambda: layers(1, 3, 2, 2, c=conv(3, 2, 1)),
    "one pixel": lambda: layers(2, 3, 1, 1, c=conv(3, 2, 1)),
    "no bias": lambda: layers(1, 1, 4, 4, c=conv(bias=False)),
    "stride": lambda: layers(2, 2, 6, 5, c=conv(2, 3, stride=2, padding=1), r=nn.ReLU()),
    "dilation": lambda: layers(1, 1, 5, 5, c=conv(1, 2, 2, dilation=2)),
    "groups": lambda: layers(1, 4, 4, 4, c=conv(4, 4, groups=2)),
    "depthwise, then 1×1": lambda: layers(1, 3, 3, 3, c=conv(3, 3, groups=3, padding="same"), p=conv(3, 2, 1)),
    "stride, dilation and groups": lambda: layers(1, 2, 5, 6, c=conv(2, 2, 2, stride=2, dilation=2, groups=2)),
    "one direction": lambda: layers(2, 2, 6, c=nn.Conv1d(2, 2, 3, padding=1), r=nn.ReLU(), p=nn.MaxPool1d(2)),
    "transposed": lambda: trained(nn.ConvTranspose2d(2, 3, 3, stride=2), spread(1, 2, 2, 3)),
    "transposed, groups": lambda: trained(
        nn.ConvTranspose2d(2, 4, 2, stride=2, groups=2, padding=1, output_padding=1), spread(1, 2, 3, 3)
    ),
    "no batch": lambda: trained(conv(), spread(1, 4, 4)),
    "overlapping windows": lambda: layers(1, 1, 5, 5, c=conv(padding=1), p=nn.MaxPool2d(3, stride=2, padding=1)),
    "dilated windows": lambda: layers(1, 1, 5, 5, c=conv(1, 1, 2), p=nn.MaxPool2d(2, stride=1, dilation=2)),
    "windows over the edge": lambda: layers(1, 1, 4, 4, c=conv(1, 1, 2), p=nn.MaxPool2d(2, ceil_mode=True)),
    "ties": ties,
    "means of windows": lambda: layers(2, 1, 4, 4, c=conv(padding=1), p=nn.AvgPool2d(2)),
    "means without the border": lambda: layers(
        1, 1, 5, 5, c=conv(padding=1), p=nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
    ),
    "means of all": lambda: layers(2, 1, 4, 4, c=conv(1, 3, padding=1), r=nn.ReLU(), p=nn.AdaptiveAvgPool2d(1)),
    "means of 2×3 bins": lambda: layers(1, 1, 5, 4, c=conv(), p=nn.AdaptiveAvgPool2d((2, 3))),
    "batch norm": lambda: layers(3, 1, 4, 4, c=conv(), b=nn.BatchNorm2d(2), r=nn.ReLU()),
    "batch norm in use": lambda: layers(2, 1, 4, 4, train=False, c=conv(), b=nn.BatchNorm2d(2)),
    "batch norm of units": lambda: trained(nn.Sequential({"l": nn.Linear(4, 3), "b": nn.BatchNorm1d(3)}), spread(4, 4)),
    "layer norm of units": lambda: trained(
        nn.Sequential({"l": nn.Linear(4, 3), "n": nn.LayerNorm(3), "g": nn.GELU()}), spread(3, 4)
    ),
    "layer norm of maps": lambda: layers(2, 1, 4, 4, c=conv(), n=nn.LayerNorm([2, 2, 2])),
    "activations": lambda: layers(
        1, 1, 3, 3, c=conv(1, 2, 2), a=nn.ELU(), b=nn.GELU("tanh"), d=nn.Softplus(), e=nn.LeakyReLU()
    ),
    "dropout": lambda: layers(1, 1, 4, 4, c=conv(padding=1), r=nn.ReLU(), d=nn.Dropout(0.4)),
    "two updates": lambda: layers(1, 1, 4, 4, updates=2, c=conv(padding=1), r=nn.ReLU(), p=nn.MaxPool2d(2)),
    "skip": skip,
    "branches": branches,
    "the same layer twice": shared,
    "from units to maps": decoder,
    "words": words,
    "film": film,
    "gradient of a gradient": penalty,
    "gradients in two parts": in_two_parts,
    "functions without names": nameless,
}


def net(title: str) -> tn.Run:
    tn.manual_seed(1)
    return NETS[title]()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sample]:
    """The workbook of a net, written once for all tests."""
    return cache(lambda title: sample(net(title), tmp_path_factory.mktemp("net") / "net.xlsx"))


def poisoned(one: Sample) -> Path:
    out = one.path.with_name("poisoned.xlsx")
    assert poison(one.path, out) > one.written.formula_cells
    return out


def assert_checks_covers(one: Sample) -> None:
    """All that can be edited and all that is computed is in one area of Checks: more would count it twice."""
    covered: set[tuple[str, str]] = set()
    checks = openpyxl.load_workbook(one.path, read_only=True)["Checks"]
    for text in (str(row[0]) for row in checks.iter_rows(min_col=2, max_col=2, values_only=True)):
        if text.startswith("=") and ("SUMSQ" in text or "<>" in text):
            area = re.search(r"('[^']+'|\w+)!([A-Z0-9:]+)", text)
            assert area
            places = {(area[1].strip("'"), address) for address in cells_of(area[2])}
            assert not places & covered, text
            covered |= places
    assert covered >= {place for block in one.book.plan.blocks for place in one.places(block)}


def cells_of(area: str) -> Iterator[str]:
    for row in openpyxl.utils.cell.rows_from_range(area) if ":" in area else [(area,)]:
        yield from row


INEXACT = ["layer norm of units"]  # IronCalc's ERF has ten digits


def assert_recalculates(one: Sample, values: Values) -> None:
    assert_agrees(one, values)
    assert values["Checks"]["B3"] == AS_RECORDED
    assert "poisoned" not in {value for cells in values.values() for value in cells.values()}


@pytest.mark.parametrize("title", NETS)
def test_a_net_recalculates(title: str, made: Callable[[str], Sample]):
    """In two engines, from caches that are all wrong."""
    one = made(title)
    assert one.written.formula_cells == sum(block.ids.size for block in one.computed) > 20
    path = poisoned(one)
    for name, engine in ENGINES.items():
        if name == "libreoffice" or title not in INEXACT:
            assert_recalculates(one, engine(path))
    assert_checks_covers(one)


@pytest.mark.parametrize("title", NETS)
def test_with_every_operation_shown_it_recalculates(title: str, tmp_path: Path):
    one = sample(net(title), tmp_path / "net.xlsx", "ops")
    assert_recalculates(one, libreoffice(poisoned(one)))


EDITED = [
    "conv, relu, max-pool",
    "stride",
    "dilation",
    "groups",
    "one direction",
    "transposed",
    "overlapping windows",
    "batch norm",
    "layer norm of maps",
    "two updates",
    "words",
    "functions without names",
]


@pytest.mark.parametrize("title", EDITED)
def test_after_edits_of_everything_a_net_is_the_replayed_run(title: str, made: Callable[[str], Sample]):
    """Three numbers of each leaf are moved; the gradients say, to first order, where the loss goes."""
    one = made(title)
    moved, edits, slope = {}, {}, 0.0
    for leaf in (leaf for leaf in one.run.leaves if leaf.array.dtype.kind == "f" and leaf.kind != "constant"):
        array, places = leaf.array.copy(), list(np.ndindex(leaf.shape))
        for index, delta in {places[-1]: 0.0625, places[len(places) // 3]: -0.125, places[0]: 0.03125}.items():
            array[index] = leaf.array[index] + delta
            edits[one.place_of(str(leaf.name), *index)] = float(array[index])
        if f"d_{leaf.name}" in one.run:  # of the first loss, where there are two
            slope += float(np.sum((array - leaf.array) * one.run[f"d_{leaf.name}"]))
        moved[str(leaf.name)] = array
    values = libreoffice(one.path, edits)
    expected = one.run.replay(**moved)
    assert_agrees(one, values, expected)
    assert str(values["Checks"]["B3"]).startswith("EDITED") and check(values, "all") == len(edits)
    assert check(values, "all", "C") == pytest.approx(slope, abs=1e-13) and abs(slope) > 1e-3
    assert check(values, "loss that the sheet now computes") == pytest.approx(expected["loss"], abs=1e-13)


# Formulas


def ids_of(one: Sample, name: str) -> np.ndarray:
    return next(block.ids for block in one.book.plan.blocks if block.name == name)


def formula(one: Sample, cell: int) -> str:
    return one.formulas[one.place(cell)].replace("'", "")


def rectangle(one: Sample, ids: np.ndarray, home: int) -> str:
    """The range of the cells (rows, columns), as the formula of the cell ``home`` writes it, without quotes."""
    layout = one.book.layout
    down, right = np.indices(ids.shape)
    assert np.array_equal(layout.row[ids] - layout.row[ids[0, 0]], down)
    assert np.array_equal(layout.column[ids] - layout.column[ids[0, 0]], right)
    (sheet, first), (_, last) = one.place(int(ids[0, 0])), one.place(int(ids[-1, -1]))
    prefix = "" if sheet == one.place(home)[0] else f"{sheet}!"
    return prefix + (first if first == last else f"{first}:{last}")


CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "padded": {"padding": 1},
    "strides": {"stride": (2, 1), "padding": (0, 1)},
    "groups": {"groups": 2},
}


@pytest.fixture(scope="module", params=CONVOLUTIONS)
def laid(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, dict[str, Any]]:
    """A convolution of 2 samples with 2 channels to 4 maps, and its options."""
    options, path = CONVOLUTIONS[request.param], tmp_path_factory.mktemp("laid") / "laid.xlsx"
    tn.manual_seed(1)
    return sample(layers(2, 2, 5, 6, conv=conv(2, 4, **options), r=nn.ReLU()), path), options


def test_a_convolution_is_windows_times_kernels(laid: tuple[Sample, dict[str, Any]]):
    """One SUMPRODUCT(window, kernel) for each channel, and the bias."""
    one, options = laid
    x = ids_of(one, "conv.padded" if "padding" in options else "x")
    z, weight, bias = (ids_of(one, f"conv.{name}") for name in ("z", "weight", "bias"))
    down, right = options.get("stride", (1, 1))
    channels = weight.shape[1]
    for (n, o, i, j), cell in np.ndenumerate(z):
        first = o // (4 // options.get("groups", 1)) * channels
        windows = x[n, first : first + channels, i * down : i * down + 3, j * right : j * right + 3]
        pairs = [(rectangle(one, windows[c], cell), rectangle(one, weight[o, c], cell)) for c in range(channels)]
        expected = "+".join(f"SUMPRODUCT({window},{kernel})" for window, kernel in pairs)
        assert formula(one, cell) == f"={expected}+{rectangle(one, bias[[o], None], cell)}"


def test_its_input_gradient_is_windows_times_rotated_kernels(laid: tuple[Sample, dict[str, Any]]):
    one, options = laid
    groups = options.get("groups", 1)
    gradient = ids_of(one, "d_conv.padded" if "padding" in options else "d_x")
    padded, rotated = ids_of(one, "d_conv.z_padded"), ids_of(one, "conv.weight_rotated")
    for (n, c, i, j), cell in np.ndenumerate(gradient):
        outs = range(c // (2 // groups) * (4 // groups), (c // (2 // groups) + 1) * (4 // groups))
        kernels = rotated[c, : len(outs)]
        pairs = zip(padded[n, outs, i : i + 3, j : j + 3], kernels, strict=True)
        terms = [f"SUMPRODUCT({rectangle(one, a, cell)},{rectangle(one, b, cell)})" for a, b in pairs]
        assert formula(one, cell) == "=" + "+".join(terms)


def test_rotated_kernels_are_the_kernels_turned_by_half(laid: tuple[Sample, dict[str, Any]]):
    one, options = laid
    weight, book = one.run["conv.weight"], opened(one.path, values=True)
    groups = options.get("groups", 1)
    for (c, o, i, j), cell in np.ndenumerate(ids_of(one, "conv.weight_rotated")):
        sheet, address = one.place(cell)
        group, channel = divmod(c, 2 // groups)
        assert book[sheet][address].value == weight[group * (4 // groups) + o, channel, 2 - i, 2 - j]
        assert formula(one, cell).endswith(
            one.place_of("conv.weight", o + group * (4 // groups), channel, 2 - i, 2 - j)[1]
        )


def test_padded_gradients_are_the_gradients_with_zeros(laid: tuple[Sample, dict[str, Any]]):
    """Around them, and between them where the kernel took longer steps."""
    one, options = laid
    down, right = options.get("stride", (1, 1))
    z, padded = ids_of(one, "d_conv.z"), ids_of(one, "d_conv.z_padded")
    inner = padded[:, :, 2::down, 2::right][:, :, : z.shape[2], : z.shape[3]]
    for place, cell in np.ndenumerate(inner):
        assert formula(one, cell) == f"={one.place(int(z[place]))[1]}"
    for cell in set(padded.reshape(-1).tolist()) - set(inner.reshape(-1).tolist()):
        assert formula(one, cell) == "=0"


def test_a_pool_is_the_largest_of_a_rectangle_and_its_gradient_goes_there(made: Callable[[str], Sample]):
    one = made("conv, relu, max-pool")
    relu, pooled, chosen = (ids_of(one, f"c.{name}") for name in ("relu", "pooled", "chosen"))
    gradient, arriving = ids_of(one, "d_c.relu"), ids_of(one, "d_c.pooled")
    for (n, c, i, j), cell in np.ndenumerate(pooled):
        window = np.s_[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        assert formula(one, cell) == f"=MAX({rectangle(one, relu[window], cell)})"
        for k, passed in enumerate(gradient[window].reshape(-1)):
            place = one.place(int(chosen[n, c, i, j].item()))
            sent = rectangle(one, arriving[n, [c], i : i + 1, j], passed)
            assert formula(one, passed) == f"=IF({'!'.join(place)}={k},{sent},0)"


def test_overlapping_windows_add_up_their_gradients(made: Callable[[str], Sample]):
    one = made("overlapping windows")
    windows, chosen = one.run["c.pooled"].shape, one.run["c.chosen"].reshape(one.run["c.pooled"].shape)
    expected = np.zeros((1, 2, 7, 7))
    for n, c, i, j in np.ndindex(windows):
        row, column = divmod(int(chosen[n, c, i, j]), 3)
        expected[n, c, 2 * i + row, 2 * j + column] += one.run.grad["c.pooled"][n, c, i, j]
    inside = expected[..., 1:-1, 1:-1].copy()  # what lies outside is the nearest that lies inside
    for edge, near in ((0, 0), (6, 4)):
        inside[..., near, :] += expected[..., edge, 1:-1]
        inside[..., :, near] += expected[..., 1:-1, edge]
        for other, corner in ((0, 0), (6, 4)):
            inside[..., near, corner] += expected[..., edge, other]
    np.testing.assert_allclose(one.run.grad["c.z"], inside, atol=1e-15)
    several = [cell for cell in ids_of(one, "d_c.z").reshape(-1).tolist() if "SUM(" in formula(one, cell)]
    assert len(several) > 10


def test_a_window_over_the_edge_is_read_once(made: Callable[[str], Sample]):
    one = made("overlapping windows")
    z, corner = ids_of(one, "c.z"), int(ids_of(one, "c.pooled")[0, 0, 0, 0])
    assert formula(one, corner) == f"=MAX({rectangle(one, z[0, 0, :2, :2], corner)})"


def test_a_bias_gradient_is_one_range_for_each_sample(made: Callable[[str], Sample]):
    one = made("conv, relu, max-pool")
    z = ids_of(one, "d_c.z")
    for c, cell in enumerate(ids_of(one, "d_c.bias").tolist()):
        assert formula(one, cell) == f"=SUM({','.join(rectangle(one, z[n, c], cell) for n in range(2))})"


def test_a_window_too_large_for_a_formula_is_refused_and_two_poolings_do_it(tmp_path: Path):
    message = r"^c\.chosen is a place in a window of 64 cells, a formula can look through 60: pool by smaller windows"
    run = layers(1, 1, 8, 8, c=conv(1, 2, 1), p=nn.MaxPool2d(8))
    with pytest.raises(ValueError, match=message):
        run.to_excel(tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []
    again = layers(1, 1, 8, 8, c=conv(1, 2, 1), p=nn.MaxPool2d(4), q=nn.MaxPool2d(2))
    again.to_excel(tmp_path / "x.xlsx")
    assert verify(tmp_path / "x.xlsx").ok and again["c.pooled_2"].shape == run["c.pooled"].shape == (1, 2, 1, 1)


@pytest.mark.parametrize("rows", [29, 30, 100])
def test_a_choice_among_many_is_made_in_steps(rows: int, tmp_path: Path):
    """LibreOffice takes about 30 values in a CHOOSE, Excel 254."""
    tn.manual_seed(1)
    one = sample(words(rows), tmp_path / "words.xlsx")
    assert_recalculates(one, libreoffice(poisoned(one)))
    calls = [call for text in one.formulas.values() for call in re.findall(r"CHOOSE\(([^()]*)\)", text)]
    assert max(call.count(",") for call in calls) == 29 and len(calls) > 16
    edit = ("words", (0, 2), 28)
    assert_agrees(one, libreoffice(one.path, {one.place_of("words", 0, 2): 28}), changed(one.run, *edit))


def test_an_element_too_long_to_be_worked_out_is_not(tmp_path: Path):
    """Of 150 words each may be the first: the formula holds them all, its text would not."""
    table, index = nn.Embedding(10, 2), tn.tensor(np.arange(150)[None] % 10, name="words")
    with tn.record() as run:
        (table(index) ** 2).sum().backward()
    one = sample(run, tmp_path / "words.xlsx")
    assert max(map(len, one.formulas.values())) <= 8192
    values = libreoffice(poisoned(one))
    assert_recalculates(one, values)
    assert any(
        str(text).startswith("∂L/∂embedding.weight, first element:  …  =  ") for text in values["Steps"].values()
    )


def test_the_largest_of_many_scattered_cells_takes_several_calls(tmp_path: Path):
    """Excel takes 255 arguments."""
    w = tn.tensor(spread(520), requires_grad=True, name="w")
    with tn.record() as run:
        (w[::2].max() * 2).backward()
    one = sample(run, tmp_path / "many.xlsx")
    assert max(call.count(",") for text in one.formulas.values() for call in re.findall(r"MAX\(([^()]*)\)", text)) < 255
    assert_recalculates(one, libreoffice(poisoned(one)))


# Names of layers are names of sheets

ODD = ["Steps", "checks", "Graph", "Read me", "Recorded 1", "History", "fc1", "R1C1", "TRUE", "it's", "a[1]:b/c"]
ODD += ["=1+1", "naïve ✓", "c", "C", "c back", "w" * 40, "v" + "w" * 40]


def test_any_name_of_a_layer_makes_a_sheet(tmp_path: Path):
    one = sample(layers(1, 1, 1, 2, **{name: conv(1, 1, 1) for name in ODD}), tmp_path / "odd.xlsx")
    book = opened(one.path)
    assert len({name.lower() for name in book.sheetnames}) == len(book.sheetnames)
    for name in book.sheetnames:
        assert len(name) <= 31 and not re.search(r"[\[\]:*?/\\]|^'|'$", name) and name.lower() != "history"
    assert len(one.networks) == 2 * len(ODD) + 3 and one.networks[1:7] == [
        "Steps_2",
        "checks_2",
        "Graph_2",
        "Read me_2",
        "Recorded 1_2",
        "History_2",
    ]
    for text in one.formulas.values():
        for bare in re.findall(r"(?<![\w'])(\w+)!", without_texts(text)):
            assert not re.fullmatch(r"[A-Z]{1,3}\d+|R\d*C?\d*|C\d*|TRUE|FALSE", bare, re.IGNORECASE), text
    for engine in ENGINES.values():
        assert_recalculates(one, engine(poisoned(one)))
    assert verify(one.path).differences == []


# The digits


class Digits(NamedTuple):
    net: convolutional.ConvNet
    unseen: np.ndarray
    scores: np.ndarray
    one: Sample
    values: Values  # recalculated by LibreOffice from poisoned caches


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    with pytest.MonkeyPatch.context() as patch:
        trained_once = convolutional.trained_digits(*load_digits(), (4, 8), 3, 0)
        patch.setattr(convolutional, "trained_digits", lambda *_: trained_once)
        one = sample(models.cnn(), tmp_path_factory.mktemp("digits") / "cnn.xlsx", title="Convolutional net")
    trained_once[0].load_state_dict(one.run.parameters)  # which the recorded update has changed
    return Digits(*trained_once, one, libreoffice(poisoned(one)))


def test_the_net_reads_digits_that_it_has_not_seen(digits: Digits):
    images, labels = load_digits()
    right = digits.scores.argmax(axis=1) == labels[digits.unseen]
    assert len(set(digits.unseen.tolist())) == len(right) == 497 and right.mean() >= 0.97
    assert f"{right.mean():.1%} of 497 unseen digits right" in digits.one.run.description
    again = digits.net(tn.tensor(images[digits.unseen[:9], None])).numpy()
    np.testing.assert_allclose(again, digits.scores[:9], atol=1e-12)
    for name, parameter in digits.net.named_parameters():
        np.testing.assert_array_equal(digits.one.run[name], parameter.numpy())


def test_the_net_of_digits_recalculates(digits: Digits):
    assert_agrees(digits.one, digits.values)
    assert digits.values["Checks"]["B3"] == AS_RECORDED
    assert verify(digits.one.path).differences == []


def test_its_cached_values_are_what_a_spreadsheet_computes(digits: Digits):
    cached = opened(digits.one.path, values=True)
    for sheet, address in digits.one.formulas:
        stored, shown = cached[sheet][address].value, digits.values[sheet].get(address)
        if isinstance(stored, str) or stored is None:
            assert (stored or "") == (shown or ""), f"{sheet}!{address}"
        else:
            assert shown == pytest.approx(stored, rel=1e-12, abs=1e-12), f"{sheet}!{address}"


def test_its_formulas_use_portable_functions_only(digits: Digits):
    book = opened(digits.one.path)
    rules = [rule for ws in book for area in ws.conditional_formatting for rule in area.rules]
    for text in [*digits.one.formulas.values(), *(f for rule in rules for f in rule.formula)]:
        bare = without_texts(text)
        assert set(re.findall(r"([A-Za-z_.]\w*)\(", bare)) <= FUNCTIONS, text
        assert not EXPONENT.search(bare) and not re.search(r"[@{}]|TRUE|FALSE|#", bare) and len(text) <= 8192, text


def reads(values: Values) -> str:
    return next(str(value) for value in values["Input"].values() if str(value).startswith("reads "))


def test_the_ten_digits_are_one_of_each_and_read_right(digits: Digits):
    run = digits.one.run
    assert run["labels"].tolist() == [*range(10), 0] and not run["digits"][10].any()
    for digit in range(10):
        assert run.replay(which=np.array([digit]))["loss.p"].argmax() == digit


@pytest.mark.parametrize("digit", [0, 3, 9])
def test_another_digit_is_chosen_in_one_cell(digit: int, digits: Digits):
    one = digits.one
    values = libreoffice(one.path, {one.place_of("which", 0): digit})
    expected = one.run.replay(which=np.array([digit]))
    assert_agrees(one, values, expected)
    assert reads(values) == f"reads {digit}"
    assert str(values["Checks"]["B3"]).startswith("EDITED") and check(values, "all") == 1


@pytest.mark.parametrize("number", [4, 1000])
def test_a_digit_is_drawn_on_the_canvas(number: int, digits: Digits):
    images, _ = load_digits()
    one, picture = digits.one, images[number]
    edits = {one.place_of("digits", 10, *place): float(ink) for place, ink in np.ndenumerate(picture)}
    values = libreoffice(one.path, {**edits, one.place_of("which", 0): 10})
    table = one.run["digits"].copy()
    table[10] = picture
    expected = one.run.replay(which=np.array([10]), digits=table)
    assert_agrees(one, values, expected)
    engine = digits.net(tn.tensor(picture[None, None])).numpy()
    assert reads(values) == f"reads {engine.argmax()}" == f"reads {expected['loss.p'].argmax()}"
    assert str(values["Checks"]["B3"]).startswith("EDITED")


def test_an_edited_kernel_moves_the_loss_as_its_gradient_says(digits: Digits):
    one, index = digits.one, (2, 1, 0, 1)
    start, slope = one.run["conv2.weight"][index], one.run.grad["conv2.weight"][index]
    misses = []
    for delta in (0.02, 0.002):
        kernels = one.run["conv2.weight"].copy()
        kernels[index] = start + delta
        values = libreoffice(one.path, {one.place_of("conv2.weight", *index): float(kernels[index])})
        expected = one.run.replay(**{"conv2.weight": kernels})
        assert_agrees(one, values, expected)
        predicted = check(values, "loss predicted to first order")
        assert predicted == pytest.approx(one.run["loss"] + slope * (kernels[index] - start), abs=1e-13)
        assert check(values, "loss that the sheet now computes") == pytest.approx(expected["loss"], abs=1e-13)
        misses.append(abs(check(values, "what the prediction misses")))
    assert abs(slope) > 1e-3 and 60 < misses[0] / misses[1] < 150


def test_one_step_is_chosen_on_the_first_sheet_and_shown_on_all(digits: Digits):
    one, step = digits.one, 5
    values = libreoffice(one.path, {("Input", "C3"): step})
    steps = values["Steps"]
    row = next(address[1:] for address, value in steps.items() if address[0] == "A" and value == step)
    for sheet in one.networks:
        assert (values[sheet]["C3"], values[sheet]["C4"]) == (step, steps[f"D{row}"])
        assert values[sheet]["C5"] == steps[f"E{row}"]


def test_the_sheet_time_steps_leads_to_the_columns_of_each_step(made: Callable[[str], Sample]):
    """On the sheet that has them: pictures have none."""
    one = made("film")
    book = opened(one.path)
    links = [cell for row in book["Time steps"].iter_rows(min_row=5, max_col=1) for cell in row if cell.hyperlink]
    assert len(links) == 3
    for t, link in enumerate(links):
        sheet, _, address = link.hyperlink.location.rpartition("!")
        assert link.value == book[sheet.strip("'")][address].value == f"t = {t}"


# How it stands


def test_each_layer_has_a_sheet_and_one_for_its_way_back(digits: Digits):
    layers_ = ["Input", "conv1", "conv2", "Head", "conv2 back", "conv1 back"]
    assert digits.one.written.sheets[:9] == ["Read me", *layers_, "Steps", "Checks"]
    assert [isinstance(sheet, MapSheet) for sheet in digits.one.book.sheets] == [True, True, True, False, True, True]
    for block in digits.one.book.plan.blocks:
        sheet, back = digits.one.places(block)[0][0], block.phase != "forward"
        scope = re.sub(r"^(d|new)_", "", block.quantity).partition(".")[0]
        if scope.startswith("conv"):
            rotated = block.quantity == "conv2.weight_rotated"
            assert sheet == (f"{scope} back" if back or rotated else scope), block.name


def pixels(ws: Any, row: int, column: int) -> tuple[int, int]:
    """The size of a cell as Excel draws it, in Calibri 11 (whose digits are 7 pixels wide): height, width."""
    letters = openpyxl.utils.get_column_letter(column)
    groups = [d for d in ws.column_dimensions.values() if d.min and d.min <= column <= d.max]
    width = groups[0].width if groups else ws.column_dimensions[letters].width
    return round(ws.row_dimensions[row].height * 96 / 72), int((256 * width + int(128 / 7)) / 256 * 7)


def test_pictures_and_kernels_are_made_of_squares(digits: Digits):
    one, book = digits.one, opened(digits.one.path)
    layout = one.book.layout
    for number, sheet in enumerate(one.book.sheets):
        cells = np.flatnonzero(layout.placed & (layout.sheet == number)) if isinstance(sheet, MapSheet) else []
        sizes = {pixels(book[sheet.name], int(layout.row[c]) + 1, int(layout.column[c]) + 1) for c in cells}
        assert all(abs(height - width) <= 1 and height > 20 for height, width in sizes), (sheet.name, sizes)
        assert len(sizes) == isinstance(sheet, MapSheet)


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_kernels_stand_on_the_rows_of_the_map_that_they_make(layer: str, digits: Digits):
    one, layout = digits.one, digits.one.book.layout
    weight, bias = ids_of(one, f"{layer}.weight"), ids_of(one, f"{layer}.bias")
    for quantity in ("z", "relu", "pooled", "chosen"):
        maps = ids_of(one, f"{layer}.{quantity}")[0]
        for channel, map_ in enumerate(maps):
            rows = layout.row[map_]
            kernel = layout.row[weight[channel]]
            assert kernel.min() == rows.min() == layout.row[bias[channel]]
            if channel + 1 < len(maps):
                assert max(kernel.max(), rows.max()) < layout.row[maps[channel + 1]].min()
            assert layout.column[weight[channel]].max() < layout.column[map_].min()
    gradient, step = layout.column[ids_of(one, f"d_{layer}.weight")], layout.column[ids_of(one, f"new_{layer}.weight")]
    np.testing.assert_array_equal(gradient, layout.column[weight])
    np.testing.assert_array_equal(step, layout.column[weight])


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_a_gradient_stands_in_the_columns_of_its_map(layer: str, digits: Digits):
    column = digits.one.book.layout.column
    for quantity in ("z", "relu", "pooled"):
        here, there = (ids_of(digits.one, f"{prefix}{layer}.{quantity}") for prefix in ("", "d_"))
        np.testing.assert_array_equal(column[here], column[there])


def holds(criteria: str, numbers: Any, row: int, column: int, step: int) -> bool:
    """Evaluate a rule of the kind AND(OR($C$3=0, …), INDEX(…)=…) for one cell."""
    python = re.sub(r"\$([A-Z]+)\$(\d+):\$([A-Z]+)\$(\d+)", r"'\1\2:\3\4'", criteria)
    python = re.sub(r"(?<![<>])=", "==", python).replace("$C$3", "step")
    functions = {
        "AND": lambda *conditions: all(conditions),
        "OR": lambda *conditions: any(conditions),
        "INDEX": lambda area, i, j: numbers[area][i - 1][j - 1].value,
        "INT": int,
        "MOD": lambda a, b: a % b,
        "ROW": lambda: row,
        "COLUMN": lambda: column,
    }
    return bool(eval(python, {"__builtins__": {}, "step": step, **functions}))


def assert_framed(one: Sample, layer: str, height: int, width: int) -> None:
    """Those cells that were chosen and no others, from the step on that chooses them."""
    relu = ids_of(one, f"{layer}.relu")[0]
    sheet, _ = one.place(int(relu.flat[0]))
    rules = [
        (area.sqref, rule)
        for area in opened(one.path)[sheet].conditional_formatting
        for rule in area.rules
        if "INDEX" in rule.formula[0]
    ]
    assert len(rules) == len(relu)
    assert all(rule.dxf.fill.bgColor.rgb.endswith("FFE08A") and rule.priority <= len(rules) for _, rule in rules)
    numbers = opened(one.path, values=True)[sheet]
    chosen = one.run[f"{layer}.chosen"].reshape(*one.run[f"{layer}.pooled"].shape)
    moment = next(m.number for m in one.book.moments.all if any(b.name == f"{layer}.chosen" for b in m.blocks))
    for (c, i, j), cell in np.ndenumerate(relu):
        address = one.place(int(cell))[1]
        (rule,) = [rule for area, rule in rules if address in area]
        expected = chosen[0, c, i // height, j // width] == i % height * width + j % width
        row, column = openpyxl.utils.cell.coordinate_to_tuple(address)
        at = [holds(rule.formula[0], numbers, row, column, step) for step in (0, moment, moment - 1)]
        assert at == [expected, expected, False], address


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_the_largest_of_each_window_is_framed(layer: str, digits: Digits):
    assert_framed(digits.one, layer, 2, 2)


def test_windows_that_are_no_squares_are_framed_too(tmp_path: Path):
    run = layers(1, 1, 5, 7, c=conv(1, 2, 2), r=nn.ReLU(), p=nn.MaxPool2d((2, 3)))
    assert_framed(sample(run, tmp_path / "net.xlsx"), "c", 2, 3)


def test_ten_bars_are_as_long_as_the_probabilities(digits: Digits):
    one, shown = digits.one, digits.values["Input"]
    bars = [(sheet, address) for (sheet, address), text in one.formulas.items() if "REPT(" in text]
    assert len(bars) == 10
    p = one.run["loss.p"].reshape(-1)
    for k, (sheet, address) in enumerate(bars):
        row, column = openpyxl.utils.cell.coordinate_to_tuple(address)
        label, number = (f"{openpyxl.utils.get_column_letter(column - back)}{row}" for back in (2, 1))
        assert sheet == "Input" and shown[label] == k and shown[number] == pytest.approx(p[k], abs=1e-12)
        assert shown.get(address, "") == "█" * int(28 * p[k] + 0.5)
    assert sum(p > 1 / 56) == sum(address in shown for _, address in bars) > 1


def test_a_batch_has_bars_for_each_sample(made: Callable[[str], Sample]):
    one = made("conv, relu, max-pool")
    shown = libreoffice(poisoned(one))[one.networks[0]]
    assert [value for value in shown.values() if str(value).startswith("reads ")] == [
        f"reads {scores.argmax()}" for scores in one.run["loss.p"]
    ]
    assert sum("REPT(" in text for text in one.formulas.values()) == one.run["loss.p"].size == 16


# The number of parameters


def told(path: Path) -> dict[str, str]:
    """The table of parameters on the sheet Read me."""
    rows = list(openpyxl.load_workbook(path)["Read me"].iter_rows(values_only=True, max_col=2))
    start = rows.index(("Parameters", None)) + 1
    return {str(left): str(right) for left, right in rows[start : rows.index((None, None), start)]}


COUNTED: dict[str, tuple[Callable[[], tn.Run], dict[str, int]]] = {
    "groups and odd kernels": (
        lambda: layers(1, 4, 4, 4, a=conv(4, 6, (3, 2), groups=2), b=conv(6, 2, 1, bias=False)),
        {"a": 6 * 4 // 2 * 3 * 2 + 6, "b": 2 * 6},
    ),
    "one direction": (lambda: layers(1, 2, 6, c=nn.Conv1d(2, 5, 3), d=nn.Conv1d(5, 1, 2)), {"c": 35, "d": 11}),
    "transposed": (
        lambda: trained(nn.Sequential({"up": nn.ConvTranspose2d(4, 6, 3, groups=2)}), spread(1, 4, 2, 2)),
        {"up": 4 * 6 // 2 * 9 + 6},
    ),
    "norms": (
        lambda: layers(2, 1, 4, 4, c=conv(), b=nn.BatchNorm2d(2), n=nn.LayerNorm([2, 2, 2])),
        {"c": 2 * 9 + 2, "b": 2 * 2, "n": 2 * 8},
    ),
    "digits": (
        lambda: trained(convolutional.ConvNet([2, 3], 5, 7), spread(1, 1, 8, 8)),
        {"conv1": 2 * 25 + 2, "conv2": 3 * 2 * 25 + 3, "fc1": 12 * 7 + 7, "fc2": 70 + 10},
    ),
    "words": (words, {"embedding": 12, "conv1d": 3 * 2 * 2 + 3}),
}


@pytest.mark.parametrize("title", COUNTED)
def test_parameters_are_counted(title: str, tmp_path: Path):
    make, expected = COUNTED[title]
    run = make()
    write(run, tmp_path / "net.xlsx")
    table = told(tmp_path / "net.xlsx")
    assert {layer: int(text.split()[0].replace(",", "")) for layer, text in table.items()} == {
        **expected,
        "all": sum(expected.values()),
    }
    for text in table.values():
        shapes = re.findall(r"([\d×]+) = ([\d,]+)", text)
        assert all(prod(map(int, shape.split("×"))) == int(size.replace(",", "")) for shape, size in shapes)
    learned = (value.array.size for value in run.leaves if value.kind == "parameter")
    assert sum(learned) == sum(expected.values())


# The budget


def test_beyond_the_budget_a_net_is_refused_with_its_largest_quantities(tmp_path: Path):
    run = net("conv, relu, max-pool")
    cells = write(run, tmp_path / "fits.xlsx").formula_cells
    sizes = sorted((block.ids.size for block in sample(run, tmp_path / "fits.xlsx").computed), reverse=True)
    with pytest.raises(ValueError) as caught:
        write(run, tmp_path / "x.xlsx", max_cells=cells - 1)
    message = str(caught.value)
    assert message.startswith(f"this run would need {cells} formula cells, the budget is {cells - 1} (the largest: ")
    assert f"d_c.z_padded {sizes[0]}, " in message and "values_beyond=True" in message and "--max-cells" in message
    assert not (tmp_path / "x.xlsx").exists()
    assert write(run, tmp_path / "x.xlsx", max_cells=cells).values_only == []


@pytest.mark.parametrize("beyond", [False, True])
def test_no_budget_is_larger_than_what_spreadsheets_take(beyond: bool, tmp_path: Path):
    with pytest.raises(ValueError, match="max_cells is 1,000,001, expected 1,000,000 at most"):
        write(net("1×1"), tmp_path / "x.xlsx", max_cells=1_000_001, values_beyond=beyond)
    assert write(net("1×1"), tmp_path / "x.xlsx", max_cells=1_000_000).values_only == []


def split(one: Sample, path: Path) -> tuple[list[Block], list[Block]]:
    """The computed blocks that stand as formulas in a file, and those that stand as numbers."""
    book = openpyxl.load_workbook(path)
    live, frozen = [], []
    for block in one.computed:
        kinds = {book[sheet][address].data_type for sheet, address in one.places(block)}
        assert kinds in ({"f"}, {"n"}), block.name
        (live if kinds == {"f"} else frozen).append(block)
    return live, frozen


@pytest.mark.parametrize("budget", [0, 300, 600])
def test_with_values_beyond_the_budget_is_kept_and_nothing_is_lost(
    budget: int, made: Callable[[str], Sample], tmp_path: Path
):
    one = made("conv, relu, max-pool")
    path = tmp_path / "some.xlsx"
    written = write(one.run, path, max_cells=budget, values_beyond=True)
    live, frozen = split(one, path)
    assert sum(block.ids.size for block in live) == written.formula_cells <= budget
    assert [block.quantity for block in frozen] == written.values_only
    assert sum(block.ids.size for block in [*live, *frozen]) == one.written.formula_cells
    if frozen:  # no more than had to be, and the forward pass last
        assert written.formula_cells + max(block.ids.size for block in frozen) > budget
    goes = ["update", "backward", "forward"].index
    assert max((goes(b.phase) for b in frozen), default=0) <= min((goes(b.phase) for b in live), default=2)
    book = openpyxl.load_workbook(path)
    for block in one.computed:
        for (sheet, address), number in zip(one.places(block), one.numbers(block), strict=True):
            cell = book[sheet][address]
            assert (cell.fill.patternType == "lightUp") == (block in frozen), f"{sheet}!{address}"
            assert block in live or cell.value == number + 0.0
    guide = " ".join(str(cell.value) for row in book["Read me"].iter_rows() for cell in row)
    assert ("they do NOT recompute" in guide) == bool(frozen)
    assert all(
        re.search(rf"[ :]{re.escape(name)}(,| )", guide.partition("NOT recompute")[2]) for name in written.values_only
    )
    result = verify(path)
    assert result.ok and result.cells == written.formula_cells
    values = libreoffice(poisoned(Sample(one.run, one.book, written)))
    assert_agrees(one, values)
    assert values["Checks"]["B3"] == AS_RECORDED


def test_numbers_beyond_the_budget_stay_after_an_edit_and_verify_knows(made: Callable[[str], Sample], tmp_path: Path):
    one = made("conv, relu, max-pool")
    (tmp_path / "saved").mkdir()
    written = write(one.run, tmp_path / "some.xlsx", max_cells=600, values_beyond=True)
    live, frozen = split(one, written.path)
    assert {block.phase for block in frozen} > {"update"} and {block.phase for block in live} > {"forward"}
    book = openpyxl.load_workbook(written.path)
    places = [one.place_of("c.weight", 1, 0, 2, 2), one.place_of("x", 0, 0, 1, 1)]
    for sheet, address in places:
        book[sheet][address] = 0.75
    book.save(tmp_path / "edited.xlsx")
    (saved,) = resaved(tmp_path / "saved", tmp_path / "edited.xlsx")
    result = verify(saved)
    assert result.ok, [str(d) for d in result.differences[:3]]
    assert sorted(result.edited) == sorted("!".join(place) for place in places) and 0 < result.worst < 1e-12
    shown = openpyxl.load_workbook(saved, data_only=True)
    for block in frozen:
        found = [shown[sheet][address].value for sheet, address in one.places(block)]
        np.testing.assert_allclose(found, one.numbers(block), rtol=1e-14)
    assert shown["Checks"]["B3"].value.startswith("EDITED")
    sheet, address = one.places(frozen[0])[0]
    book[sheet][address] = 5.0
    book.save(tmp_path / "edited.xlsx")
    assert any((d.sheet, d.address) == (sheet, address) for d in verify(tmp_path / "edited.xlsx").differences)


def test_what_a_large_workbook_will_be_like_is_told_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said: list[tuple[str, bool]] = []
    path = tmp_path / "net.xlsx"
    run = net("1×1")

    def tell(text: str) -> None:
        said.append((text, path.exists()))

    cells = write(run, path, tell=tell).formula_cells
    path.unlink()
    assert said == []
    monkeypatch.setattr(sys.modules["tinynet.workbook.write"], "WARN", cells - 1)
    write(run, path, tell=tell)
    ((text, existed),) = said
    assert text.startswith(f"{cells} formula cells (the largest: ") and "LibreOffice will take" in text and not existed


# More than one round of training


def test_the_second_round_begins_with_what_the_first_has_learned(made: Callable[[str], Sample]):
    one = made("two updates")
    assert one.networks == ["c 1", "Head 1", "c 1 back", "c 2", "Head 2", "c 2 back"]
    first = next(b for b in one.computed if b.quantity == "new_c.weight" and b.update == 0)
    copy = next(b for b in one.computed if b.quantity == "c.weight")
    assert {place[0] for place in one.places(first)} == {"c 1 back"} and {place[0] for place in one.places(copy)} == {
        "c 2"
    }
    for here, there in zip(copy.ids.reshape(-1), first.ids.reshape(-1), strict=True):
        assert formula(one, here) == "=" + "!".join(one.place(int(there)))
    z = next(b for b in one.computed if b.name == "c.z#2")
    assert re.match(r"=SUMPRODUCT\([A-Z]+\d+:[A-Z]+\d+,[A-Z]+\d+:[A-Z]+\d+\)\+", formula(one, int(z.ids.flat[0])))
    rate = libreoffice(one.path, {one.place_of("lr"): 0.5})
    assert_agrees(one, rate, one.run.replay(lr=np.array(0.5)))
    assert one.run.replay(lr=np.array(0.5))["loss#2"] != one.run["loss#2"]


# Well-known kernels on a photograph

KERNELS = {
    "edge": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "box": [[1 / 9] * 3] * 3,
    "gauss": [[1 / 16, 2 / 16, 1 / 16], [2 / 16, 4 / 16, 2 / 16], [1 / 16, 2 / 16, 1 / 16]],
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
}


def filtered(picture: np.ndarray, kernel: list[list[float]]) -> np.ndarray:
    """Pixel by pixel; what lies outside is 0."""
    height, width = picture.shape
    out = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        for a, b in np.ndindex(3, 3):
            if 0 <= i + a - 1 < height and 0 <= j + b - 1 < width:
                out[i, j] += kernel[a][b] * picture[i + a - 1, j + b - 1]
    return out


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_well_known_kernel_on_the_cup_of_coffee(kernel: str, tmp_path: Path):
    one = sample(models.cnn(kernel), tmp_path / "filter.xlsx")
    values = ENGINES["libreoffice" if kernel == "edge" else "ironcalc"](poisoned(one))
    shown = [values[sheet][address] for sheet, address in one.places(one.computed[-1])]
    expected = filtered(load_coffee(), KERNELS[kernel])
    np.testing.assert_allclose(np.array(shown, dtype=float).reshape(32, 32), expected, atol=1e-12)
    assert values["Checks"]["B3"] == AS_RECORDED
    np.testing.assert_array_equal(one.run[f"{kernel}.weight"][0, 0], KERNELS[kernel])


def test_a_kernel_can_be_laid_on_a_digit():
    images, _ = load_digits()
    run = models.cnn("edge", image=12)
    np.testing.assert_allclose(run["edge.z"][0, 0], filtered(images[12], KERNELS["edge"]), atol=1e-13)
    assert "digit number 12" in run.description
