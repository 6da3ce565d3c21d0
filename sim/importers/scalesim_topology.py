"""SCALE-Sim topologies: independent convolutions or matrix products, to a workload that computes the same.

Source of every formula: scalesim/topology_utils.py of scalesim 2.0.2 and 3.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any

from sim.importers.document import Imported
from sim.importers.scalesim_sheet import CONV, Row, Size, read_sheet

CONVENTIONS = (
    "SCALE-Sim knows no padding: the input sizes of its convolutions are those after padding, if there is any.",
    "SCALE-Sim rounds output sizes up, ceil((H - R + stride) / stride), where the field rounds down.",
    "SCALE-Sim takes a convolution with 'DP' in its name as depthwise: its filters are those of one channel.",
)
"""Where a topology of convolutions means other than the field would read it."""
INDEPENDENT = "The layers of a topology are independent: each has an input of its own, and none reads another's output."


def read_topology(path: Path, name: str = "") -> Imported:
    """Return the topology in `path` as a workload called `name` (the file's stem where left out).

    Convolutions and products are told apart by the header, else by the number of columns. Raises
    ConfigError with every problem of the file: its line, its column and what was expected there.
    """
    sheet = read_sheet(path)
    kind = _Conv if sheet.columns is CONV else _Product
    layers = [kind(row, name) for row, name in zip(sheet.rows, _names(sheet.rows), strict=True)]
    data: dict[str, Any] = {
        "name": name or path.stem,
        "title": f"{path.stem} (SCALE-Sim topology)",
        "source": f"SCALE-Sim topology file {path.name}",
    }
    letters = sorted({letter for layer in layers for letter in _letters(layer.row.sizes.values())})
    data |= {"params": dict.fromkeys(letters)} if letters else {}
    sparse = _sparse(layers)
    data |= {"not_modelled": sparse} if sparse else {}
    data["inputs"] = {f"{layer.name}.in": [_written(size) for size in layer.shape] for layer in layers}
    data["layers"] = [layer.entry() for layer in layers]
    conventions = (*CONVENTIONS, INDEPENDENT) if sheet.columns is CONV else (INDEPENDENT,)
    return Imported(data, (*conventions, *_template(letters), *_remarks(layers), *sheet.remarks), _counts(layers))


@dataclass(frozen=True)
class _Product:
    """A product of (M, K) and (K, N): SCALE-Sim streams M rows, so that N are the features of a linear layer."""

    row: Row
    name: str

    depthwise = rounded = False

    @property
    def shape(self) -> list[Size]:
        return [self.row.sizes["M"], self.row.sizes["K"]]

    @property
    def macs(self) -> int:
        return prod(_numbers(self.row.sizes.values()))

    def entry(self) -> dict[str, Any]:
        features = _written(self.row.sizes["N"])
        return {"name": self.name, "op": "linear", "in": f"{self.name}.in", "features": features, "bias": False}


@dataclass(frozen=True)
class _Conv:
    """A convolution of a (batch, channels, height, width) input without padding."""

    row: Row
    name: str

    @property
    def depthwise(self) -> bool:
        return "DP" in self.row.name

    @property
    def rounded(self) -> bool:
        return any(self._behind)

    @property
    def shape(self) -> list[Size]:
        sizes = self.row.sizes
        return [sizes.get("batch", 1), sizes["channels"], sizes["IFMAP height"], sizes["IFMAP width"]]

    @property
    def _axes(self) -> list[tuple[Size, Size, Size]]:
        """Input size, taps and stride of height and width."""
        sizes = self.row.sizes
        across = sizes.get("stride width", sizes["stride"])
        return [(sizes["IFMAP height"], sizes["filter height"], sizes["stride"]),
                (sizes["IFMAP width"], sizes["filter width"], across)]  # fmt: skip

    @property
    def _out(self) -> list[int]:
        """Output sizes as SCALE-Sim has them (topo_calc_hyperparams)."""
        return [ceil((size - taps + stride) / stride) for size, taps, stride in map(_numbers, self._axes)]

    @property
    def _behind(self) -> list[int]:
        """Zeros behind the input with which an output that is rounded down has SCALE-Sim's size.

        It reads zeros there as well: what lies outside the input has no address (operand_matrix.py). A
        size that is a letter stands beside a stride of 1, where nothing is rounded.
        """
        axes = [_numbers(axis) for axis in self._axes if not _letters(axis)]
        return [(taps - size) % stride for size, taps, stride in axes] if len(axes) == 2 else []

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those with the zeros behind the input included."""
        sizes = self.row.sizes
        counts = (sizes.get("batch", 1), sizes["channels"], sizes["filter height"], sizes["filter width"])
        return prod(_numbers(counts)) * prod(self._out) * prod(_numbers((sizes["filters"],)))

    def entry(self) -> dict[str, Any]:
        # A depthwise layer is one layer a channel there, each with all of the filters (load_arrays_conv).
        sizes = self.row.sizes
        filters = _times(sizes["filters"], sizes["channels"]) if self.depthwise else _written(sizes["filters"])
        kernel, stride = ([_written(axis[index]) for axis in self._axes] for index in (1, 2))
        entry: dict[str, Any] = {"name": self.name, "op": "conv2d", "in": f"{self.name}.in", "filters": filters}
        entry |= {"kernel": _short(kernel), "stride": _short(stride)}
        entry |= {"pad": [[0, zeros] for zeros in self._behind]} if self.rounded else {}
        entry |= {"groups": "depthwise"} if self.depthwise else {}
        return entry | {"bias": False}


_Layer = _Conv | _Product


def _short(pair: list[Size]) -> Size | list[Size]:
    return pair[0] if pair[0] == pair[1] else pair


def _letters(sizes: Iterable[Size]) -> set[str]:
    """Return the letters that stand for sizes."""
    return {size for size in sizes if isinstance(size, str)}


def _numbers(sizes: Iterable[Size]) -> list[int]:
    """Return the sizes, none of which is a letter."""
    return [int(size) for size in sizes]


def _written(size: Size) -> Size:
    """Return a size as a workload has it: a letter is the expression of its param."""
    return f"={size}" if isinstance(size, str) else size


def _times(one: Size, other: Size) -> Size:
    return f"={one} * {other}" if _letters((one, other)) else _numbers((one,))[0] * _numbers((other,))[0]


def _plain(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name)


def _names(rows: Sequence[Row]) -> list[str]:
    """Return a name for each row that a workload takes and that no other row has."""
    wanted = [_plain(row.name) for row in rows]
    names: dict[str, None] = {}
    for name in wanted:
        unique, count = name, 1
        while unique in names or (count > 1 and unique in wanted):
            count += 1
            unique = f"{name}_{count}"
        names[unique] = None
    return list(names)


def _sparse(layers: Sequence[_Layer]) -> list[dict[str, Any]]:
    where: dict[str, list[str]] = {}
    for layer in layers:
        if layer.row.sparsity:
            where.setdefault(layer.row.sparsity, []).append(layer.name)
    return [{"what": f"N:M sparsity {ratio}", "where": names} for ratio, names in where.items()]


def _remarks(layers: Sequence[_Layer]) -> list[str]:
    """Return which layers are other than a reader of the file may think."""
    lookalike = re.compile("dw|depth", re.IGNORECASE)
    found: tuple[tuple[str, list[str]], ...] = (
        ("Output size rounded up, by zeros behind the input", [a.name for a in layers if a.rounded]),
        ("Depthwise", [a.name for a in layers if a.depthwise]),
        (
            "Named as if depthwise but without 'DP', and so an ordinary convolution to SCALE-Sim",
            [a.name for a in layers if lookalike.search(a.row.name) and not a.depthwise],
        ),
        ("With a batch, which SCALE-Sim does not have", [a.name for a in layers if a.row.sizes.get("batch", 1) != 1]),
        ("Sparse (N:M), which is not modelled: they run dense", [a.name for a in layers if a.row.sparsity]),
        (
            "Renamed, as names are of letters, digits, '_' and '-' and each stands for one layer",
            [f"'{a.row.name}' (line {a.row.line}) to {a.name}" for a in layers if a.row.name != a.name],
        ),
    )
    return [f"{what} ({len(some)} of {len(layers)} layers): {', '.join(some)}." for what, some in found if some]


def _template(letters: Sequence[str]) -> list[str]:
    if not letters:
        return []
    settings = " ".join(f"--set {letter}=..." for letter in letters)
    return [f"A template: {', '.join(letters)} stand for sizes, and each run gives them, as in {settings}."]


def _counts(layers: Sequence[_Layer]) -> dict[str, int]:
    known = not any(_letters(layer.row.sizes.values()) for layer in layers)
    return {
        "layers": len(layers),
        "products": sum(isinstance(layer, _Product) for layer in layers),
        "depthwise": sum(layer.depthwise for layer in layers),
        "rounded_up": sum(layer.rounded for layer in layers),
        **({"macs": sum(layer.macs for layer in layers)} if known else {}),
    }
