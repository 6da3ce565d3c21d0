"""Layers as work for the banks and for the companion beside them.

Layers that multiply the same vector by weights are one matrix (queries, keys and values; gate and up). A product with
several rows is one program a row. What a companion does on the results of a product, it does while they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from sim.arch import Arch, Companion
from sim.energy.schema import RECIPES
from sim.errors import CapacityError
from sim.graph import Node
from sim.kernel import Contraction, VectorWork
from sim.layers import Task
from sim.pim import cost
from sim.pim.cost import Cost
from sim.pim.device import Device
from sim.pim.gemv import Layout

WEIGHTS, ATTENTION, CACHE, MOVES = "weights", "attention", "cache", "moves"
"""What programs are for: products with weights, with keys and values or other activations, writing those, the rest."""


@dataclass(frozen=True)
class Program:
    """A program of the banks: what it is for, what it takes, and what it reads and writes (operand, bytes of it)."""

    what: str
    cost: Cost
    read: tuple[str, int] = ("", 0)
    write: tuple[str, int] = ("", 0)


@dataclass
class Job:
    """One layer: programs that wait for nothing, then those for its operands, its product, and lane work behind it.

    `adds` are additions of partial sums (and biases) while results are read. `streams` says that it can begin with
    the first part of its inputs.
    """

    name: str
    op: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    elements: int
    macs: int = 0
    before: list[Program] = field(default_factory=list)
    stores: list[Program] = field(default_factory=list)
    product: Program | None = None
    work: tuple[VectorWork, ...] = ()
    adds: int = 0
    streams: bool = False
    fused: tuple[str, ...] = ()
    outputs: int = 0
    padded: int = 0
    result: str = "output"
    stored_rows: int = 0
    """Rows of every unit that its matrix, keys or values take."""
    stored_bytes: int = 0
    """What of these is filled."""
    parts: int = 1
    programs: int = 1
    widest: int = 0
    """Bursts that it writes to the global buffer at once."""


def lane_cycles(work: VectorWork, chip: Arch, companion: Companion) -> int:
    """Return the cycles of the chip that lane work takes: each kind as fast as adders and multipliers allow."""
    return sum(kind_cycles(kind, count, chip, companion) for kind, count in work.operations)


def kind_cycles(kind: str, count: int, chip: Arch, companion: Companion) -> int:
    """Return the cycles of the chip for `count` lane operations of a kind, made of products and additions."""
    products, additions = recipe(kind)
    own = max(-(-count * additions // companion.adders), -(-count * products // companion.multipliers))
    return ceil((own + companion.latency) * companion.pace(chip.clock))


def recipe(kind: str) -> tuple[int, int]:
    """Return the products and additions of a lane operation."""
    if kind in RECIPES:
        return RECIPES[kind][0], RECIPES[kind][1]
    return (1, 0) if kind == "mul" else (0, 1)


class Jobs:
    """Makes the jobs of a network on a chip."""

    def __init__(self, chip: Arch, device: Device, nodes: Mapping[str, Node]) -> None:
        self.chip, self.device, self.nodes = chip, device, nodes

    def all(self, tasks: Sequence[Task]) -> list[Job]:
        """Return the jobs of all tasks, in order."""
        return [job for group in together(tasks) for job in self.jobs(group)]

    def jobs(self, group: Sequence[Task]) -> Iterator[Job]:
        """Yield the jobs of layers that are one matrix, or of a single layer: one a kernel."""
        task = group[0]
        works = tuple(kernel for kernel in task.kernels if isinstance(kernel, VectorWork))
        products = [kernel for kernel in task.kernels if isinstance(kernel, Contraction)]
        if not products:
            yield self._lanes(task, works)
            return
        if len(group) > 1:
            products = [replace(products[0], filters=sum(_filters(each) for each in group))]
        made = [self._product(group, kernel) for kernel in products]
        self._parameters(made[0], group)
        for index, job in enumerate(made[:-1]):
            job.writes, job.fused = (), ()
            made[index + 1].name = f"{task.name}.{index + 1}"
        made[-1].work = (*works, *(work for each in group for work in each.epilogue))
        yield from made

    def _parameters(self, job: Job, group: Sequence[Task]) -> None:
        """Let a job read the biases of its layers and the parameters of what is fused; add what WR_BIAS does not."""
        parameters = sum(work.weights for each in group for work in each.epilogue)
        kernels = [kernel for each in group for kernel in each.kernels if isinstance(kernel, Contraction)]
        biases = sum(kernel.bias_elements for kernel in kernels)
        if parameters + biases:
            job.before.append(self.move(parameters + biases, "read", "weight"))
        if not self.device.maybe("write_registers"):
            job.adds += sum(kernel.m * kernel.bias_elements for kernel in kernels)

    def _lanes(self, task: Task, works: tuple[VectorWork, ...]) -> Job:
        works = (*works, *task.epilogue)
        node = self.nodes.get(task.name)
        streams = node is not None and (node.op.fusible or node.op_name == "softmax")
        job = Job(task.name, task.op, tuple(t for _, t in task.reads), (task.writes,), task.elements, work=works,
                  streams=streams, fused=tuple(task.fused), result=task.result)  # fmt: skip
        parameters = sum(work.weights for work in works)
        if parameters:
            job.before.append(self.move(parameters, "read", "weight"))
        return job

    def move(self, elements: int, does: str, operand: str) -> Program:
        """Return the program that reads or writes so many elements over the pins."""
        count = self.chip.bytes_of(operand, elements)
        taken = cost.moved(self.device, count, does)
        if does == "read":
            return Program(MOVES, taken, read=(operand, count))
        return Program(MOVES, taken, write=(operand, count))

    def _product(self, group: Sequence[Task], kernel: Contraction) -> Job:
        task = group[0]
        job = Job(
            task.name, task.op, tuple(t for _, t in task.reads), tuple(each.writes for each in group),
            sum(each.elements for each in group), macs=kernel.macs, result=task.result,
            fused=(*(each.name for each in group[1:]), *(name for each in group for name in each.fused)),
        )  # fmt: skip
        if kernel.right_is == "kv" and kernel.name in ("scores", "values"):
            self._attention(job, kernel)
        else:
            self._matrix(job, kernel)
        return job

    def _matrix(self, job: Job, kernel: Contraction) -> None:
        layout = Layout(self.device, kernel.n, kernel.k)
        layout.check(job.name)
        rows = layout.rows * kernel.groups
        if rows > self.device.rows:
            raise too_many(f"'{job.name}' with all its matrices", rows, self.device)
        job.programs, job.stored_rows, job.widest = kernel.groups * kernel.m, rows, layout.bursts(0)
        whole = cost.repeated(cost.gemv(self.device, kernel.n, kernel.k), job.programs)
        count = job.stored_bytes = self.chip.bytes_of(kernel.right_is, kernel.right_elements)
        if kernel.right_is == "weight":
            job.product = Program(WEIGHTS, whole, read=("weight", count))
        else:
            job.stores.append(self._written(kernel))
            job.product = Program(ATTENTION, whole, read=(kernel.right_is, count))
        job.parts = len(layout.parts) if layout.order == "kouter" else 1
        self._sums(job, kernel, layout.groups * layout.width - kernel.n)

    def _sums(self, job: Job, kernel: Contraction, padded: int) -> None:
        job.outputs, job.padded = kernel.output_elements, padded
        job.adds = kernel.output_elements * (job.parts * self.device.spec.partial_sums - 1)

    def _written(self, kernel: Contraction) -> Program:
        """Return the program that brings a right operand that a layer has made into the banks."""
        program = self.move(kernel.right_elements, "write", kernel.right_is)
        return replace(program, what=CACHE)

    def _attention(self, job: Job, kernel: Contraction) -> None:
        """Fill in a product with keys or values: their heads side by side, each with its own query."""
        device, heads = self.device, kernel.groups
        size, tokens = (kernel.k, kernel.n) if kernel.name == "scores" else (kernel.n, kernel.k)
        past = min(int(getattr(getattr(self.nodes.get(job.name), "op", None), "past", 0)), tokens - 1)
        made = cost.scores if kernel.name == "scores" else cost.weighted
        one = made(device, heads, size, tokens)
        if one.rows > device.rows:
            raise too_many(f"'{job.name}' with all its keys or values", one.rows, device)
        count = self.chip.bytes_of("kv", kernel.right_elements)
        new = self.chip.bytes_of("kv", heads * size * (tokens - past))
        job.product = Program(ATTENTION, cost.repeated(one, kernel.m), read=("kv", count))
        job.stores.append(Program(CACHE, cost.append(device, kernel.name, heads, size, past, tokens - past),
                                  write=("kv", new)))  # fmt: skip
        job.stored_rows, job.stored_bytes, job.programs = one.rows, count, kernel.m
        job.widest = -(-min(heads * size if kernel.name == "scores" else tokens, device.spec.buffer // device.element)
                       // device.lanes)  # fmt: skip
        if kernel.name == "values":
            job.parts = len(cost.spread(device, heads, size, tokens).parts) if device.spec.order == "kouter" else 1
            job.streams = True
        self._sums(job, kernel, 0)


def too_many(what: str, rows: int, device: Device) -> CapacityError:
    """Return the error that something takes more rows than every unit of the banks has."""
    each = device.row_bytes * device.units * device.spec.channels
    least = -(-device.spec.channels * rows // device.rows)
    way_out = f"{rows - device.rows} rows of every bank too many; --set channels={least} would do"
    memory = f"the banks of {device.name} ({device.spec.channels} channels)"
    return CapacityError(what, memory, rows * each, device.rows * each, way_out)


def together(tasks: Sequence[Task]) -> list[list[Task]]:
    """Return neighbours that multiply the same vector by weights as one group each, all others alone."""
    groups: list[list[Task]] = []
    for task in tasks:
        if groups and _joins(groups[-1][0], task):
            groups[-1].append(task)
        else:
            groups.append([task])
    return groups


def _joins(first: Task, task: Task) -> bool:
    if first.reads != task.reads or len(first.kernels) != 1 or len(task.kernels) != 1:
        return False
    mine, theirs = first.kernels[0], task.kernels[0]
    if not isinstance(mine, Contraction) or not isinstance(theirs, Contraction):
        return False
    plain = mine.right_is == theirs.right_is == "weight" and mine.groups == theirs.groups == 1
    return plain and (mine.m, mine.k, mine.axes) == (theirs.m, theirs.k, theirs.axes)


def _filters(task: Task) -> int:
    kernel = task.kernels[0]
    return kernel.filters if isinstance(kernel, Contraction) else 0
