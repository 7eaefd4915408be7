"""The budget of formula cells: what a run would need, and what is written as numbers only when that is too much."""

from __future__ import annotations

from collections import Counter

from tinynet.workbook.plan import Block, Plan

WARN, BUDGET, MOST = 30_000, 100_000, 1_000_000  # formula cells
LEAST_MISSED = ("update", "backward", "forward")  # what becomes numbers first: less depends on it
# Bytes of the file, and seconds until LibreOffice shows it, for each formula cell (measured on nets of 6,000 to 90,000)
BYTES, SECONDS = 45, 8e-5


def formula_cells(plan: Plan) -> int:
    """How many cells will hold a formula."""
    return sum(block.ids.size for block in plan.blocks if block.is_formula)


def keep_to(plan: Plan, budget: int, values_beyond: bool) -> None:
    """Hold a plan to a budget: the largest quantities (of the update first) become numbers only, if that is wanted.

    Raises ValueError, with what would be needed and by what, if it is not; or if all of Excel would be too small.
    """
    needed = formula_cells(plan)
    if budget > MOST:
        raise ValueError(f"max_cells is {budget:,}, expected {MOST:,} at most: spreadsheets cannot take more")
    if needed <= budget:
        return
    sizes = _by_quantity(plan)
    if not values_beyond:
        largest = ", ".join(f"{quantity} {size:,}" for quantity, size in sizes.most_common(3))
        raise ValueError(
            f"this run would need {needed:,} formula cells, the budget is {budget:,} (the largest: {largest}): record "
            "fewer steps, samples or units, pass a larger max_cells, or values_beyond=True to write the largest "
            "as numbers only (on the command line: --max-cells, --values-beyond)"
        )
    order = {block.quantity: LEAST_MISSED.index(block.phase) for block in plan.blocks if block.is_formula}
    for quantity, size in sorted(sizes.items(), key=lambda item: (order[item[0]], -item[1])):
        if needed <= budget:
            break
        for block in (b for b in plan.blocks if b.quantity == quantity and b.is_formula):
            block.as_values = True
        needed -= size


def forecast(plan: Plan) -> str:
    """What a large workbook will be like."""
    cells = formula_cells(plan)
    largest = ", ".join(f"{quantity} {size:,}" for quantity, size in _by_quantity(plan).most_common(3))
    return (
        f"{cells:,} formula cells (the largest: {largest}), about {cells * BYTES / 1e6:.0f} MB; "
        f"LibreOffice will take about {cells * SECONDS:.0f} s to open them"
    )


def _by_quantity(plan: Plan) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for block in (block for block in plan.blocks if block.is_formula):
        sizes[block.quantity] += block.ids.size
    return sizes


def values_only(plan: Plan) -> list[Block]:
    """The blocks that are written as numbers only."""
    return [block for block in plan.blocks if block.as_values]
