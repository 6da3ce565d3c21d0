"""The mapping of a layer as the result tells it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sim.arch import OPERANDS, Arch
from sim.dataflow import DATAFLOWS
from sim.kernel import Contraction
from sim.mapping import Tiling, tile_count
from sim.passes import Passes, Planes
from sim.plan import Fusion, Plan


def told(plan: Plan, chip: Arch) -> dict[str, Any]:
    """Return the mapping as data, and what it takes to read it: sizes, tiles, and what lies where on the array."""
    mapping, kernel, array = plan.mapping, plan.kernel, chip.array
    if isinstance(mapping, Fusion):
        return {"attention": asdict(mapping)}
    assert isinstance(kernel, Contraction) and array is not None and mapping is not None  # what is mapped
    flow = DATAFLOWS[array.dataflow]
    sizes = {dim: getattr(kernel, dim) for dim in ("m", "n", "k", "taps")} | {"g": kernel.groups}
    place = {"dataflow": array.dataflow, "rows": array.rows, "cols": array.cols, "arrays": array.count}
    place |= {"rate": chip.seen(kernel.right_is).mac_rate} if array.rates else {}
    if isinstance(mapping, Passes):
        planes = Planes(kernel)
        rows, columns = planes.axes
        more = {"images": planes.images, "rows": rows.out, "columns": columns.out, "channels": kernel.channels}
        return {"passes": asdict(mapping), "sizes": sizes | more, "right": kernel.right_is, "array": place}
    tiling = Tiling(kernel, mapping)
    tiles = {"g": tile_count(tiling.group_loops)} | {dim: tiling.count(dim) for dim in mapping.order}
    hold = {operand: list(mapping.inside(operand)) for operand in OPERANDS}
    return {
        "tile": {"g": mapping.g, "m": mapping.m, "n": mapping.n, "k": mapping.k}, "order": list(mapping.order),
        "held_along": hold, "packed": mapping.packed, "lowering": mapping.lowering, "split": mapping.split,
        "sizes": sizes, "tiles": tiles, "right": kernel.right_is,
        "array": {**place, "along_rows": flow.row, "along_cols": flow.col, "streamed": flow.stream},
    }  # fmt: skip
