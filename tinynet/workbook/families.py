"""Families, sections and parameter pieces: what belongs together on a sheet, found from the data flow alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tinynet.run import Value
from tinynet.workbook.expressions import Cells, Pick, distinct, dots
from tinynet.workbook.keys import keys_of
from tinynet.workbook.plan import Block, Plan
from tinynet.workbook.reads import labels_read
from tinynet.workbook.rows import Rows
from tinynet.workbook.spatial import Spatial
from tinynet.workbook.tags import Tags

GREEK = {"alpha": "α", "beta1": "β1", "beta2": "β2", "eps": "ε", "m_hat": "m̂", "v_hat": "v̂"}


@dataclass(eq=False)
class Family:
    """One quantity at all its time steps: the blocks that share a name."""

    quantity: str
    phase: str
    update: int
    blocks: list[Block] = field(default_factory=list)
    symbol: str = ""
    of: Family | None = None

    @property
    def title(self) -> str:
        return next((block.value.title for block in self.blocks if block.value.title), "")

    @property
    def computed(self) -> list[Block]:
        """The blocks that hold formulas."""
        return [block for block in self.blocks if block.expression is not None]

    @property
    def share(self) -> str | None:
        return self.blocks[0].value.share


@dataclass(eq=False)
class Piece:
    """A rectangle of a parameter that stands on the rows of the quantity it produces.

    ``places`` (rows, columns) are flat positions in the parameter ``leaf``; ``partner`` is the quantity that it
    multiplies (None for a bias).
    """

    name: str
    leaf: Value
    places: np.ndarray
    family: Family
    partner: str | None
    slots: dict[int, Any] = field(default_factory=dict)  # by round of training

    @property
    def turned(self) -> bool:
        """Whether its rows are the parameter's columns."""
        return self.places.shape[1] > 1 and bool(self.places[0, 1] != self.places[0, 0] + 1)


@dataclass(eq=False)
class Section:
    """Families that follow from one another without looking elsewhere, under one head."""

    families: list[Family]
    pieces: list[Piece] = field(default_factory=list)

    @property
    def scope(self) -> str:
        """The layer that it belongs to, as far as its quantities say."""
        scopes = (family.quantity.rpartition(".")[0] for family in self.families if family.computed)
        return next(filter(None, scopes), "")

    @property
    def title(self) -> str:
        computed = [family for family in self.families if family.computed]
        if not computed:
            return "input " + ", ".join(family.symbol for family in self.families)
        first = computed[0]
        return first.title.partition(":")[0] or first.quantity.rpartition(".")[0] or first.symbol


