"""A layer's mapping as an indented loop nest: what stays where, what lies side by side, and the reuse that gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from sim.mapping import RELEVANT

if TYPE_CHECKING:
    from sim.result import Layer


@dataclass(frozen=True)
class Line:
    """A line: how deep it is, the loop or step, its turns, what stays through it, whether the turns run at once."""

    depth: int
    words: str
    turns: int = 1
    stays: str = ""
    spatial: bool = False


def nest(layer: Layer) -> tuple[Line, ...]:
    """Return the loops of a layer from the outermost inwards; none where the layer has no mapping.

    A loop counts its turns and the size of a turn. `spatial` loops are PEs: their turns happen at once.
    """
    mapping = layer.mapping
    if mapping is None or "sizes" not in mapping:
        return ()
    return tuple(_passes(mapping) if "passes" in mapping else _tiles(mapping))


def head(layer: Layer) -> str:
    """Return what the nest computes, in a line."""
    mapping = layer.mapping or {}
    size, place = mapping["sizes"], mapping["array"]
    groups = f"{size['g']:,} groups of " if size["g"] > 1 else ""
    what = f"{groups}M {size['m']:,} x N {size['n']:,} x K {size['k']:,}"
    taps = f" (K = {size['k'] // size['taps']:,} channels x {size['taps']} taps)" if size["taps"] > 1 else ""
    arrays = f"{place['arrays']} arrays of " if place["arrays"] > 1 else ""
    return f"{what}{taps} on {arrays}{place['rows']} x {place['cols']} PEs, {place['dataflow']}"


def _tiles(mapping: Mapping[str, Any]) -> Iterator[Line]:
    size, tile, tiles, held = (mapping[key] for key in ("sizes", "tile", "tiles", "held_along"))
    depth = 0
    if size["g"] > 1:
        yield Line(0, f"for g: {_turns(tiles['g'], tile['g'])}", tiles["g"])
        depth = 1
    loads = tiles["g"]
    for level in range(4):
        stays = "; ".join(_held(mapping, name, loads) for name in RELEVANT if 3 - len(held[name]) == level)
        if level == 3:
            yield Line(depth, "on the array", stays=stays)
            break
        dim = mapping["order"][level]
        yield Line(depth, f"for {dim}: {_turns(tiles[dim], min(tile[dim], size[dim]))}", tiles[dim], stays)
        depth, loads = depth + 1, loads * tiles[dim]
    yield from _folds(mapping, depth + 1)


def _turns(count: int, size: int) -> str:
    return f"{count:,} x {size:,}"


def _held(mapping: Mapping[str, Any], operand: str, loads: int) -> str:
    """Say which tile of an operand stays on chip, and how often one comes."""
    size, tile, inside = mapping["sizes"], mapping["tile"], mapping["held_along"][operand]
    wide = {dim: size[dim] if dim in inside else min(tile[dim], size[dim]) for dim in RELEVANT[operand]}
    shape = " x ".join(f"{length:,} {dim}" for dim, length in wide.items())
    name = {"weight": mapping["right"], "output": "sums"}.get(operand, operand)
    come = "begin" if operand == "output" else "comes"
    return f"{name} {shape} {'stay' if operand == 'output' else 'stays'}, {come} {loads:,} x"


def _folds(mapping: Mapping[str, Any], depth: int) -> Iterator[Line]:
    """Yield what happens to a tile on the array: folds, PEs side by side, the stream."""
    size, tile, place = mapping["sizes"], mapping["tile"], mapping["array"]
    split, packed = mapping["split"], mapping["packed"]
    if split:
        yield Line(depth, f"for {split}: {place['arrays']} arrays share the tile", place["arrays"], spatial=True)
    groups = min(tile["g"], size["g"])
    if groups > packed:
        yield Line(depth, f"for g: {_turns(ceil(groups / packed), packed)}", ceil(groups / packed))
    if packed > 1:
        yield Line(depth, f"for g: {packed} groups on the diagonal of the PEs", packed, spatial=True)
    rate = place.get("rate", 1)
    for side, pes in (("along_rows", place["rows"]), ("along_cols", place["cols"])):
        dim, at_once = place[side], rate if place[side] == "k" else 1
        whole = min(tile[dim], size[dim])
        share = ceil(whole / place["arrays"]) if dim == split else whole
        lanes = min(share, pes // packed * at_once)
        taps = size["taps"] if dim == "k" and mapping["lowering"] == "direct" else 1
        lanes = min(lanes, share // taps)
        folds = taps * ceil(share / taps / lanes)
        if folds > 1:
            how = "tap by tap" if taps > 1 else "folds"
            yield Line(depth, f"for {dim}: {_turns(folds, lanes)} ({how})", folds)
        word = "row" if side == "along_rows" else "column"
        side_pes = ceil(lanes / at_once)
        each = f", {min(lanes, at_once)} in a PE" if at_once > 1 else ""
        several = "s" if side_pes > 1 else ""
        yield Line(depth, f"for {dim}: {side_pes:,} {word}{several} of PEs{each}", lanes, spatial=True)
    stream = place["streamed"]
    length = min(tile[stream], size[stream])
    if stream == "k" and rate > 1:
        yield Line(depth, f"for k: {min(length, rate)} at once in a PE", min(length, rate), spatial=True)
        length = ceil(length / rate)
    stationary = {"m": mapping["right"], "n": "input", "k": "sum"}[stream]
    yield Line(depth + 1, f"for {stream}: {length:,} in a stream", length, f"a PE keeps its {stationary}")


def _passes(mapping: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the loops of row-stationary passes, in the order of the planner and the words of Eyeriss."""
    p, size = mapping["passes"], mapping["sizes"]
    depth, filters = p["q"] * p["r"], p["p"] * p["t"]
    block = min(p["m"], size["n"])
    tiled = (
        ("images", size["images"], p["n"], "n", ""), ("output rows", size["rows"], p["e"], "e", ""),
        ("output columns", size["columns"], p["f"], "f", ""),
        ("filters", size["n"], p["m"], "m", f"{block * p['e'] * p['f'] * p['n']:,} sums stay in the buffer"),
        ("channels", size["channels"], depth, "q x r", "inputs stay"), ("filters", block, filters, "p x t", "a pass"),
    )  # fmt: skip
    if size["g"] > 1:
        yield Line(0, f"for g: {_turns(size['g'], 1)}", size["g"])
    level = int(size["g"] > 1)
    for word, whole, part, key, stays in tiled:
        yield Line(level, f"for {word}: {_turns(ceil(whole / part), part)} ({key})", ceil(whole / part), stays)
        level += 1
    pieces = ceil(size["taps"] / (p["rows"] * p["taps"]))
    if pieces > 1:
        yield Line(level, f"for parts of the kernel: {pieces:,}", pieces)
    for word, lanes, what in (
        ("kernel rows", p["rows"], "rows of PEs"), ("output rows", p["e"], "columns of PEs"),
        ("channels", p["r"], "PE sets"), ("filters", p["t"], "PE sets"),
    ):  # fmt: skip
        if lanes > 1:
            yield Line(level, f"for {word}: {lanes} {what}", lanes, spatial=True)
    windows, kept = p["n"] * p["f"], p["p"] * p["q"] * p["taps"]
    yield Line(level + 1, f"for output columns: {windows:,} windows slide", windows, f"a PE keeps {kept:,} weights")
    words = f"for taps: {p['taps']}, channels: {p['q']}, filters: {p['p']}"
    yield Line(level + 2, words, p["taps"] * p["q"] * p["p"], f"a PE keeps {p['p']} sums")


def reuse(layer: Layer) -> list[tuple[str, str, int, float]]:
    """Return (memory, operand, bytes moved, MACs a byte) of a layer, the off-chip memory first."""
    found = []
    for memory, ways in sorted(layer.traffic_bytes.items(), key=lambda part: part[0] != "dram"):
        for operand in dict.fromkeys(name for way in ways.values() for name in way):
            moved = sum(way.get(operand, 0) for way in ways.values())
            found.append((memory, operand, moved, layer.macs / moved if moved else 0.0))
    return found
