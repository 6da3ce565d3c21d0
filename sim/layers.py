"""A network as a chip sees it: what fuses with what, what stays on chip, what cannot be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from sim.arch import Arch
from sim.attention.lowering import Fused, attentions
from sim.graph import Graph, Node
from sim.kernel import Attention, Contraction, Kernel, VectorWork


@dataclass
class Task:
    """One layer of a run: its kernels, the tensors it reads (operand, name) and writes, and what it fuses."""

    name: str
    op: str
    kernels: tuple[Kernel, ...]
    reads: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, ...], ...]
    """The tensors that make up each input of the operator: several where a view joins them."""
    writes: str
    elements: int
    result: str = "output"
    """What the output is in the accounts: "kv" where it joins a cache."""
    unit: str = ""
    """The unit that computes it."""
    epilogue: list[VectorWork] = field(default_factory=list)
    fused: list[str] = field(default_factory=list)
    node: Node | None = None
    """The operator of the network that it is, which knows what experts it reads."""

    def family(self, arch: Arch) -> str:
        """Return the family of the unit that computes it; empty where the chip has none."""
        return arch.units[self.unit].family if self.unit else ""

    @property
    def contracts(self) -> bool:
        """Whether the layer needs an array."""
        return any(isinstance(kernel, Contraction | Attention) for kernel in self.kernels)

    @property
    def parameters(self) -> int:
        """Biases, and the parameters of the fused work."""
        biases = max((k.bias_elements for k in self.kernels if isinstance(k, Contraction)), default=0)
        return biases + sum(work.weights for work in self.epilogue)

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """The tensors that come from memory together, or not at all: those of an operand, or of an input of lanes."""
        if all(isinstance(kernel, VectorWork) and len(kernel.inputs) == len(self.inputs) for kernel in self.kernels):
            return list(self.inputs)
        right = any(_of_activations(kernel) for kernel in self.kernels)
        operands = {operand if right else "input" for operand, _ in self.reads}
        return [tuple(t for o, t in self.reads if o == operand or not right) for operand in sorted(operands)]

    def kernel_reads(self, kernel: Kernel) -> tuple[tuple[str, str], ...]:
        """Return what one kernel reads: all inputs but the first are the right operand of a product of activations."""
        if _of_activations(kernel):
            return self.reads
        return tuple(("input", tensor) for _, tensor in self.reads)


def _of_activations(kernel: Kernel) -> bool:
    """Return whether all inputs of a kernel but the first are its right operand."""
    return isinstance(kernel, Contraction | Attention) and kernel.right_is != "weight"


@dataclass(frozen=True)
class Lowered:
    """The layers in order, the tensors that are kept on chip, and what the chip does not model."""

    tasks: tuple[Task, ...]
    kept: frozenset[str]
    not_modelled: tuple[dict[str, object], ...]


def lower(graph: Graph, arch: Arch, fuse: Container[str] = ()) -> Lowered:
    """Return the layers of `graph` on `arch`, compound operators written out as their parts.

    An operator that works element by element on the only use of a layer's output runs on that layer's
    tiles before they leave. Attentions are one layer each where the chip's mapping fuses them; of those that it leaves
    open the ones in `fuse` are. Views take no time. Without a vector unit, what is no contraction is named in
    `not_modelled` and takes no time.
    """
    graph = graph.expanded
    tasks: dict[str, Task] = {}
    made_by: dict[str, tuple[str, ...]] = {name: (name,) for name in graph.inputs}
    uses = _uses(graph)
    skipped: dict[str, list[str]] = {}
    for node in graph.nodes:
        sources = tuple(dict.fromkeys(s for tensor in node.inputs for s in made_by[tensor]))
        if any(isinstance(kernel, Contraction) for kernel in node.kernels):
            made: tuple[str, ...] = (_add(tasks, node, made_by, arch),)
        elif not node.kernels:
            made = sources
        elif not arch.unit_for(node.name, node.op_name, None):
            skipped.setdefault(node.op_name, []).append(node.name)
            made = sources
        elif _fuses(node, sources, tasks, uses, arch):
            made = sources
            tasks[sources[0]].epilogue += [k for k in node.kernels if isinstance(k, VectorWork)]
            tasks[sources[0]].fused.append(node.name)
        else:
            made = (_add(tasks, node, made_by, arch),)
        made_by |= dict.fromkeys(node.outputs, made)
    for fused in attentions(graph.nodes, arch, fuse):
        _join(tasks, fused, arch)
    missing: list[dict[str, object]] = [
        {"what": f"{op} (the chip has no vector unit)", "where": where} for op, where in skipped.items()
    ]
    last = {source for tensor in graph.outputs for source in made_by[tensor]}
    cached = {source for node in graph.nodes for i in node.op.cached() for source in made_by[node.inputs[i]]}
    kept = _kept(list(tasks.values()), arch, last | cached)
    for name in cached & set(tasks):
        tasks[name].result = "kv"
    return Lowered(tuple(tasks.values()), kept, tuple(missing))


def _join(tasks: dict[str, Task], fused: Fused, arch: Arch) -> None:
    """Let one layer stand for the parts of an attention, in the place of the last of them."""
    scores, softmax, values = (tasks.get(name) for name in fused.parts)
    if not (fused.kernel and scores and softmax and values) or values.epilogue or values.family(arch) != "array":
        return
    del tasks[scores.name], tasks[softmax.name]
    reads = tuple(dict.fromkeys((*scores.reads, *(read for read in values.reads if read[0] == "weight"))))
    inputs = (*scores.inputs, *(() if fused.kernel.shared else values.inputs[1:]))
    joined = replace(values, name=fused.name, op="attention", kernels=(fused.kernel,), reads=reads, inputs=inputs)
    tasks[values.name] = joined


def _uses(graph: Graph) -> Counter[str]:
    """Return how many operators that are no views read each tensor, itself or through views of it."""
    uses = Counter(tensor for node in graph.nodes if node.kernels for tensor in node.inputs)
    for node in reversed(graph.nodes):
        if not node.kernels:
            for tensor in node.inputs:
                uses[tensor] += sum(uses[view] for view in node.outputs)
    for node in graph.nodes:
        if not node.kernels:
            uses |= Counter({view: max(uses[tensor] for tensor in node.inputs) for view in node.outputs})
    return uses


def _add(tasks: dict[str, Task], node: Node, made_by: dict[str, tuple[str, ...]], arch: Arch) -> str:
    operands = ("input", *("weight",) * (len(node.inputs) - 1))
    reads = tuple((o, source) for o, tensor in zip(operands, node.inputs, strict=True) for source in made_by[tensor])
    inputs = tuple(made_by[tensor] for tensor in node.inputs)
    elements = sum(prod(shape) for shape in node.output_shapes)
    results = {kernel.result for kernel in node.kernels if isinstance(kernel, VectorWork)}
    result = results.pop() if len(results) == 1 else "output"
    rows = max((kernel.m for kernel in node.kernels if isinstance(kernel, Contraction)), default=None)
    unit = arch.unit_for(node.name, node.op_name, rows)
    task = Task(node.name, node.op_name, node.kernels, reads, inputs, node.name, elements, result, unit, node=node)
    tasks[node.name] = task
    return node.name


def _fuses(node: Node, sources: tuple[str, ...], tasks: dict[str, Task], uses: Counter[str], arch: Arch) -> bool:
    """Return whether an operator runs on the tiles of the layer before it: in its unit, or lanes beside it."""
    if not node.op.fusible or len(sources) != 1 or sources[0] not in tasks or uses[node.inputs[0]] != 1:
        return False
    unit = arch.unit_for(node.name, node.op_name, None)
    return arch.units[unit].family == tasks[sources[0]].family(arch)


class KeptRoom:
    """The bytes of tensors that are kept on chip, task by task: from the one that makes a tensor to its last reader."""

    def __init__(self, tasks: Sequence[Task], arch: Arch) -> None:
        self.arch = arch
        self.live = [0] * (len(tasks) + 1)
        last = {tensor: i for i, task in enumerate(tasks) for _, tensor in task.reads}
        self.spans = {task.writes: range(i, last.get(task.writes, i) + 1) for i, task in enumerate(tasks)}

    def fits(self, task: Task, room: int) -> bool:
        """Tell whether what `task` writes finds its place in `room` bytes beside what is kept already."""
        size = self.arch.bytes_of("input", task.elements)
        return all(self.live[i] + size <= room for i in self.spans[task.writes])

    def keep(self, task: Task) -> None:
        """Keep what `task` writes."""
        for i in self.spans[task.writes]:
            self.live[i] += self.arch.bytes_of("input", task.elements)


def _kept(tasks: list[Task], arch: Arch, outputs: set[str]) -> frozenset[str]:
    """Return the tensors that stay on chip from the layer that makes them to the last that reads them.

    First made, first kept, while all that live at the same time fit in the part set aside (`keep`). A tensor
    that some layer reads as one operand with others that are not kept would be loaded with them: it is not kept.
    """
    room = arch.buffers[arch.buffer_of("input")].keep if arch.bounded and arch.buffers else None
    if not room:
        return frozenset()
    readers: dict[str, set[str]] = {}
    for task in tasks:
        for _, tensor in task.reads:
            readers.setdefault(tensor, {task.family(arch)}).add(task.family(arch))
    able = [t for t in tasks if readers.get(t.writes) == {t.family(arch)} == {"array"} and t.writes not in outputs]
    while True:
        place, kept = KeptRoom(tasks, arch), set[str]()
        for task in able:
            if place.fits(task, room):
                place.keep(task)
                kept.add(task.writes)
        torn = {t for task in tasks for group in task.groups for t in group if not kept.issuperset(group)}
        if not kept & torn:
            return frozenset(kept)
        able = [task for task in able if task.writes not in torn & kept]


def fuse_vector(task: Task, kernel: VectorWork, kept: frozenset[str]) -> VectorWork:
    """Return vector work with what is fused behind it, reading from memory only the inputs that are not `kept`."""
    operations = kernel.operations + tuple(o for work in task.epilogue for o in work.operations)
    inputs, kinds = kernel.inputs, kernel.kinds
    if len(task.inputs) == len(inputs):
        off = [not kept.issuperset(group) for group in task.inputs]
        inputs = tuple(count for count, load in zip(inputs, off, strict=True) if load)
        kinds = tuple(kind for kind, load in zip(kinds, off, strict=False) if load)
    weights = kernel.weights + sum(work.weights for work in task.epilogue)
    kept_inputs = sum(kernel.inputs) - sum(inputs)
    return replace(
        kernel, inputs=inputs, kinds=kinds, operations=operations, weights=weights, kept=kept_inputs
    )