class Families:
    """All families of a plan and the sections they form."""

    def __init__(self, plan: Plan, tags: Tags, spatial: Spatial):
        self.plan, self.tags, self.spatial = plan, tags, spatial
        self.owner = plan.block_of()
        self.all: list[Family] = []
        self.of_block: dict[int, Family] = {}
        self.sources = self._sources()
        self.mirrored: list[Block] = []  # blocks in the shape of a parameter: gradients, updates, copies
        self._collect()
        self._link()
        self._symbols()
        self.reads = self._reads()

    def _collect(self) -> None:
        by_key: dict[tuple[str, str, int], Family] = {}
        for block in self.plan.blocks:
            if block.kind == "parameter":
                continue
            if parameter_of(block) is not None:
                self.mirrored.append(block)
                continue
            key = (block.quantity, block.phase, block.update)
            if key not in by_key:
                by_key[key] = Family(*key)
                self.all.append(by_key[key])
            by_key[key].blocks.append(block)
            self.of_block[id(block)] = by_key[key]
        # A state stands where it is computed, not where its initial value came in.
        self.all.sort(key=lambda family: (family.computed or family.blocks)[0].order)

    def _link(self) -> None:
        by_value = {block.value.index: self.of_block[id(block)] for block in self.plan.blocks if self._has(block)}
        for value, ids in self.plan.aliases:
            block = self.plan.blocks[self.owner[ids.flat[0]]]
            if self._has(block):
                by_value[value.index] = self.of_block[id(block)]
        for family in self.all:
            of = family.blocks[0].value.of
            family.of = None if of is None else by_value.get(of.index)

    def _has(self, block: Block) -> bool:
        return id(block) in self.of_block

    def _symbols(self) -> None:
        """A quantity is called by the last part of its name, if that is its alone; a gradient after what it is of."""
        own = [f for f in self.all if f.phase == "forward" or (f.of is None and f.quantity[:2] != "d_")]
        names = Counter((last_part(f.quantity), f.update) for f in own)
        for family in own:
            short = last_part(family.quantity)
            alone = names[short, family.update] == 1
            family.symbol = short if alone else family.quantity
            if family.blocks[0].kind == "hyperparameter":
                family.symbol = greek(family.symbol)
        for family in (f for f in self.all if not f.symbol):
            suffix = {None: "", "here": " ← t", "next": " ← t+1", "previous": " ← t-1"}[family.share]
            base = family.of.symbol if family.of else last_part(family.quantity.removeprefix("d_"))
            family.symbol = "δ" * (family.phase == "backward") + base + suffix
        for family in self.all:
            if family.blocks[0].kind == "state" or family.blocks[0].value.replaces_state:
                family.symbol = last_part(family.quantity).replace("old_", "old ")

    def _sources(self) -> list[list[int]]:
        """Of every block, the blocks that it reads, by their index: one leaf of its expression after the other."""
        blocks = self.plan.blocks
        read = [(i, ids) for i, block in enumerate(blocks) if block.expression for ids in block.expression.reads]
        labels = self.owner + 1
        labels[0] = 0
        found: list[list[int]] = [[] for _ in blocks]
        for leaf, label in labels_read([ids for _, ids in read], range(len(read)), labels):
            found[read[leaf][0]].append(label - 1)
        return found

    def _reads(self) -> dict[int, list[Family]]:
        """The other families that each family (by its id) reads, in the order in which it first does."""
        family_of = [self.of_block.get(id(block)) for block in self.plan.blocks]
        found: dict[int, dict[int, Family]] = {id(family): {} for family in self.all}
        for family, sources in zip(family_of, self.sources, strict=True):
            if family is not None:
                others = (family_of[source] for source in sources)
                found[id(family)] |= {id(other): other for other in others if other not in (None, family)}
        return {key: list(others.values()) for key, others in found.items()}

    def mirror_image(self, gradients: list[Family]) -> list[Family]:
        """Order gradients as they are computed; the shares of one stand before their sum."""
        last = {id(f.of): f.blocks[-1].order for f in gradients if f.share is None}
        shares = {"here": 0, "next": 1, "previous": 1, None: 2}
        return sorted(
            gradients,
            key=lambda f: (last.get(id(f.of), 0), f.quantity if f.of is None else "", shares[f.share]),
        )

    # Sections
    def forward_sections(self, update: int) -> list[Section]:
        """Group the forward families of one round of training.

        A family joins the section that it depends on if that is a single one and no weights bring in something
        new; an input that is only compared with (a target) stands where it is used, and so does a copy of a map or
        a kernel (padded, say). What is no map but has units and samples does not join maps.
        """
        sections: list[Section] = []
        home: dict[int, Section] = {}
        families = [f for f in self.all if f.phase == "forward" and f.update == update]
        families = [f for f in families if f.blocks[0].kind not in ("hyperparameter", "state")]
        adopted = [f for f in families if (self._is_copy(f) if f.computed else self._is_target(f))]
        for family in (f for f in families if f not in adopted):
            needed = {id(home[id(r)]): home[id(r)] for r in self.reads[id(family)] if id(r) in home}
            joins = len(needed) == 1 and family.computed and not self.uses_parameters(family)
            section = next(iter(needed.values())) if joins else Section([])
            if joins and self.is_map(section) and self._stays_apart(family, section):
                section, joins = Section([]), False
            if not joins:
                sections.append(section)
            for other in [*self._adopted_for(family, adopted, home), family]:
                section.families.append(other)
                home[id(other)] = section
        for family in (f for f in adopted if id(f) not in home):
            sections.append(Section([family]))
        return _in_reading_order(sections)

    def _stays_apart(self, family: Family, section: Section) -> bool:
        """What has samples but is no map, or belongs to another layer, does not join maps."""
        here, there = family.quantity.rpartition(".")[0], section.scope
        another = bool(here and there and here != there)
        return another or (not self.shows_maps(family) and self._has_samples(family))

    def _adopted_for(self, family: Family, adopted: list[Family], home: dict[int, Section]) -> list[Family]:
        """What a family brings with it: what it reads, and what that was copied from."""
        found: list[Family] = []
        for other in (f for f in adopted if f in self.reads[id(family)] and id(f) not in home):
            found += [f for f in self._adopted_for(other, adopted, home) if f not in found]
            found.append(other)
        return found

    def probabilities(self) -> list[Family]:
        """The probabilities of classes, in the first round of training."""
        forward = [f for f in self.all if f.phase == "forward" and f.update == 0]
        return [f for f in forward if f.title == "probabilities" and f.blocks[0].ids.ndim > 1]

    # Maps
    def is_map(self, section: Section) -> bool:
        """Tell whether a section shows images or feature maps."""
        return any(self.shows_maps(family) for family in section.families)

    def shows_maps(self, family: Family) -> bool:
        return any(block.value.index in self.spatial.axes for block in family.blocks)

    def is_picture(self, family: Family) -> bool:
        """Tell whether a family is an image: typed in, or chosen or copied from what is."""
        if not self.shows_maps(family) or family.phase != "forward":
            return False
        if any(not isinstance(block.expression, (Cells, Pick)) for block in family.computed):
            return False
        sources = [f for f in self.reads[id(family)] if self.shows_maps(f)]
        return all(map(self.is_picture, sources)) if family.computed else family.blocks[0].kind == "input"

    def shows_kernels(self, family: Family) -> bool:
        """Tell whether a family is a kernel in another form: rotated, or with zeros in it."""
        return all(b.value.index in self.spatial.kernels and b.ids.ndim > 2 for b in family.blocks)

    def _is_copy(self, family: Family) -> bool:
        """A map or kernel in another form stands with what alone is computed from it."""
        if not all(isinstance(block.expression, Cells) for block in family.computed):
            return False
        readers = [f for f in self.all if f.phase == "forward" and family in self.reads[id(f)]]
        shown = self.shows_maps(family) or self.shows_kernels(family)
        return shown and len(readers) == 1 and (self.shows_maps(readers[0]) or self.shows_kernels(readers[0]))

    def _has_samples(self, family: Family) -> bool:
        empty = any(not block.ids.size for block in family.blocks)
        return not empty and bool(keys_of(family.blocks, self.tags).tagged(timed=False).all())

    def _is_target(self, family: Family) -> bool:
        block = family.blocks[0]
        if block.time is not None or block.kind not in ("input", "constant") or block.value.of is not None:
            return False
        users = [f for f in self.all if f.phase == "forward" and family in self.reads[id(f)]]
        inside = [dot for f in users for b in f.computed for dot in dots(b.expression)]  # type: ignore[arg-type]
        ids = block.ids.reshape(-1)
        return bool(users) and not any(
            np.isin(ids, side.numbers).any() for dot in inside for side in (dot.left, dot.right) if side is not None
        )

    def uses_parameters(self, family: Family) -> bool:
        """Tell whether a quantity is computed with weights."""
        return id(family) in self._with_parameters

    @cached_property
    def _with_parameters(self) -> set[int]:
        """The families (by their ids) that read parameters."""
        learned = [self._is_parameter(block) for block in self.plan.blocks]
        pairs = zip(self.plan.blocks, self.sources, strict=True)
        readers = (block for block, sources in pairs if any(learned[source] for source in sources))
        return {id(self.of_block.get(id(block))) for block in readers}

    @staticmethod
    def _is_parameter(block: Block) -> bool:
        return block.kind == "parameter" or (parameter_of(block) is not None and block.value.of is None)

    # Parameters
    def pieces(self, sections: list[Section]) -> tuple[list[Piece], dict[str, list[Block]]]:
        """Cut parameters into the pieces that have names, each beside the first quantity that uses it.

        Returns the pieces, and the parameters that stand on sheets of maps, by the quantity that uses them first.
        """
        pieces: list[Piece] = []
        on_maps = {id(family) for section in sections if self.is_map(section) for family in section.families}
        attached: dict[str, list[Block]] = {}
        forward = [f for f in self.all if f.phase == "forward" and f.computed]
        used = {id(f): _cells_of(f) for f in forward}
        users = Users(self.plan.cells, list(used.values()))
        for block in [b for b in self.plan.blocks if b.kind == "parameter"]:
            first = next((f for f in forward if np.isin(block.ids, used[id(f)]).any()), None)
            if first is not None and id(first) in on_maps:
                attached.setdefault(first.quantity, []).append(block)
                continue
            found = []
            for name, ids in self._named_parts(block) or _parts_by_use(block, users):
                family = next((f for f in forward if np.isin(ids, used[id(f)]).any()), None)
                places = ids - block.ids.flat[0]
                piece = None if family is None else self._fit(name, block, places, family)
                if piece is not None:
                    found.append(piece)
            if sum(piece.places.size for piece in found) == block.ids.size:
                pieces += found
        return pieces, attached

    def _named_parts(self, block: Block) -> list[tuple[str, np.ndarray]]:
        parts = [
            (str(value.name), ids)
            for value, ids in self.plan.aliases
            if ids.size and self.plan.blocks[self.owner[ids.flat[0]]] is block and value.of is None
        ]
        covered = np.concatenate([ids.reshape(-1) for _, ids in parts]) if parts else np.array([])
        return parts if len(covered) == len(set(covered)) == block.ids.size else []

    def _fit(self, name: str, block: Block, places: np.ndarray, family: Family) -> Piece | None:
        if places.ndim > 2 or places.ndim == 0:
            return None
        rows = keys_of(family.blocks, self.tags).rows
        bias = places.ndim == 1
        grid = places[:, None] if bias else places
        if grid.shape[0] != rows or (grid.shape[1] == rows and self._reads_columns(family, grid + block.ids.flat[0])):
            grid = grid.T
        if grid.shape[0] != rows:
            return None
        partner = None if bias else self._partner(family, grid + block.ids.flat[0])
        if partner is None and grid.shape[1] > 1:
            partner = "weights"
        return Piece(name, block.value, grid, family, partner)

    def _reads_columns(self, family: Family, ids: np.ndarray) -> bool:
        """Tell whether an element of a quantity reads a column of a matrix: ``x @ W``."""
        for dot in (d for b in family.computed for d in dots(b.expression)):  # type: ignore[arg-type]
            for side in (dot.left, dot.right):
                read = np.isin(ids, [] if side is None else side.numbers[:1])
                if np.count_nonzero(read) > 1:
                    return bool(np.count_nonzero(read.any(axis=1)) > 1)
        return False

    def _partner(self, family: Family, ids: np.ndarray) -> str | None:
        """What weights are multiplied with in a sum of products; None for a bias, which may be a column."""
        for dot in (d for b in family.computed for d in dots(b.expression)):  # type: ignore[arg-type]
            for one, other in ((dot.left, dot.right), (dot.right, dot.left)):
                cell = 0 if one is None or other is None else _multiplied(ids, one, other)
                block = self.plan.blocks[self.owner[cell]]
                if cell and id(block) in self.of_block:
                    return self.of_block[id(block)].symbol
        return None


