"""Small real data that comes with tinynet; each file begins with its source and licence."""

from __future__ import annotations

import gzip
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_coffee", "load_digits", "load_hare_lynx"]


def load_digits(size: int = 8) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """1,797 handwritten digits: images (1797, size, size) from 0 (paper) to 1 (ink), and labels (1797,).

    ``size`` is 8 as published, or 4 or 2, where a pixel is the mean of a square block.

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), the test set; CC BY 4.0.
    """
    if size not in (8, 4, 2):
        raise ValueError(f"size={size!r}: the digits come in 8, 4 or 2 pixels a side; choose one of these")
    rows = _read("digits.csv.gz", np.int64)
    block = 8 // size
    images = rows[:, :64].reshape(-1, size, block, size, block).mean(axis=(2, 4)) / 16
    return images, rows[:, 64]


def load_coffee() -> NDArray[np.float64]:
    """A photograph of a cup of coffee, grey: (32, 32) from 0 (white) to 1 (black), as ink on paper.

    By Rachel Michetti, as published with scikit-image; CC0.
    """
    return 1 - _read("coffee.csv", np.float64) / 255


def load_hare_lynx() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Years (21,), 1900 to 1920, and thousands of pelts (21, 2) of hares and of lynxes: prey and predator.

    Collected by the Hudson's Bay Company; the table of P. Howard (2009) and of a Stan case study.
    """
    rows = _read("hare_lynx.csv", np.float64, header=1)
    return rows[:, 0].astype(np.int64), rows[:, 1:]


def _read(name: str, dtype: type[Any], header: int = 0) -> NDArray[Any]:
    """The numbers of a CSV file of this package, below its comments and ``header`` lines of column names."""
    content = files(__name__).joinpath(name).read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return np.loadtxt(lines[header:], dtype, delimiter=",")
