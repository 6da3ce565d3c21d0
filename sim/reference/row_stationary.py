"""The row-stationary array, cycle by cycle: PE sets with scratchpads, buses with words, FIFOs with a depth.

PE (i, j) of a set multiplies row i of its filters with row j·stride + i of its inputs. The rows of the r sets that
share filters form one chain: the sum of a window enters below, every row adds what it has, the top row lets
it out. A row does what the row below did one cycle before. All PEs share one controller, which issues one
operation a cycle to the lowest row: a multiply-accumulate, the addition of the incoming sum, or nothing.

           out bus  ^  ^                     each PE
    chain row 2     PE PE   < weights          weight scratchpad  p x q x S
    chain row 1     PE PE   < inputs           input FIFO, window of q x S
    chain row 0     PE PE                      sum scratchpad     p
            in bus  ^  ^                       multiplier, adder (a product or the sum from below)

What is known of time here: words on the buses, marks of what has arrived, counters of the controller. Nothing
counts the cycles of a pass. Cycle 0 is the edge that accepts the first address of a word; words arrive
`sram_read_latency` edges later, and as the controller knows when it will need them, never later than that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from sim.arch import Systolic
from sim.errors import MappingError
from sim.reference.pass_records import PassBlock, PassRun, PassSnapshot
from sim.reference.registers import Array

PassWatcher = Callable[[PassSnapshot], None]


class _Op(NamedTuple):
    """One operation of the controller: a product for filter `p`, or with `add` the addition of its sum from below."""

    work: _Pass
    window: int
    p: int
    channel: int = 0
    tap: int = 0
    add: bool = False


class _Pass:
    """A pass in the array: its scratchpads, and what of its operands has arrived."""

    def __init__(self, block: PassBlock, inputs_bus: int) -> None:
        self.block, self.shape = block, block.shape
        shape, (r, t) = self.shape, block.sets
        self.chain, self.width = r * shape.kernel_rows, shape.width
        self.windows = [(image, x) for image in range(shape.images) for x in range(shape.outputs)]
        self.weights_left = block.weights.size
        self.inputs_bus, self.input_words, self.arrived = inputs_bus, 0, set[tuple[int, int]]()
        self.columns = list(self._columns())
        dtype = np.result_type(block.inputs, block.weights, block.sums)
        self.result = np.zeros(block.sums.shape, dtype)
        self.sums = np.zeros((self.chain, shape.filters, t, shape.width), dtype)
        self.written: int | None = None
        """The cycle in which its last sum is written."""
        self.fetched = 0
        """Windows whose sums from the buffer have arrived."""

    def _columns(self) -> Iterator[tuple[int, int]]:
        """Yield (image, column) in the order in which the windows need them."""
        stride, window = self.block.stride[1], self.shape.window
        for image in range(self.shape.images):
            done = 0
            for x in range(self.shape.outputs):
                yield from ((image, c) for c in range(max(done, x * stride), x * stride + window))
                done = x * stride + window

    def move(self, weights_bus: int) -> None:
        """Let the buses of weights and inputs move their words of one cycle."""
        self.weights_left -= weights_bus
        self.input_words += self.inputs_bus
        while self.columns and self.input_words >= self.shape.column_words:
            self.input_words -= self.shape.column_words
            self.arrived.add(self.columns.pop(0))

    def has(self, window: int) -> bool:
        """Return whether all weights and the columns of a window are there."""
        image, x = self.windows[window]
        start = x * self.block.stride[1]
        return self.weights_left <= 0 and all((image, start + c) in self.arrived for c in range(self.shape.window))

    def filters(self, p: int) -> range:
        """Return the filters that stand at place `p` of their PEs, one for each set along t that has it."""
        return range(p, self.block.weights.shape[0], self.shape.filters)

    def operands(self, row: int, op: _Op) -> tuple[Array, Array] | None:
        """Return the weights (filters,) and inputs (width,) of a chain row; None where it has no channel."""
        part, i = divmod(row, self.shape.kernel_rows)
        channel = part * self.shape.channels + op.channel
        if channel >= self.block.weights.shape[1]:
            return None
        image, x = self.windows[op.window]
        column = x * self.block.stride[1] + op.tap * self.block.dilation[1]
        if self.weights_left > 0 or (image, column) not in self.arrived:
            raise RuntimeError("a PE multiplies what has not arrived")
        rows = np.arange(self.width) * self.block.stride[0] + i * self.block.dilation[0]
        weights = self.block.weights[op.p :: self.shape.filters, channel, i, op.tap]
        return weights, self.block.inputs[image, channel, rows, column]

    def products(self, row: int, op: _Op) -> Array | None:
        """Return what the PEs of a chain row multiply, shape (filters, width); None where they have no channel."""
        found = self.operands(row, op)
        return None if found is None else np.asarray(np.outer(*found))

    def program(self) -> Iterator[_Op]:
        """Yield the operations of the lowest row: window by window the products, then the additions."""
        shape = self.shape
        for window in range(len(self.windows)):
            for tap, channel, p in product(range(shape.taps), range(shape.channels), range(shape.filters)):
                yield _Op(self, window, p, channel, tap)
            for p in range(shape.filters):
                yield _Op(self, window, p, add=True)


class _SumBus:
    """Sums of windows on their way, `width` words a cycle at most; `queue` has (operation, words left) in order."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.queue: deque[tuple[_Op, int]] = deque()

    def move(self) -> Iterator[_Op]:
        """Move the words of one cycle; yield the operations whose last word is through."""
        left = self.width
        while self.queue and left:
            op, words = self.queue[0]
            left, words = max(0, left - words), max(0, words - left)
            if words:
                self.queue[0] = (op, words)
            else:
                self.queue.popleft()
                yield op


