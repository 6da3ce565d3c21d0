"""Which tiles and which loops there are to choose from, depending on the chip only through its array."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations, product
from math import gcd

from sim.arch import OPERANDS, Arch, MappingChoice, Systolic
from sim.dataflow import DATAFLOWS, Dim
from sim.kernel import Contraction
from sim.mapping import DIMS, RELEVANT, spans, words

Order = tuple[Dim, Dim, Dim]
Pattern = tuple[Order, tuple[int, ...]]
"""A loop order, and for weight, input and output the number of loops outside the scope that holds it."""


def array_of(arch: Arch) -> Systolic:
    """Return the array; ConfigError where the chip has none."""
    arch.unit_name(Systolic)
    assert arch.array is not None  # unit_name has raised where there is none
    return arch.array


def order_of(wish: MappingChoice) -> Order | None:
    """Return the loop order that the user fixed."""
    return (wish.order[0], wish.order[1], wish.order[2]) if wish.order else None


def lowering_of(wish: MappingChoice) -> str:
    """Return how reduction indices lie on the array: im2col packs them best and is what `auto` means."""
    return "im2col" if wish.lowering == "auto" else wish.lowering


def splits(array: Systolic, wish: MappingChoice) -> Sequence[Dim | None]:
    """Return the dimensions that several arrays may divide; None where there is one array."""
    if array.count == 1:
        return (None,)
    return DIMS if wish.split == "auto" else (wish.split,)


def packs(kernel: Contraction, arch: Arch, wish: MappingChoice) -> list[int]:
    """Return how many groups may lie on the array at once, block-diagonally: 1, and as many as fit whole."""
    array = array_of(arch)
    flow = DATAFLOWS[array.dataflow]
    side: dict[Dim, int] = {"m": kernel.m, "n": kernel.n, "k": words(kernel.k, arch.mac_rate)}
    fits = min(array.rows // side[flow.row], array.cols // side[flow.col], kernel.groups)
    if wish.groups == "serial" or fits <= 1:
        return [1]
    return [fits] if wish.groups == "packed" else [1, fits]


def shortest_holds(order: Order, wish: MappingChoice) -> tuple[tuple[str, int], ...]:
    """Return the holds that keep each operand just as long as its tile does not change."""
    resident = wish.resident or ()
    return tuple((o, 0 if o in resident else max(order.index(d) for d in RELEVANT[o]) + 1) for o in OPERANDS)


def patterns(wish: MappingChoice) -> tuple[Pattern, ...]:
    """Return every loop order with every level at which its operands may be held, equal reuse only once."""
    return _patterns(order_of(wish), frozenset(wish.resident or ()))


@lru_cache(maxsize=64)
def _patterns(fixed: Order | None, resident: frozenset[str]) -> tuple[Pattern, ...]:
    found: dict[tuple[frozenset[Dim], ...], Pattern] = {}
    orders: list[Order] = [fixed] if fixed else [(a, b, c) for a, b, c in permutations(DIMS)]
    for order in orders:
        levels = [
            [0] if o in resident else [0, *(i + 1 for i, dim in enumerate(order) if dim in RELEVANT[o])]
            for o in OPERANDS
        ]
        for choice in product(*levels):
            inside = tuple(frozenset(order[level:]) for level in choice)
            found.setdefault(inside, (order, choice))
    return tuple(found.values())


@lru_cache(maxsize=256)
def distinct(choices: tuple[Pattern, ...], looped: frozenset[Dim], held: frozenset[str]) -> tuple[bool, ...]:
    """Return which patterns differ from all before them.

    Only `looped` dimensions have several tiles, and only operands in `held` come from memory in tiles.
    """
    seen, first = set(), []
    for order, levels in choices:
        loops = tuple(dim for dim in order if dim in looped)
        inside = tuple(
            frozenset(order[level:]) & looped for o, level in zip(OPERANDS, levels, strict=True) if o in held
        )
        first.append((loops, inside) not in seen)
        seen.add((loops, inside))
    return tuple(first)


def sizes(total: int, step: int, align: int, most: int) -> list[int]:
    """Return tile sizes of a dimension: it halved again and again, and multiples of `align`, in units of `step`.

    Ascending, at most `total`, each a multiple of `step` (but `total` itself). The `most` largest are kept:
    smaller tiles only cost more transfers and folds. The side of the array is there as well, as what is smaller leaves
    PEs empty, and the smallest cut, where all else fails.
    """
    units = -(-total // step)
    halves = {-(-units // 2**i) for i in range(units.bit_length())}
    aligned = {a for i in range(units.bit_length()) if (a := align * 2**i) < units}
    kept = sorted(halves | aligned)
    return sorted({min(total, u * step) for u in (kept[0], min(align, units), *kept[-most:])})


def row_sizes(kernel: Contraction, align: int, most: int) -> list[int]:
    """Return tile sizes of M: whole images, whole output rows of one, cuts of a row."""
    if not kernel.axes:
        return sizes(kernel.m, 1, align, most)
    inner = kernel.positions // kernel.axes[0].out
    found = {kernel.positions * b for b in sizes(kernel.batch, 1, 1, most)}
    found |= {inner * r for r in sizes(kernel.axes[0].out, 1, max(1, align // gcd(align, inner)), most)}
    return sorted(found | set(sizes(inner, 1, align, max(1, most // 4))))


def axis_sizes(kernel: Contraction, arch: Arch, wish: MappingChoice, dim: Dim) -> list[int]:
    """Return the tile sizes of a dimension, or the one that the user fixed."""
    fixed = getattr(wish.tile, dim)
    if fixed is not None:
        return [min(fixed, getattr(kernel, dim))]
    span = spans(arch)[dim]
    if dim == "m":
        return row_sizes(kernel, span, wish.effort)
    if dim == "k":
        return sizes(kernel.k, kernel.taps, span // gcd(span, kernel.taps), wish.effort)
    return sizes(kernel.n, 1, span, wish.effort)
