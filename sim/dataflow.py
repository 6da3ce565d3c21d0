"""What a systolic dataflow is: which dimension lies where, and what a fold of it costs in time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sim.registry import Registry

Dim = Literal["m", "n", "k"]


@dataclass(frozen=True)
class FoldTiming:
    """When the folds of an array may follow each other, in cycles. All equal folds of a tile share one.

    A fold loads (weights, where they are stationary), then streams operands, and ends when its last
    output is out. Counted from the fold's first streamed operand: the next fold's load may start after
    `after_load`, its stream after `after_stream`; the last output is out after `tail`.
    """

    load: int
    stream: int
    after_load: int
    after_stream: int
    tail: int

    @property
    def interval(self) -> int:
        """Cycles from one fold's stream to the next one's, when nothing else waits."""
        return max(self.after_stream, self.after_load + self.load)

    def total(self, folds: int) -> int:
        """Return the cycles of `folds` folds in a row, first accepted operand to last output."""
        return self.load + (folds - 1) * self.interval + self.tail


class BusWidths(Protocol):
    """Words a cycle between buffers and PEs (rs)."""

    @property
    def weights(self) -> int: ...
    @property
    def inputs(self) -> int: ...
    @property
    def sums(self) -> int: ...


class ArrayKnobs(Protocol):
    """What of an array decides the time of a fold; `sim.arch.Systolic` says what each means."""

    @property
    def rows(self) -> int: ...
    @property
    def cols(self) -> int: ...
    @property
    def sram_read_latency(self) -> int: ...
    @property
    def output_register(self) -> int: ...
    @property
    def pe_pipeline(self) -> int: ...
    @property
    def weight_buffers(self) -> int: ...
    @property
    def swap(self) -> str: ...
    @property
    def drain(self) -> str: ...
    @property
    def convention(self) -> str: ...
    @property
    def buses(self) -> BusWidths: ...


class _Spy:
    """An array that notes which of its knobs are looked at."""

    def __init__(self, array: ArrayKnobs) -> None:
        self._array = array
        self.read: set[str] = set()

    def __getattr__(self, knob: str) -> Any:
        self.read.add(knob)
        return getattr(self._array, knob)


class Dataflow(ABC):
    """A systolic dataflow: `row` and `col` lie on the array, `stream` flows through it.

    The operand without the `stream` dimension is stationary. One object a file in `dataflows/`.
    """

    name: str
    title: str
    row: Dim
    col: Dim
    stream: Dim
    passes: bool = False
    """Whether the array runs processing passes of PE sets instead of folds of a product."""

    @abstractmethod
    def timing(self, array: ArrayKnobs, stream: int) -> FoldTiming:
        """Return the timing of a fold that streams `stream` operands, by the knobs of `array`."""

    def reads(self, array: ArrayKnobs) -> frozenset[str]:
        """Return the knobs of `array` that the timing of a fold depends on, as the others stand."""
        spy: Any = _Spy(array)
        self.timing(spy, 1)
        return frozenset(spy.read)

    @staticmethod
    def knobs() -> frozenset[str]:
        """Return the names of all knobs."""
        return frozenset(name for name in vars(ArrayKnobs) if not name.startswith("_"))

    @property
    def stationary(self) -> str:
        """The operand that stays in the PEs while the others stream."""
        return {"m": "weight", "n": "input", "k": "output"}[self.stream]


DATAFLOWS: Registry[Dataflow] = Registry("dataflow", "sim.dataflows")
