"""What the array does for one tile: folds, what they read and write, what the buffer ports allow."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from sim.arch import Arch, Systolic
from sim.dataflow import DATAFLOWS, Dim
from sim.kernel import Contraction
from sim.mapping import RELEVANT, Tiling, spans, words
from sim.plan import Extent, Moves, TileWork
from sim.planner.banks import crowding


def fold_count(kernel: Contraction, lowering: str, dim: Dim, size: int, span: int) -> int:
    """Return the folds along an array side that takes `span` elements of `dim` at once and holds `size` in all.

    im2col packs channels and taps densely on the side; direct lowering starts a fold at every tap, and of
    `size` steps a few taps may have one channel more than the others (the share of one of several arrays).
    """
    if dim == "k" and lowering == "direct":
        depth, more = divmod(size, kernel.taps)
        return more * -(-(depth + 1) // span) + (kernel.taps - more) * -(-depth // span)
    return -(-size // span)



def tile_work(tiling: Tiling, arch: Arch, extent: Extent, first: bool) -> TileWork:
    """Return what the array does for a tile of `extent` (g, m, n, k); `first` need not read its sums."""
    array, mapping, kernel = arch.array, tiling.mapping, tiling.kernel
    assert array is not None  # the caller has checked it
    flow = DATAFLOWS[array.dataflow]
    g, sizes = extent[0], dict(zip(("m", "n", "k"), extent[1:], strict=True))
    share = {d: -(-s // array.count) if d == mapping.split else s for d, s in sizes.items()}
    span, rate = spans(arch), arch.mac_rate
    fold = {dim: fold_count(kernel, mapping.lowering, dim, share[dim], span[dim]) for dim in (flow.row, flow.col)}
    packs = -(-g // mapping.packed)
    folds = packs * prod(fold.values())
    arrays = array.count if mapping.split else 1
    again = {o: prod(f for d, f in fold.items() if d not in RELEVANT[o]) for o in RELEVANT}
    moved = {o: g * prod(sizes[d] for d in RELEVANT[o]) * again[o] for o in RELEVANT}
    if mapping.split == "k":
        moved["output"] = g * sizes["m"] * sizes["n"] * _sums(tiling, array, sizes["k"], span["k"])
    written = moved["output"]
    sums_read = written - (g * sizes["m"] * sizes["n"] if first else 0)
    reads = (("weight", moved["weight"]), ("input", moved["input"]), ("output", sums_read))
    writes = (("output", written),)
    return TileWork(
        folds=folds,
        stream=words(share[flow.stream], span[flow.stream]),
        macs=g * prod(sizes.values()),
        used=g * prod(sizes[d] for d in (flow.row, flow.col)) * (_splits(sizes, mapping.split, flow.stream, array)),
        slots=folds * span[flow.row] * span[flow.col] * arrays,
        reads=reads,
        writes=writes,
        moves=on_chip_moves(arch, reads, writes),
        crowding=crowding(arch, share),
        pe_cycles=None if rate == 1 else g * sizes["m"] * sizes["n"] * _words_of_tile(tiling, array, sizes["k"], rate),
    )


def _sums(tiling: Tiling, array: Systolic, depth: int, span: int) -> int:
    """Return how often all arrays together write a sum of `depth` products: each once a fold of `span` of its share."""
    flow, (least, more) = DATAFLOWS[array.dataflow], divmod(depth, array.count)
    if flow.stream == "k":
        return min(array.count, depth)
    folds = (fold_count(tiling.kernel, tiling.mapping.lowering, "k", share, span) for share in (least + 1, least))
    return sum(arrays * count for arrays, count in zip((more, array.count - more), folds, strict=True))


def _words_of_tile(tiling: Tiling, array: Systolic, size: int, rate: int) -> int:
    """Return the words of `rate` steps in which one output's `size` steps reach the PEs, on all arrays."""
    mapping, dense = tiling.mapping, DATAFLOWS[array.dataflow].stream == "k"
    count, lowering = (array.count if mapping.split == "k" else 1), "im2col" if dense else mapping.lowering
    parts = [size * (i + 1) // count - size * i // count for i in range(count)]
    return sum(fold_count(tiling.kernel, lowering, "k", part, rate) for part in parts)


def _splits(sizes: dict[str, int], split: Dim | None, stream: Dim, array: Systolic) -> int:
    """Return how many arrays hold a copy of the same PE slots: those that divide the streamed dimension."""
    return min(array.count, sizes[stream]) if split == stream else 1


def on_chip_moves(arch: Arch, reads: Sequence[tuple[str, int]], writes: Sequence[tuple[str, int]]) -> Moves:
    """Return the bytes of elements read and written by operand; sums count as such."""
    ways = [("read", entry) for entry in reads] + [("write", entry) for entry in writes]
    sized = ((o, way, arch.bytes_of("partial_sum" if o == "output" else o, count)) for way, (o, count) in ways)
    return tuple(move for move in sized if move[2])
