"""Keys: the time step and the sample of every cell of a quantity, for all its blocks at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinynet.workbook.plan import Block
from tinynet.workbook.tags import NONE, Tags

WHOLE = 1 << 30  # the time of what belongs to whole sequences: behind every step


@dataclass(frozen=True, eq=False)
class Keys:
    """Of each cell (n,): its id, the number of its block, its time step and its sample."""

    ids: np.ndarray
    block: np.ndarray
    time: np.ndarray
    sample: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Keys:
        return Keys(*(column[chosen] for column in (self.ids, self.block, self.time, self.sample)))

    @property
    def pairs(self) -> np.ndarray:
        return pairs(self.time, self.sample)

    @property
    def rows(self) -> int:
        """How many rows the cells take where columns are steps and samples."""
        return int(self.ranks().max(initial=-1)) + 1

    def ranks(self) -> np.ndarray:
        """Number the cells that share a step and a sample: 0, 1, 2 … in the order in which they stand."""
        key = self.pairs
        order = np.argsort(key, kind="stable")
        new = np.diff(key[order], prepend=-1) != 0
        places = np.arange(len(order))
        out = np.empty_like(places)
        out[order] = places - np.maximum.accumulate(np.where(new, places, 0))
        return out

    def tagged(self, timed: bool) -> np.ndarray:
        """Which cells stand in the columns of steps and samples (a summary, such as the loss, does not): (n,)."""
        untagged = self.block[(self.time if timed else self.sample) == NONE]
        return np.bincount(untagged, minlength=int(self.block.max(initial=0)) + 1)[self.block] == 0


def keys_of(blocks: list[Block], tags: Tags) -> Keys:
    parts = [(block.ids, tags.time[block.value.index], tags.sample[block.value.index]) for block in blocks]
    ids, time, sample = (np.concatenate([part.reshape(-1) for part in column]) for column in zip(*parts, strict=True))
    return Keys(ids, np.repeat(np.arange(len(blocks)), [block.ids.size for block in blocks]), time, sample)


def column_keys(blocks: list[Block], tags: Tags, timed: bool) -> Keys:
    """The keys by which cells stand: among time steps, numbers for each sequence come behind the last step."""
    keys = keys_of(blocks, tags)
    found = [(tags.time[block.value.index], tags.sample[block.value.index]) for block in blocks if timed]
    whole = [bool(time.ndim and np.all(time == NONE) and np.all(sample != NONE)) for time, sample in found]
    return replace(keys, time=np.where(np.array(whole)[keys.block], WHOLE, keys.time)) if any(whole) else keys


def pairs(time: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """A number for each step and sample, in their order and not below 0."""
    return ((time.astype(np.int64) - NONE) << 32) + (sample - NONE)
