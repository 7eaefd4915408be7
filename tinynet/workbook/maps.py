"""Images and feature maps as square cells: a strip for each channel, its kernel beside the maps that it makes.

The way back has a sheet of its own, in mirrored order: the gradients of a strip stand in the columns of what they are
gradients of, those of its kernel in the kernel's; padded gradients and rotated kernels stand where they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinynet.workbook.families import Family, Section, last_part, optimiser_title
from tinynet.workbook.plan import Block
from tinynet.workbook.sheet import (
    FIRST_SLOT,
    HEADER_ROW,
    SYMBOL,
    Band,
    Builder,
    Group,
    MapPart,
    MapSheet,
    Rectangle,
    rectangle_name,
)

if TYPE_CHECKING:
    from tinynet.workbook.layout import Layout, Round

WIDE = 40  # columns that small pictures are laid out in, side by side
ABREAST = 4  # kernels of a strip side by side, at most
BARS, MOST_BARS = 13, 4  # columns that the probabilities of one sample take, and samples that are drawn


@dataclass(eq=False)
class Tiles:
    """One quantity in all strips of a part: ``ids`` (channels, tiles, height, width).

    It is a family of quantities, or a parameter (in one of its roles).
    """

    ids: np.ndarray
    family: Family | None = None
    parameter: Block | None = None

    @property
    def channels(self) -> int:
        return self.ids.shape[0]

    @property
    def is_wide(self) -> bool:
        """Whether it is more than one number for each channel."""
        return self.ids[0].size > 1


class MapBuilder(Builder):
    """Fills the sheet of one section, and the sheet of its way back."""

    sheet: MapSheet

    def __init__(self, layout: Layout, sheet: MapSheet, section: Section, round_: Round):
        self.layout, self.sheet, self.section, self.round = layout, sheet, section, round_
        self.families, self.spatial = layout.families, layout.spatial
        shown = [spatial_ids for f in section.families for spatial_ids in self._map_ids(f)]
        self.channels = {ids.shape[0] for ids in shown}
        self.parts = self._parts(section.families)
        self.gradients = [f for f in round_.gradients if f.of in section.families]
        self.copies = [f for f in self.gradients if all(block.value.of is None for block in f.blocks)]
        self.row = HEADER_ROW
        sheet.pictures = not any(tiles.parameter for part in self.parts for tiles in part)

    @property
    def has_way_back(self) -> bool:
        learned = any(self._mirrored(tiles, "gradient") for part in self.parts for tiles in part)
        return learned or bool(self.gradients)

    def build(self) -> None:
        """The forward pass."""
        band = self.band("forward")
        first = self.round.update == 0 and self.sheet is self.layout.sheets[0]
        for tiles in self.parts:
            if self.round.update:
                tiles = [self._mirrored(t, "copy") or t for t in tiles]
            bars = self.families.probabilities() if first and self.sheet.bars is None else []
            self._place(band, tiles, "parameter", bars)
        self.sheet.bottom = self.row

    def build_back(self, sheet: MapSheet) -> None:
        """The backward pass, last part first, and the update."""
        self.sheet, self.row = sheet, HEADER_ROW
        band = self.band("backward")
        members = self.families.mirror_image(self.gradients)
        done: set[int] = set()
        for part in reversed(self.parts):
            mine = [(t, g) for t in part for g in members if t.family is g.of and g not in self.copies]
            tiles = [t for kernel in self._kernels_for([g for _, g in mine], done) for t in self._tiles(kernel)]
            tiles += [found for t in part if (found := self._mirrored(t, "gradient"))]
            tiles += [t for _, gradient in mine for t in self._tiles(gradient)]
            for group in _by_channels(tiles):
                self._place(band, group, "gradient")
            sources = [t.family for t in part]
            for copy in (c for c in self.copies if c.of in sources and id(c) not in done):
                if not self.families.shows_kernels(copy):
                    done.add(id(copy))
                    self._place(band, self._tiles(copy), "gradient")
            done |= {id(g) for _, g in mine}
        closing = self.round.closing is sheet
        rest = [family for family in members if id(family) not in done]
        for family in rest + (self.round.elsewhere if closing else []):
            self._place(band, self._tiles(family), "gradient")
        for block in self.round.unplaced() if closing else []:
            self._place(band, [Tiles(_matrix(block.ids), parameter=block)], "gradient")
        self._update(closing)
        sheet.bottom = self.row

    def _update(self, closing: bool) -> None:
        new = [self._mirrored_tiles(part, "new") for part in self.parts]
        optimiser = self.round.optimiser if closing else []
        if not any(new) and not optimiser:
            return
        band = self.band("update")
        for family in optimiser:
            self._place(band, self._tiles(family), "")
        for part in self.parts:
            for role in self.layout.roles(self.round.update):
                self._place(band, self._mirrored_tiles(part, role), role)

    def _kernels_for(self, readers: list[Family], done: set[int]) -> list[Family]:
        """The kernels in another form that are used by ``readers``."""
        found = [c for c in self.copies if self.families.shows_kernels(c) and id(c) not in done]
        found = [c for c in found if any(c in self.families.reads[id(reader)] for reader in readers)]
        done |= {id(copy) for copy in found}
        return found

    # What stands together
    def _parts(self, families: list[Family]) -> list[list[Tiles]]:
        """Quantities with the same channels stand in the same strips; kernels begin a part."""
        parts: list[list[Tiles]] = []
        kernels: list[Tiles] = []  # in another form, waiting for the quantity that they make
        for family in families:
            attached = [
                t for block in self.layout.attached.get(family.quantity, []) for t in self._parameter(block, family)
            ]
            if self.families.shows_kernels(family):
                kernels += [*attached, *self._tiles(family)]
                continue
            tiles = [*kernels, *attached, *self._tiles(family)]
            begins = any(t.is_wide for t in [*kernels, *attached])
            kernels = []
            for i, group in enumerate(_by_channels(tiles)):
                same = parts and parts[-1][0].channels == group[0].channels and not (begins and i == 0)
                if same and self.families.shows_maps(family):
                    parts[-1] += group
                else:
                    parts.append(group)
        # A table of pictures to choose from comes below what was chosen.
        parts.sort(key=lambda part: all(t.family is not None and not t.family.computed and t.is_wide for t in part))
        return parts + ([kernels] if kernels else [])

    def _tiles(self, family: Family) -> list[Tiles]:
        """The ids of a family by channel; one entry for blocks that are alike."""
        found = []
        for block in (block for block in family.blocks if block.ids.size):
            ids = self.spatial.tiles(block.value, block.ids)
            if ids is None and self.families.shows_kernels(family):
                ids = self._by_strips(block.ids)
            elif ids is None:
                vector = block.ids.ndim == 1 and 1 < block.ids.size in self.channels
                ids = block.ids.reshape(-1, 1, 1, 1) if vector else _matrix(block.ids)
            found.append(ids)
        if len({ids.shape for ids in found}) == 1:
            found = [np.concatenate(found, axis=1)]
        return [Tiles(ids, family) for ids in found]

    def _map_ids(self, family: Family) -> list[np.ndarray]:
        found = [self.spatial.tiles(block.value, block.ids) for block in family.blocks]
        return [ids for ids in found if ids is not None]

    def _parameter(self, block: Block, family: Family) -> list[Tiles]:
        """A parameter in strips: its first axis counts them, or the second where that fits the quantity."""
        channels = [tiles.channels for tiles in self._tiles(family)]
        size, ids = block.ids.size, block.ids
        if ids.ndim == 1 and size in channels:
            return [Tiles(ids.reshape(size, 1, 1, 1), parameter=block)]
        axes = self.spatial.axes.get(family.blocks[0].value.index, (2, 3))
        if ids.ndim < len(axes):
            return [Tiles(_matrix(ids), parameter=block)]
        tiles = self._by_strips(ids, len(axes))
        swapped = tiles.shape[0] not in channels and tiles.shape[1] in channels
        return [Tiles(tiles.swapaxes(0, 1) if swapped else tiles, parameter=block)]

    @staticmethod
    def _by_strips(ids: np.ndarray, spatial: int = 2) -> np.ndarray:
        spatial = min(spatial, max(ids.ndim - 2, 1) if ids.ndim != 2 else 2)
        lead, size = ids.shape[: ids.ndim - spatial], ids.shape[ids.ndim - spatial :]
        first = lead[0] if lead else 1
        return ids.reshape(first, -1, *((1,) * (2 - spatial)), *size)

    def _mirrored_tiles(self, part: list[Tiles], role: str) -> list[Tiles]:
        return [found for tiles in part if (found := self._mirrored(tiles, role))]

    def _mirrored(self, tiles: Tiles, role: str) -> Tiles | None:
        """The gradient, new value or copy of a parameter, in the order of its tiles."""
        if tiles.parameter is None:
            return None
        block = self.layout.mirrored(tiles.parameter.value, role, self.round.update)
        if block is None:
            return None
        places = tiles.ids - int(tiles.parameter.ids.flat[0])
        return Tiles(block.ids.reshape(-1)[places], parameter=tiles.parameter)

    # Placing
    def _place(self, band: Band, tiles: list[Tiles], role: str, bars: Sequence[Family] = ()) -> None:
        if not tiles:
            return
        alone = len(tiles) == 1
        if alone:  # as many side by side as there is room for
            ids = tiles[0].ids
            tiles = [Tiles(ids.reshape(1, -1, *ids.shape[2:]), tiles[0].family, tiles[0].parameter)]
        part = MapPart(self.section, self._title(tiles, role), self.row)
        band.parts.append(part)
        top = self.row + 2  # below the head and the labels
        abreast = [self._abreast(t, max(x.ids.shape[2] for x in tiles), alone) for t in tiles]
        height = max(-(-t.ids.shape[1] // a) * (t.ids.shape[2] + 1) - 1 for t, a in zip(tiles, abreast, strict=True))
        left = FIRST_SLOT
        # Places, which are no quantity of the network, come last.
        order = sorted(zip(tiles, abreast, strict=True), key=lambda pair: _is_places(pair[0]))
        for item, across in order:
            self._tile(item, across, top, left, height + 1)
            self._note(part, item, role, top, left)
            self._number(part, item, across, top)
            left += min(across, item.ids.shape[1]) * (item.ids.shape[3] + 1)
        strips = tiles[0].channels
        if bars:
            self.sheet.bars = (top, left + 1)
            height = max(height, 1 + max(bar.blocks[0].ids.shape[-1] for bar in bars))
            self.sheet.edge = max(self.sheet.edge, left + 1 + BARS * sum(map(samples_drawn, bars)))
        part.strips = [(top + c * (height + 1), height) for c in range(strips)]
        self.row = top + strips * (height + 1)

    def _abreast(self, tiles: Tiles, height: int, alone: bool) -> int:
        """How many tiles of a strip stand side by side."""
        count, own = tiles.ids.shape[1], tiles.ids.shape[2]
        if alone:
            return max(1, min(count, WIDE // (tiles.ids.shape[3] + 1)))
        if tiles.family is not None and not self.families.shows_kernels(tiles.family):
            return count
        rows = max(1, (height + 1) // (own + 1), -(-count // ABREAST))
        return -(-count // rows)

    def _tile(self, tiles: Tiles, across: int, top: int, left: int, pitch: int) -> None:
        channel, tile, row, column = np.indices(tiles.ids.shape)
        rows = top + channel * pitch + tile // across * (tiles.ids.shape[2] + 1) + row
        columns = left + tile % across * (tiles.ids.shape[3] + 1) + column
        self.layout.place(tiles.ids, self.sheet, rows, columns)

    def _note(self, part: MapPart, tiles: Tiles, role: str, top: int, left: int) -> None:
        """Remember what stands where, and how it is called."""
        shape = "×".join(map(str, tiles.ids.shape[2:])) if tiles.ids[0, 0].size > 1 else ""
        if tiles.parameter is not None:
            whole = str(tiles.parameter.value.name)
            names = rectangle_name(whole, role, last_part(whole))
            label = names[1]
            part.rectangles.append(Rectangle(*names, role, tiles.ids, top, left))
        else:
            assert tiles.family is not None
            label = _short(tiles.family)
            part.groups.append(Group(top, tiles.ids.shape[2], tiles.family.symbol, tiles.family))
        part.labels.append((top - 1, left, f"{label}  {shape}".rstrip()))

    @staticmethod
    def _number(part: MapPart, tiles: Tiles, across: int, top: int) -> None:
        """Call pictures that are typed in by their places: ``digits[3]``, and beside further rows ``[4] … [7]``."""
        block = None if tiles.family is None or tiles.family.computed else tiles.family.blocks[0]
        channels, count, height, width = tiles.ids.shape
        if block is None or channels > 1 or count == 1 or len(block.ids) != count:
            return
        row, column, text = part.labels.pop()
        label, _, shape = text.partition("  ")
        for k in range(min(across, count)):
            part.labels.append((row, column + k * (width + 1), f"{label}[{k}]" + f"  {shape}" * (k == 0)))
        for first in range(across, count, across):  # between the rows nothing may stand: they are one block
            last = min(first + across, count) - 1
            part.labels.append((top + first // across * (height + 1), SYMBOL, f"[{first}] … [{last}]"))

    def _title(self, tiles: list[Tiles], role: str) -> str:
        """``conv1``, ``conv1: input with a border of zeros``, ``learning rate`` …"""
        families = [t.family for t in tiles if t.family is not None]
        if role == "" and families:
            return optimiser_title(families)
        if role in self.layout.roles(self.round.update):
            return self.layout.roles(self.round.update)[role] or "new parameters"
        shown = next((f for f in families if self.families.shows_maps(f)), families[0] if families else None)
        if shown is None:
            return "parameters"
        if role == "gradient":
            return f"gradient of {_short(shown.of)}" if shown.of and shown not in self.copies else _words(shown)
        return shown.title or shown.quantity.rpartition(".")[0] or _short(shown)


def samples_drawn(probabilities: Family) -> int:
    """How many samples are drawn as bars."""
    ids = probabilities.blocks[0].ids
    return min(MOST_BARS, ids.size // ids.shape[-1])


def _short(family: Family) -> str:
    """The last part of a quantity's name: ``z``, ``δz``."""
    quantity = family.quantity
    return "δ" + last_part(quantity.removeprefix("d_")) if quantity.startswith("d_") else last_part(quantity)


def _words(family: Family) -> str:
    """``conv1.weight_rotated``: weight, rotated."""
    return _short(family).replace("_", ", ")


def _is_places(tiles: Tiles) -> bool:
    """Tell whether these are places that something else is looked up at."""
    computed = tiles.family.computed if tiles.family is not None else []
    return any(block.value.array.dtype.kind in "iu" and block.ids.ndim > 2 for block in computed)


def _matrix(ids: np.ndarray) -> np.ndarray:
    return ids.reshape(1, 1, -1, ids.shape[-1] if ids.ndim > 1 else max(ids.size, 1))


def _by_channels(tiles: list[Tiles]) -> list[list[Tiles]]:
    """Neighbours with the same number of channels, together."""
    groups: list[list[Tiles]] = []
    for item in tiles:
        if groups and groups[-1][0].channels == item.channels:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups
