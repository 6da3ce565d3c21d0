"""The words that a fold's registers take beside those of its products: on the way into the PEs, on the way out.

Counted are the registers of PEs that a word of the fold passes, as if a valid bit beside each word clocked them:

- stationary operand (`ws`, `is`): the word for row r shifts through rows 0 to r, r + 1 registers; with two weight
  registers a PE it takes one more, the one that multiplies;
- sums that fall (`ws`, `is`): below the rows that multiply they fall through all that are left;
- sums that rest (`os`): the copy into the drain register, then every row below on the way down, R - r in all for
  row r of R; with `drain: stream` its own column and those to the right, C - c in all for column c of C (the last
  product already goes to the register that hands over; where zeros pad a short fold, that is one write more).

Not counted: registers around the grid (read, skew, output), those inside a multiplier, and operands that flow on past
the last PE that multiplies them.
Where PEs take several words along k at once, these stand in one register, and all of it is written.
Source: equal to the registers of sim.reference (tests/test_registers.py).
"""

from __future__ import annotations

from collections import Counter

from sim.arch import Arch, Systolic
from sim.dataflow import DATAFLOWS, Dim
from sim.kernel import Contraction
from sim.mapping import Mapping, words
from sim.plan import Compute, Extent, Plan, TileWork, steps

Pieces = Counter[int]
"""Size of what lies on a side of the array to the number of folds with it."""


def shifted(plan: Plan, arch: Arch) -> dict[str, int]:
    """Return the register writes of a plan's folds beside those of products: words by operand, loops multiplied out.

    Plans that are not made of folds of a product (passes, work that lies in the PEs) have none.
    """
    found: Counter[str] = Counter()
    if isinstance(plan.kernel, Contraction) and isinstance(plan.mapping, Mapping) and arch.array is not None:
        for step, times in steps(plan.body):
            if isinstance(step, Compute) and isinstance(step.work, TileWork):
                for operand, count in _of_tile(plan.kernel, plan.mapping, arch, step.extent).items():
                    found[operand] += count * times
    return dict(found)


def _of_tile(kernel: Contraction, mapping: Mapping, arch: Arch, extent: Extent) -> Counter[str]:
    """Return the words of one tile: the shares of all arrays, full packs of groups and the rest."""
    found: Counter[str] = Counter()
    array = arch.array
    assert array is not None  # its caller has looked
    full, rest = divmod(extent[0], mapping.packed)
    for share, arrays in _shares(mapping, array, extent).items():
        for groups, packs in ((mapping.packed, full), (rest, 1)):
            if groups and packs:
                for operand, count in _of_share(kernel, mapping, array, arch.mac_rate, share, groups).items():
                    found[operand] += count * packs * arrays
    return found


def _shares(mapping: Mapping, array: Systolic, extent: Extent) -> Counter[tuple[int, int, int]]:
    """Return what each array takes along (m, n, k), and how many arrays take as much."""
    sizes: dict[Dim, int] = dict(zip(("m", "n", "k"), extent[1:], strict=True))
    if mapping.split is None:
        return Counter([(sizes["m"], sizes["n"], sizes["k"])])
    total, count = sizes[mapping.split], array.count
    parts = [total * (i + 1) // count - total * i // count for i in range(count)]
    each = [sizes | {mapping.split: part} for part in parts if part]
    return Counter((own["m"], own["n"], own["k"]) for own in each)


def _of_share(
    kernel: Contraction, mapping: Mapping, array: Systolic, rate: int, share: tuple[int, int, int], groups: int
) -> dict[str, int]:
    """Return the words of one array's folds, `groups` of them packed block-diagonally, `rate` of k at once."""
    flow = DATAFLOWS[array.dataflow]
    sizes: dict[Dim, int] = dict(zip(("m", "n", "k"), share, strict=True))
    rows = _pieces(kernel, mapping, flow.row, sizes[flow.row], array.rows, rate)
    cols = _pieces(kernel, mapping, flow.col, sizes[flow.col], array.cols, rate)
    wide = sizes[flow.col]
    read = flow.reads(array)  # a knob that plays no part in the time of a fold plays none in its registers
    if flow.stationary == "output":
        if array.drain == "stream" and "drain" in read:
            held = int(words(sizes[flow.stream], rate) < array.cols)
            out = sum(folds * _way_out(groups * size, array.cols, held) for size, folds in cols.items())
            return {"output": sizes[flow.row] * out}
        return {"output": wide * sum(folds * _way_out(groups * size, array.rows) for size, folds in rows.items())}
    kept = array.weight_buffers - 1 if "weight_buffers" in read else 0
    shift_in = sum(folds * (_triangle(groups * size) + kept * groups * size) for size, folds in rows.items())
    fall = sum(folds * (groups * array.rows - size * _triangle(groups)) for size, folds in rows.items())
    return {flow.stationary: wide * shift_in * rate, "output": wide * sizes[flow.stream] * fall}


def _pieces(kernel: Contraction, mapping: Mapping, dim: Dim, size: int, pes: int, rate: int) -> Pieces:
    """Return the folds along a side of `pes` PEs: cut densely, or tap by tap where k is lowered directly."""
    at_once = rate if dim == "k" else 1
    lanes = Counter([size])
    if dim == "k" and mapping.lowering == "direct":
        depth, more = divmod(size, kernel.taps)
        lanes = Counter({depth + 1: more, depth: kernel.taps - more})
    pieces: Pieces = Counter()
    for length, count in lanes.items():
        full, rest = divmod(words(length, at_once), pes)
        pieces[pes] += full * count
        pieces[rest] += count
    del pieces[0]
    return +pieces


def _triangle(size: int) -> int:
    """Return 1 + 2 + ... + size."""
    return size * (size + 1) // 2


def _way_out(used: int, side: int, held: int = 0) -> int:
    """Return the registers of one lane on which `used` sums leave a `side`, each held in `held` more before."""
    return used * (side + held) - _triangle(used - 1)
