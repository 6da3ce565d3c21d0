"""The CSV of a SCALE-Sim topology: its columns told by the header, its rows checked, every mistake told.

Source: scalesim/topology_utils.py of scalesim 2.0.2 and 3.0.0. Its reader skips the first line, reads
columns by place whatever the header calls them, and cuts off the last cell of each row, so that a row
without a trailing comma loses its stride. Here such a row is whole.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sim.errors import ConfigError, Problem
from sim.importers.document import read_text

CONV: tuple[str, ...] = (
    "IFMAP height", "IFMAP width", "filter height", "filter width", "channels", "filters", "stride",
)  # fmt: skip
GEMM: tuple[str, ...] = ("M", "N", "K")
"""The columns behind the layer's name, in the order in which SCALE-Sim reads them."""

_SPELLINGS = {
    "IFMAP height": r"(ifmap|input|in)(height|h)",
    "IFMAP width": r"(ifmap|input|in)(width|w)",
    "filter height": r"(filter|filt|kernel)(height|h)",
    "filter width": r"(filter|filt|kernel)(width|w)",
    "channels": r"(num|input|in)?(channels?|ch)",
    "filters": r"(num|numberof)?(filters?|filt)",
    "stride": r"strides?(height|h)?",
    "stride width": r"strides?(width|w)",
    "batch": r"batch(size)?",
    "sparsity": r"sparsity(ratio)?",
    "M": "m", "N": "n", "K": "k",
}  # fmt: skip
Size = int | str
"""A positive number, or the capital letter that stands for one in a template."""
_MOST_EXTRAS = 3  # second stride, batch, sparsity


@dataclass(frozen=True)
class Row:
    """One layer as its row has it: the size in each column, and the N:M sparsity where it asks for some."""

    line: int
    name: str
    sizes: dict[str, Size]
    sparsity: str = ""


