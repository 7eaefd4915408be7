"""Which values are maps, and which of their axes are spatial: found from the data flow, never from a layer."""

from __future__ import annotations

import numpy as np

import tinynet as tn
from tests.gradients import spread
from tests.test_conv_workbooks import Net, conv, layers, net, trained, words
from tinynet import functional as F
from tinynet import models, nn
from tinynet.workbook.spatial import Axes, Spatial


def axes(run: tn.Run) -> dict[str, Axes]:
    """The spatial axes by name, of the values that are maps and have a name."""
    found = Spatial(run).axes
    return {str(value.name): found[value.index] for value in run.values if value.name and value.index in found}


def test_maps_are_what_convolutions_and_pools_read_and_make():
    found = axes(net("conv, relu, max-pool"))
    forward = {name for name in found if not name.startswith("d_")}
    assert forward == {"x", "c.padded", "c.z", "c.relu", "c.pooled", "c.chosen"}
    assert set(found.values()) == {(2, 3)}


def test_a_gradient_is_a_map_where_its_quantity_is():
    run = net("conv, relu, max-pool")
    found = axes(run)
    gradients = [value for value in run.values if value.of is not None and value.name]
    assert len(gradients) > 8
    for value in gradients:
        assert found.get(str(value.name)) == found.get(str(value.of.name)), value.name


def test_kernels_are_no_maps_in_any_form():
    for title in ("stride", "groups", "transposed", "two updates", "gradient of a gradient"):
        run = net(title)
        spatial = Spatial(run)
        weights = [v for v in run.values if v.name and v.name.endswith(("weight", "bias", "rotated"))]
        assert len(weights) > 2 and not any(value.index in spatial.axes for value in weights)


def test_units_steps_and_samples_are_no_maps():
    for run in (models.mlp(), models.lstm(), net("layer norm of units"), net("batch norm of units")):
        assert axes(run) == {}


def test_what_flattening_leaves_and_what_it_came_from():
    found = axes(trained(Net(lambda m, x: F.flatten(m.c(x), 1).tanh(), c=conv()), spread(2, 1, 4, 4)))
    assert found["c.z"] == (2, 3) and not {"loss", "loss.p", "tanh"} & set(found)


def test_units_that_become_maps_are_maps_from_there_on():
    run = net("from units to maps")
    found = axes(run)
    assert found["up.z"] == (2, 3) and not {"x", "dense.z", "dense.relu"} & set(found)


def test_pictures_in_a_table_are_maps_too():
    picture = tn.tensor(spread(5, 4, 4), name="pictures")
    which, kernels = tn.tensor(np.array([3]), name="which"), conv()
    with tn.record() as run:
        kernels(tn.name(picture[which], "x").unsqueeze(1))
    found = axes(run)
    assert found["pictures"] == found["x"] == (1, 2) and "which" not in found


def test_several_pictures_from_a_table_have_an_axis_more():
    table, which = tn.tensor(spread(5, 4, 4), name="table"), tn.tensor(np.array([[3, 0, 3], [1, 2, 4]]), name="which")
    kernels = conv(3, 2)
    with tn.record() as run:
        kernels(tn.name(table[which], "x"))
    assert {name: axes(run)[name] for name in ("table", "x")} == {"table": (1, 2), "x": (2, 3)}


def test_one_direction_and_no_batch():
    assert set(axes(net("one direction")).values()) == {(2,)}
    assert axes(net("no batch"))["x"] == (1, 2)


def test_words_in_a_row_are_maps_of_one_direction():
    found = axes(words())
    assert found["embedding.e"] == (1,) and found["conv1d.z"] == (2,) and "words" not in found


def test_means_over_all_of_a_map_are_no_maps_unless_they_keep_its_axes():
    kept = axes(layers(1, 1, 4, 4, c=conv(), p=nn.AdaptiveAvgPool2d(1)))
    assert kept["c.averaged"] == (2, 3)
    gone = axes(trained(Net(lambda m, x: tn.name(m.c(x).mean((2, 3)), "means"), c=conv()), spread(2, 1, 4, 4)))
    assert gone["c.z"] == (2, 3) and "means" not in gone
    over_channels = axes(trained(Net(lambda m, x: tn.name(m.c(x).mean(1), "means"), c=conv()), spread(2, 1, 4, 4)))
    assert over_channels["means"] == (1, 2)


def test_tiles_are_channels_samples_height_and_width():
    run = net("conv, relu, max-pool")
    spatial, value = Spatial(run), run.find("c.z")
    ids = np.arange(1, 1 + value.array.size).reshape(value.shape)
    tiles = spatial.tiles(value, ids)
    assert tiles is not None and tiles.shape == (2, 2, 4, 4)
    np.testing.assert_array_equal(tiles, ids.transpose(1, 0, 2, 3))
    assert spatial.tiles(run.find("c.weight"), ids) is None


def test_tiles_of_one_direction_are_one_row_high():
    run = net("one direction")
    value = run.find("c.z")
    ids = np.arange(1, 1 + value.array.size).reshape(value.shape)
    np.testing.assert_array_equal(Spatial(run).tiles(value, ids), ids.transpose(1, 0, 2)[:, :, None])


def test_tiles_of_one_picture_without_a_batch():
    run = net("no batch")
    value = run.find("z") if "z" in run else run.find("conv2d.z")
    ids = np.arange(1, 1 + value.array.size).reshape(value.shape)
    np.testing.assert_array_equal(Spatial(run).tiles(value, ids), ids[:, None])