class _Grid:
    """The array: one controller, a chain of rows, the buses."""

    def __init__(self, array: Systolic, blocks: Sequence[PassBlock]) -> None:
        self.array = array
        self.passes = [_Pass(block, array.buses.inputs) for block in blocks]
        self.cycle = self.macs = self.free_at = 0
        self.starts, self.ends = list[int](), list[int]()
        self.program: Iterator[_Op] = iter(())
        self.waiting: _Op | None = None
        rows = max(work.chain for work in self.passes)
        self.issued: deque[_Op | None] = deque([None] * rows, rows)
        stages = array.pe_pipeline - 1
        self.multiplied = [deque[tuple[_Op, Array | None] | None]([None] * stages) for _ in range(rows)]
        self.added: list[tuple[_Op, Array] | None] = [None] * rows
        self.registers: deque[tuple[_Op, Array] | None] = deque([None] * array.output_register)
        self.into, self.out = _SumBus(array.buses.sums), _SumBus(array.buses.sums)
        self.fetch_next = self.fetch_age = 0
        """The window whose sums are fetched next (or now), and for how many cycles they have been."""

    def run(self, watch: PassWatcher | None = None) -> PassRun:
        """Clock everything until the last sum is written."""
        while len(self.ends) < len(self.passes):
            self.left: tuple[_Op, Array] | None = None
            self._begin()
            op = self._issue()
            self.issued.appendleft(op)
            for done in self.out.move():
                self._write(done)
            self._chain()
            if self.starts:
                work = self.passes[len(self.starts) - 1]
                work.move(self.array.buses.weights)
                self._fetch(work, op is not None and op.add and op.p == 0)
            if watch:
                watch(self.snapshot())
            self.cycle += 1
        return PassRun(tuple(w.result for w in self.passes), tuple(self.starts), tuple(self.ends), self.macs)

    def _begin(self) -> None:
        """Give the PEs to the next pass once all rows are through with the products of the one before."""
        if self.waiting is None and len(self.starts) < len(self.passes) and self.cycle >= self.free_at:
            work = self.passes[len(self.starts)]
            self.starts.append(self.cycle)
            self.program = work.program()
            self.waiting = next(self.program)
            self.fetch_next, self.fetch_age, self.room = 0, 0, 1

    def _issue(self) -> _Op | None:
        """Return the operation for the lowest row if its operands have arrived."""
        op = self.waiting
        if op is None or (op.work.fetched <= op.window if op.add else not op.work.has(op.window)):
            return None
        self.waiting = next(self.program, None)
        if op.add and op.p == 0:
            self.free_at = self.cycle + max(op.work.shape.filters, op.work.chain - 1)
        return op

    def _fetch(self, work: _Pass, consuming: bool) -> None:
        """Move sums in; those of the next window once the FIFOs begin to empty and the pass before has written them."""
        self.room += consuming
        if not self.into.queue and not self.fetch_age and not self._may_fetch(work):
            return
        if self.fetch_age < work.shape.filters:
            op = _Op(work, self.fetch_next, self.fetch_age, add=True)
            self.into.queue.append((op, len(work.filters(op.p)) * work.width))
        self.fetch_age += 1
        for done in self.into.move():
            if done.p == work.shape.filters - 1:
                work.fetched += 1
                self.fetch_next, self.fetch_age = self.fetch_next + 1, 0

    def _may_fetch(self, work: _Pass) -> bool:
        if not self.room or self.fetch_next == len(work.windows):
            return False
        if len(self.starts) > 1:
            written = self.passes[len(self.starts) - 2].written
            if written is None or self.cycle <= written + self.array.sram_read_latency:
                return False
        self.room -= 1
        return True

    def _chain(self) -> None:
        """Multiply and add in every row, the top one first, as it reads what the row below added a cycle before."""
        leaving = None
        for row in reversed(range(len(self.added))):
            op = self.issued[row]
            inside = op is not None and row < op.work.chain
            self.multiplied[row].append(self._multiply(row, op) if op is not None and inside else None)
            entry = self.multiplied[row].popleft()
            self.added[row] = self._add(row, *entry) if entry else None
            added = self.added[row]
            if added is not None and row == added[0].work.chain - 1:
                leaving = added
        self.registers.append(leaving)
        if (out := self.registers.popleft()) is not None:
            self._leave(*out)

    def _multiply(self, row: int, op: _Op) -> tuple[_Op, Array | None]:
        if op.add:
            return op, None
        found = op.work.products(row, op)
        self.macs += 0 if found is None else found.size
        return op, found

    def _add(self, row: int, op: _Op, found: Array | None) -> tuple[_Op, Array] | None:
        """Add a product to the sum of its filter, or let the sum out with what comes from below added."""
        work, filters = op.work, op.work.filters(op.p)
        mine = work.sums[row, op.p, : len(filters)]
        if not op.add:
            mine += 0 if found is None else found
            return None
        image, x = work.windows[op.window]
        below = work.block.sums[image, filters.start :: work.shape.filters, :, x]
        if row:
            before = self.added[row - 1]
            if before is None or before[0] != op:
                raise RuntimeError("a sum from below does not meet its row")
            below = before[1]
        total = mine + below
        mine[:] = 0
        return op, total

    def _leave(self, op: _Op, values: Array) -> None:
        """Put sums into the FIFOs of the columns, which the window before must have left."""
        self.left = op, values
        if op.p == 0 and self.out.queue:
            raise RuntimeError("the FIFO of a column overflows")
        image, x = op.work.windows[op.window]
        op.work.result[image, op.p :: op.work.shape.filters, :, x] = values
        self.out.queue.append((op, values.size))

    def _write(self, op: _Op) -> None:
        work = op.work
        if op.p == work.shape.filters - 1 and op.window == len(work.windows) - 1:
            work.written = self.cycle
            self.ends.append(self.cycle + self.array.sram_read_latency)


    def snapshot(self) -> PassSnapshot:
        """Return what every PE does in this cycle."""
        shape = tuple(max(sizes) for sizes in zip(*(work.sums[:, 0].shape for work in self.passes), strict=True))
        dtype = np.result_type(*(work.result for work in self.passes))
        inputs, weights, sums = (np.zeros(shape, dtype) for _ in range(3))
        useful, adding, working = (np.zeros(shape, bool) for _ in range(3))
        ops = [op if op is not None and row < op.work.chain else None for row, op in enumerate(self.issued)]
        for row, op in enumerate(ops):
            if op is None:
                continue
            pes = (row, slice(0, len(op.work.filters(op.p))), slice(0, op.work.width))
            working[pes] = True
            sums[pes] = op.work.sums[row, op.p, : len(op.work.filters(op.p))]
            if op.add:
                adding[pes] = True
            elif (found := op.work.operands(row, op)) is not None:
                weights[pes], inputs[pes], useful[pes] = found[0][:, None], found[1][None, :], True
        steps = tuple(op and (op.window, op.tap, op.channel, op.p) for op in ops)
        return PassSnapshot(
            self.cycle, len(self.starts), inputs, weights, sums, useful, adding, working, steps,
            self._leaving(),
        )  # fmt: skip

    def _leaving(self) -> tuple[tuple[int, int, int, int, int, Any], ...]:
        if self.left is None:
            return ()
        op, values = self.left
        (image, x), index = op.work.windows[op.window], self.passes.index(op.work)
        places = product(enumerate(op.work.filters(op.p)), range(op.work.width))
        return tuple((index, image, f, row, x, values[lane, row]) for (lane, f), row in places)


def run_passes(array: Systolic, blocks: Sequence[PassBlock], watch: PassWatcher | None = None) -> PassRun:
    """Return what one row-stationary `array` does with processing passes, in this order.

    `watch` is called with a PassSnapshot of every cycle. MappingError where a pass does not fit into the PEs or their
    scratchpads.
    """
    if not blocks:
        raise MappingError("there is no pass to run; give at least one")
    for index, block in enumerate(blocks):
        _check(array, index, block)
    return _Grid(array, blocks).run(watch)


def _check(array: Systolic, index: int, block: PassBlock) -> None:
    shape, pads = block.shape, array.scratchpads
    pes = shape.kernel_rows * shape.width * shape.sets[0] * shape.sets[1]
    needs = (
        ("PEs", pes, array.rows * array.cols),
        ("words of inputs a PE", shape.channels * shape.window, pads.inputs),
        ("words of weights a PE", shape.filters * shape.channels * shape.taps, pads.weights),
        ("partial sums a PE", shape.filters, pads.sums),
    )
    for what, needed, there in needs:
        if needed > there:
            raise MappingError(f"pass {index}: needs {needed} {what}, there are {there}; cut it into smaller passes")