class Users:
    """Of each cell: how many quantities read it, and the last of those."""

    def __init__(self, cells: int, used: list[np.ndarray]):
        self.count, self.last = np.zeros(cells + 1, dtype=int), np.zeros(cells + 1, dtype=int)
        for n, read in enumerate(used):
            self.count[read] += 1
            self.last[read] = n


def parameter_of(block: Block) -> Value | None:
    """The parameter whose shape and place a block mirrors: it is its gradient, update or copy, or kept for it."""
    value = block.value
    if value.beside is not None or value.replaces_state:
        return value.beside
    if value.copy_of is not None:
        return value.copy_of
    if value.of is None or value.share is not None:
        return None
    if value.of.copy_of is not None:
        return value.of.copy_of
    return value.of if value.of.kind == "parameter" else None


def mirror_role(block: Block) -> str:
    """What a block in the shape of a parameter is: its ``gradient``, its ``new`` value, or a ``copy`` of that.

    What an optimiser computes beside it is called by its own name, such as ``m``.
    """
    if block.value.beside is not None:
        return block.quantity.removesuffix(f"_{block.value.beside.quantity}")
    if block.value.of is not None:
        return "gradient"
    return "new" if block.update == block.value.update else "copy"


def greek(name: str) -> str:
    """An optimiser's number as papers write it: ``beta1`` is β1."""
    return GREEK.get(name, name)


