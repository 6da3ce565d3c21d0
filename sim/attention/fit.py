"""Which sizes of tiles and groups fit a chip."""

from __future__ import annotations

from collections.abc import Mapping

from sim.arch import Arch
from sim.attention.mapping import Wish


def tile_sizes(wish: Wish) -> list[tuple[int, int]]:
    """Return the sizes (queries, keys) of tiles of scores worth trying: those of the array, or what is fixed.

    Where PEs take several values of a reduction at once, as many times the keys fill them as well.
    """
    array, tile, kernel = wish.arch.array, wish.choice.tile, wish.kernel
    assert array is not None  # the caller has made sure
    m, n = (array.rows, array.cols * array.count)
    keys = [tile.n] if tile.n else [n, n * wish.arch.mac_rate]
    return [(min(tile.m or m, kernel.rows), size) for size in dict.fromkeys(min(k, kernel.keys) for k in keys)]


def capacities(arch: Arch, slots: Mapping[str, int], sizes: Mapping[str, int]) -> bool:
    """Tell whether so many tiles of each operand, of these bytes, have room in the buffers beside each other."""
    for buffer in arch.buffers.values():
        held = [*buffer.holds, *(["intermediate"] if "output" in buffer.holds else [])]
        if sum(slots.get(operand, 0) * sizes[operand] for operand in held) > buffer.tile_capacity:
            return False
    return True


def row_sizes(wish: Wish, most: int) -> list[int]:
    """Return how many rows of scores may be worked on at once, `most` and halves of it, the most first."""
    sizes = [min(most, wish.kernel.rows)]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    return sizes