@dataclass(frozen=True)
class Sheet:
    """The layers of a topology: convolutions (`columns` is CONV) or products (GEMM), and what was passed over."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]


def read_sheet(path: Path) -> Sheet:
    """Return the layers in the CSV file `path`.

    Commas, or tabs or semicolons, separate cells; blank lines, comments and headings are passed over.
    Raises ConfigError with every problem of the file: its line, its column and what was expected there.
    """
    (line, titles), *rows = _cells(read_text(path))
    sizes = next((sum(map(_is_size, cells)) for _, cells in rows if any(map(_is_size, cells))), 0)
    reader = _Reader(str(path), _columns(str(path), line, titles, sizes), titles)
    found = [row for number, cells in rows if (row := reader.row(number, cells)) is not None]
    if not found and not reader.problems:
        reader.problems.append(Problem("holds no layer", reader.file))
    if reader.problems:
        raise ConfigError(*reader.problems)
    return Sheet(reader.columns, tuple(found), tuple(reader.remarks()))


def _cells(text: str) -> list[tuple[int, list[str]]]:
    """Return the lines that hold anything, by number, each as a name and the cells behind it."""
    lines = text.splitlines()
    first = next(line for line in lines if line.strip())
    separator = max(",\t;", key=first.count)
    split = [next(csv.reader([line], delimiter=separator, skipinitialspace=True), []) for line in lines]
    rows = [[cell.strip() for cell in cells] for cells in split]
    return [(number, cells) for number, cells in enumerate(rows, start=1) if any(cells)]


def _known(title: str) -> str:
    letters = re.sub(r"[^a-z]", "", title.lower())
    return next((column for column, pattern in _SPELLINGS.items() if re.fullmatch(pattern, letters)), "")


def _is_size(cell: str) -> bool:
    return re.fullmatch(r"[0-9]+", cell) is not None and int(cell) > 0


def _titled(columns: Sequence[str]) -> str:
    return ", ".join(["Layer name", *columns])


def _columns(file: str, line: int, titles: list[str], sizes: int) -> tuple[str, ...]:
    """Return CONV or GEMM, and take empty cells off the end of `titles`; ConfigError where neither fits.

    Where the header tells nothing, it is the number of `sizes` in the first row that tells, as SCALE-Sim goes by place.
    """
    while not titles[-1]:
        titles.pop()
    known = [_known(title) for title in titles[1:]]
    if sum(title.isdecimal() for title in titles[1:]) >= len(GEMM):
        columns = CONV if len(known) >= len(CONV) else GEMM
        message = f"holds a layer where SCALE-Sim skips a header; put a line above it: {_titled(columns)}"
    elif any("intraline" in title.lower() for title in titles):
        message = "is the header of a SCALE-Sim layout, not of a topology"
    elif kind := _kind(known):
        message, columns = _misplaced(kind, known, titles), kind
    elif not {*CONV, *GEMM} & set(known) and (kind := _by_sizes(sizes)):
        message, columns = "", kind
    else:
        message = f"is no header of a SCALE-Sim topology; expected {_titled(CONV)}, or {_titled(GEMM)}"
    if message:
        raise ConfigError(Problem(message, file, line))
    return columns


def _kind(known: list[str]) -> tuple[str, ...]:
    """Return CONV or GEMM by the names of columns, else by how many there are; () for neither."""
    if set(GEMM) <= set(known) and len(known) < len(CONV):
        return GEMM
    if set(CONV) & set(known) or len(CONV) <= len(known) <= len(CONV) + _MOST_EXTRAS:
        return CONV
    return GEMM if set(GEMM) & set(known) or len(GEMM) <= len(known) <= len(GEMM) + 1 else ()


def _by_sizes(sizes: int) -> tuple[str, ...]:
    """Return CONV or GEMM by how many sizes a row has; () for neither."""
    if len(CONV) <= sizes <= len(CONV) + _MOST_EXTRAS:
        return CONV
    return GEMM if sizes == len(GEMM) else ()


def _misplaced(columns: tuple[str, ...], known: list[str], titles: list[str]) -> str:
    """Say which column is missing or out of order; '' where each stands in its place under any unknown name."""
    if not _misnamed(columns, known) and len(known) >= len(columns):
        return ""
    missing = [f"'{column}'" for column in columns if column not in known]
    if missing:
        return f"missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; expected {_titled(columns)}"
    return f"SCALE-Sim reads columns by place: put {_titled(columns)}, not {', '.join(titles)}"


def _misnamed(columns: tuple[str, ...], known: list[str]) -> list[str]:
    """Return the columns under whose place the header names another one."""
    shipped = ("IFMAP width", "IFMAP height")  # topologies that SCALE-Sim ships call both sizes the width
    others = GEMM if columns is CONV else CONV  # the words of another kind mean something else here
    pairs = [("" if found in others else found, column) for found, column in zip(known, columns, strict=False)]
    return [column for found, column in pairs if found not in ("", column) and (found, column) != shipped]


@dataclass
class _Reader:
    """Reads rows under `titles`, and keeps what is wrong with them and what it passed over."""

    file: str
    columns: tuple[str, ...]
    titles: list[str]
    problems: list[Problem] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    untitled: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    def row(self, line: int, written: list[str]) -> Row | None:
        """Return the layer in a row; None for a heading or a comment, or where something is wrong with it."""
        name, *cells = written
        if name.startswith("#"):
            return None
        if not any(cells):
            self.headings.append(f"'{name}' (line {line})")
            return None
        before = len(self.problems)
        if not name:
            self._wrong(line, "layer name", "expected a name, not an empty cell")
        cells = self._repair(line, name, cells)
        cells += [""] * (len(self.columns) - len(cells))
        sizes = {c: self._size(line, c, cell) for c, cell in zip(self.columns, cells, strict=False)}
        sparsity = ""
        for place, cell in enumerate(cells[len(self.columns) :]):
            column = self._extra(place, cell)
            if column in sizes:
                column = ""
            if column == "sparsity":
                sparsity = self._sparsity(line, cell)
            elif column:
                sizes[column] = self._size(line, column, cell)
                if column != self._title(place):
                    self.untitled.append(f"'{cell}' of '{name}' (line {line}) as {column}")
            elif cell:
                title = f" under '{self._written(place)}'" if self._written(place) else ""
                self.ignored.append(f"'{cell}'{title} (line {line})")
        if len(self.problems) == before and self.columns is CONV:
            self._fits(line, sizes)
        return Row(line, name, sizes, sparsity) if len(self.problems) == before else None

    def _wrong(self, line: int, column: str, message: str) -> None:
        self.problems.append(Problem(message, self.file, line, column))

    def _repair(self, line: int, name: str, cells: list[str]) -> list[str]:
        """Return the cells of a row, in which a comma may have slipped behind its space, as SCALE-Sim ships some."""
        written = " ".join(cells).split()
        slipped = "" in cells[: len(self.columns)] and any(" " in cell for cell in cells)
        if not slipped or len(written) != len(self.columns) or not all(map(_is_size, written)):
            return cells
        self.repaired.append(f"'{name}' (line {line}) as {', '.join(written)}")
        return written

    def _size(self, line: int, column: str, cell: str) -> Size:
        if _is_size(cell):
            return int(cell)
        if re.fullmatch(r"[A-Z]", cell) and not column.startswith("stride"):
            return cell
        shown = f"'{cell}'" if cell else "an empty cell"
        self._wrong(line, column, f"expected a positive integer, not {shown}")
        return 0

    def _extra(self, place: int, cell: str) -> str:
        """Return the column of the cell at `place` behind the needed ones: by its title, else by its look."""
        if not cell:
            return ""
        column = self._title(place)
        titled = [self._title(other) for other in range(len(self.titles))]
        if column in ("stride width", "batch", "sparsity"):
            return column
        if re.fullmatch(r"[0-9]+:[0-9]+", cell):
            return "sparsity"
        free = place == 0 and not self._written(place) and "stride width" not in titled
        return "stride width" if self.columns is CONV and free and re.fullmatch(r"-?[0-9.]+", cell) else ""

    def _title(self, place: int) -> str:
        """Return the column that the header names at `place` behind the needed ones; '' for none that is known."""
        return _known(self._written(place))

    def _written(self, place: int) -> str:
        """Return what the header has at `place` behind the needed columns."""
        index = 1 + len(self.columns) + place
        return self.titles[index] if index < len(self.titles) else ""

    def _sparsity(self, line: int, cell: str) -> str:
        """Return N:M where it is less than dense."""
        if not re.fullmatch(r"1|[1-9][0-9]*:[1-9][0-9]*", cell):
            self._wrong(line, "sparsity", f"expected N:M, as in '2:4', or 1 for dense, not '{cell}'")
        kept, _, of = cell.partition(":")
        return "" if kept == of or not of else cell

    def _fits(self, line: int, sizes: Mapping[str, Size]) -> None:
        for axis in ("height", "width"):
            taps, size = sizes[f"filter {axis}"], sizes[f"IFMAP {axis}"]
            stride = sizes.get("stride width", sizes["stride"]) if axis == "width" else sizes["stride"]
            if isinstance(taps, int) and isinstance(size, int) and taps > size:
                way_out = "SCALE-Sim knows no padding, so add it to the IFMAP"
                self._wrong(line, f"filter {axis}", f"{taps} is larger than the IFMAP {axis}, {size}; {way_out}")
            if stride != 1 and not all(isinstance(each, int) for each in (taps, size, stride)):
                message = f"must be 1 where a size is a letter, not {stride}: rounding depends on the value"
                self._wrong(line, "stride", message)

    def remarks(self) -> list[str]:
        """Return what a reader must know of how the file was read."""
        named = zip(self.titles[1:], self.columns, strict=False)
        by_place = [f"'{title}' as {column}" for title, column in named if _known(title) != column]
        if len(self.titles) <= len(self.columns):
            by_place += [f"no title as {column}" for column in self.columns[len(self.titles) - 1 :]]
        found = (
            ("Columns read by their place", by_place),
            ("Rows with a misplaced comma, read", self.repaired),
            ("Rows that are headings and no layers", self.headings),
            ("Numbers behind the known columns, read", self.untitled),
            ("Cells behind the known columns, ignored", self.ignored),
        )
        return [f"{what}: {', '.join(some)}." for what, some in found if some]