def optimiser_title(families: list[Family]) -> str:
    """What stands above the numbers of an optimiser that belong to no parameter."""
    rates = [family for family in families if family.blocks[0].kind == "hyperparameter"]
    return "learning rate" if rates and all(family.symbol.startswith("lr") for family in rates) else "optimiser"


def _multiplied(ids: np.ndarray, one: Rows, other: Rows) -> int:
    """The first cell on the one side of a contraction that meets one of ``ids`` on the other; 0 if there is none."""
    found = Rows(np.isin(one.table, ids), one.which)
    rows = np.flatnonzero(np.any(found.table, axis=1))
    for i in np.flatnonzero(np.isin(one.which, rows)).tolist():
        cells = other[i][found[i]]
        if cells.any():
            return int(cells[cells > 0][0])
    return 0


def _cells_of(family: Family) -> np.ndarray:
    parts = [ids for block in family.computed for ids in block.expression.reads]  # type: ignore[union-attr]
    return distinct(np.concatenate(parts)) if parts else np.array([], dtype=int)


def _parts_by_use(block: Block, users: Users) -> list[tuple[str, np.ndarray]]:
    """The rows of a matrix, or elements of a vector, that one quantity alone uses, such as a gate: ``W[0:4]`` …

    The whole, where rows are not told apart by that.
    """
    whole = [(block.name, block.ids)]
    if block.ids.ndim not in (1, 2) or np.any(users.count[block.ids] != 1):
        return whole
    rows = users.last[block.ids].reshape(len(block.ids), -1)
    starts = [0, *(np.nonzero(rows[1:, 0] != rows[:-1, 0])[0] + 1).tolist()]
    if len(starts) == 1 or np.any(rows != rows[:, :1]) or len(set(rows[starts, 0].tolist())) < len(starts):
        return whole
    ends = [*starts[1:], len(rows)]
    return [(f"{block.name}[{start}:{end}]", block.ids[start:end]) for start, end in zip(starts, ends, strict=True)]


def last_part(quantity: str) -> str:
    """``lstm.c`` → ``c``."""
    return quantity.rpartition(".")[2]


def _in_reading_order(sections: list[Section]) -> list[Section]:
    """Inputs first; otherwise in the order of execution."""
    return sorted(sections, key=lambda section: any(family.computed for family in section.families))
