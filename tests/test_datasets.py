"""The bundled data is what its sources say it is."""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np
import pytest

from tinynet.datasets import load_coffee, load_digits, load_hare_lynx


def test_digits_have_the_published_class_counts():
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8) and images.dtype == np.float64
    assert labels.shape == (1797,) and labels.dtype == np.int64
    # optdigits.names, "number of examples in testing set"
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_are_sixteenths_from_paper_to_ink():
    images, _ = load_digits()
    assert images.min() == 0 and images.max() == 1
    np.testing.assert_array_equal(images * 16, np.round(images * 16))
    assert images[:, :, 0].mean() < 0.01 < images[:, :, 3].mean(), "the margin is paper, the middle is not"


def test_the_first_digit_is_the_known_zero():
    images, labels = load_digits()
    assert labels[:10].tolist() == list(range(10))
    assert (images[0, :3] * 16).tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
    ]


@pytest.mark.parametrize("size", [4, 2])
def test_smaller_digits_are_block_means(size):
    images, labels = load_digits()
    small, same = load_digits(size)
    assert small.shape == (1797, size, size)
    np.testing.assert_array_equal(labels, same)
    n = 8 // size
    for i, j in np.ndindex(size, size):
        block = images[:, i * n : (i + 1) * n, j * n : (j + 1) * n]
        np.testing.assert_allclose(small[:, i, j], block.mean(axis=(1, 2)), atol=1e-15)


@pytest.mark.parametrize("size", [0, 1, 3, 16, 8.5])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="8, 4 or 2"):
        load_digits(size)


def test_hare_lynx_is_the_known_table():
    years, pelts = load_hare_lynx()
    assert years.dtype == np.int64 and years.tolist() == list(range(1900, 1921))
    assert pelts.shape == (21, 2) and pelts.dtype == np.float64
    assert pelts[0].tolist() == [30.0, 4.0] and pelts[-1].tolist() == [24.7, 8.6]
    np.testing.assert_allclose(pelts.sum(axis=0), [715.7, 423.5])  # of Stan's copy
    assert years[pelts.argmax(axis=0)].tolist() == [1903, 1904], "the lynx peaks a year after the hare"


def test_the_coffee_is_a_picture_in_grey():
    picture = load_coffee()
    assert picture.shape == (32, 32) and picture.dtype == np.float64
    assert 0 <= picture.min() < 0.1 and 0.9 < picture.max() <= 1
    np.testing.assert_allclose(picture * 255, np.round(picture * 255), atol=1e-12)
    assert len(np.unique(picture)) > 150


def test_the_coffee_stands_in_a_light_cup_on_a_dark_table():
    """As ink on paper: 0 is white, 1 is black."""
    picture = load_coffee()
    rim, coffee, table = picture[2, 10:15], picture[8, 9:18], picture[22:27, 10:18]
    assert rim.mean() < 0.2 < 0.4 < coffee.mean() < 0.7 < table.mean()
    assert (picture[0, :3] * 255).round().tolist() == [255 - 30, 255 - 31, 255 - 34]


def test_files_name_their_source_and_stay_small():
    folder = files("tinynet.datasets")
    packed = folder.joinpath("digits.csv.gz").read_bytes()
    assert len(packed) < 80_000
    assert packed[4:8] == bytes(4), "the gzip header holds no time: the file can be rebuilt byte for byte"
    assert b"CC BY 4.0" in gzip.decompress(packed)[:1000]
    assert folder.joinpath("hare_lynx.csv").read_text().startswith("# Pelts")
    coffee = folder.joinpath("coffee.csv").read_text()
    assert "Rachel Michetti" in coffee and "CC0" in coffee and len(coffee) < 8_000
