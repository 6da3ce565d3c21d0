"""Whether a mapping fits a chip: what it needs on chip, and the nearest that fits where it does not."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import prod

from sim.arch import OPERANDS, Arch
from sim.dataflow import DATAFLOWS, Dim
from sim.errors import CapacityError, MappingError
from sim.kernel import Contraction
from sim.mapping import DIMS, Mapping, Tiling, channels, words


def needs(
    tiling: Tiling, arch: Arch, on_chip: frozenset[str] = frozenset(), parameters: int = 0
) -> dict[str, int]:
    """Return the bytes that each operand needs on chip at once, all of its slots together.

    Outputs are held as partial sums, of every array where several divide the reduction. Operands in `on_chip`
    live in the part of a buffer that is kept between layers and take no tile. Of the layer's `parameters`
    (biases, those of fused work) those of the filters in a tile are beside the sums.
    """
    found: dict[str, int] = {}
    for operand in OPERANDS:
        if operand in on_chip and operand != "output":
            continue
        elements = tiling.largest(operand)
        size = arch.bytes_of("partial_sum" if operand == "output" else operand, elements)
        slots = arch.buffers[arch.buffer_of(operand)].slots
        found[operand] = size * min(slots, tiling.loads(operand))
    found["output"] *= sum_copies(tiling.mapping, arch, min(tiling.mapping.k, tiling.kernel.k))
    if parameters:
        size = arch.bytes_of("partial_sum", tiling.parameters_held(parameters))
        slots = arch.buffers[arch.buffer_of("output")].slots
        found["parameter"] = size * min(slots, tiling.parameter_loads)
    return found


def sum_copies(mapping: Mapping, arch: Arch, depth: int) -> int:
    """Return how many sums of an output over `depth` products are on chip at once: one an array that has a share."""
    return min(arch.array.count, depth) if arch.array and mapping.split == "k" else 1


def _overfull(wanted: dict[str, int], arch: Arch) -> tuple[str, dict[str, int]] | None:
    """Return the first buffer that what is wanted overfills, and what is wanted there; None where all fit."""
    for name, buffer in arch.buffers.items():
        holds = [*buffer.holds, *(["parameter"] if "output" in buffer.holds else [])]
        here = {operand: wanted[operand] for operand in holds if operand in wanted}
        if sum(here.values()) > buffer.tile_capacity:
            return name, here
    return None


def check(tiling: Tiling, arch: Arch, on_chip: frozenset[str] = frozenset(), parameters: int = 0) -> None:
    """Make sure that the chip can execute the mapping.

    Raises MappingError where a tile cuts what cannot be cut, CapacityError where an operand does not fit:
    which one, how much is needed where, and the largest tile that would fit.
    """
    kernel, mapping = tiling.kernel, tiling.mapping
    if mapping.k < kernel.k and mapping.k % kernel.taps:
        near = max(1, round(mapping.k / kernel.taps)) * kernel.taps
        raise MappingError(f"{kernel.name}: tile.k {mapping.k} cuts a channel of {kernel.taps} taps; nearest is {near}")
    if mapping.m > kernel.positions and mapping.m < kernel.m and mapping.m % kernel.positions:
        near = max(1, round(mapping.m / kernel.positions)) * kernel.positions
        raise MappingError(
            f"{kernel.name}: tile.m {mapping.m} is more than an image and cuts one; an image has "
            f"{kernel.positions} positions, nearest is {near}"
        )
    _check_packed(kernel, mapping, arch)
    if not arch.bounded:
        return
    overfull = _overfull(needs(tiling, arch, on_chip, parameters), arch)
    if overfull:
        name, here = overfull
        parts = ", ".join(f"{operand} {size}" for operand, size in here.items())
        raise CapacityError(
            f"{kernel.name}: tile {mapping.m}x{mapping.n}x{mapping.k} ({parts} bytes)",
            f"buffer '{name}'",
            sum(here.values()),
            arch.buffers[name].tile_capacity,
            _way_out(tiling, arch, on_chip, parameters),
        )


def _check_packed(kernel: Contraction, mapping: Mapping, arch: Arch) -> None:
    """Make sure that packed groups lie on the array whole, as blocks beside each other are never folded."""
    array = arch.array
    if array is None or mapping.packed == 1:
        return
    flow = DATAFLOWS[array.dataflow]
    for dim, pes in ((flow.row, array.rows), (flow.col, array.cols)):
        size = min(mapping.tile(dim), getattr(kernel, dim))
        share = -(-size // array.count) if dim == mapping.split else size
        side = channels(kernel, share) if dim == "k" and mapping.lowering == "direct" else share
        side = words(side, arch.mac_rate) if dim == "k" else side
        if side * mapping.packed > pes:
            way_out = f"at most {pes // side} fit" if side <= pes else "pack none"
            raise MappingError(
                f"{kernel.name}: {mapping.packed} packed groups of {side} along {dim} need {side * mapping.packed} "
                f"PEs on a side of {pes}; {way_out}"
            )


def _way_out(tiling: Tiling, arch: Arch, on_chip: frozenset[str], parameters: int) -> str:
    """Name the nearest mapping that fits: one dimension is cut as little as needed, more only where none suffices."""
    kernel, wanted = tiling.kernel, tiling.mapping

    def fits(mapping: Mapping) -> bool:
        return _overfull(needs(Tiling(kernel, mapping), arch, on_chip, parameters), arch) is None

    cut = [found for dim in DIMS if (found := _largest(kernel, wanted, dim, wanted, fits))]
    near = max(cut, key=lambda found: _kept(kernel, found, wanted)) if cut else _fitting(kernel, wanted, fits)
    if near is None:
        return "no smaller tile fits; enlarge the buffer or set its buffering to single"
    return f"the nearest that fits is tile m: {near.m}, n: {near.n}, k: {near.k}"


def _fitting(kernel: Contraction, wanted: Mapping, fits: Callable[[Mapping], bool]) -> Mapping | None:
    """Return `wanted` halved along its largest dimension until it fits, then as large again as it can be along each."""
    found = wanted
    while not fits(found):
        sizes: dict[Dim, int] = {
            "m": min(found.m, kernel.m), "n": min(found.n, kernel.n), "k": channels(kernel, found.k)
        }  # fmt: skip
        dim = max(sizes, key=lambda d: sizes[d])
        if sizes[dim] == 1:
            return None
        found = shrink(kernel, found, dim)
    for dim in sorted(DIMS, key=lambda d: found.tile(d) / wanted.tile(d)):
        found = _largest(kernel, found, dim, wanted, fits) or found
    return found


def _kept(kernel: Contraction, found: Mapping, wanted: Mapping) -> float:
    """Return the part of a wanted tile that is left in the one found."""
    return float(prod(found.tile(d) / min(wanted.tile(d), getattr(kernel, d)) for d in DIMS))


def _largest(
    kernel: Contraction, start: Mapping, dim: Dim, wanted: Mapping, fits: Callable[[Mapping], bool]
) -> Mapping | None:
    """Return `start` with the largest tile along `dim`, up to that of `wanted`, with which it fits; None for none."""
    sizes = cuts_of(kernel, dim, min(wanted.tile(dim), getattr(kernel, dim)))
    whole = _resized(start, dim, sizes[-1])
    if fits(whole):  # loaded once it may need one slot, where smaller ones need two
        return whole
    at = bisect_left(range(len(sizes)), True, key=lambda i: not fits(_resized(start, dim, sizes[i])))
    return _resized(start, dim, sizes[at - 1]) if at else None


def cuts_of(kernel: Contraction, dim: Dim, most: int) -> Sequence[int]:
    """Return the sizes of tiles along `dim` up to `most` that can be cut: whole channels, whole images beyond one."""
    if dim == "k":
        return range(kernel.taps, most + 1, kernel.taps)
    if dim == "n" or most <= kernel.positions:
        return range(1, most + 1)
    return [*range(1, kernel.positions), *range(kernel.positions, most + 1, kernel.positions)]


def shrink(kernel: Contraction, mapping: Mapping, dim: Dim) -> Mapping:
    """Return the mapping with the tile along `dim` halved, down to what can be cut."""
    size = -(-min(mapping.tile(dim), getattr(kernel, dim)) // 2)
    if dim == "k":
        size = -(-size // kernel.taps) * kernel.taps
    elif dim == "m" and size > kernel.positions:
        size = -(-size // kernel.positions) * kernel.positions
        size = kernel.positions if size >= mapping.m else size
    return _resized(mapping, dim, size)


def _resized(mapping: Mapping, dim: Dim, size: int) -> Mapping:
    """Return the mapping with tiles of `size` along `dim`."""
    return Mapping(**{name: getattr(mapping, name) for name in mapping.__dataclass_fields__} | {dim: size})
