"""Which layers read weights that lie in a tier, as blocks: an expert with all of its matrices, or a layer's matrix."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby

from sim.arch import Arch, Tier
from sim.errors import ConfigError, Problem
from sim.frontend import Stage
from sim.kernel import Contraction
from sim.layers import Task

Block = tuple[str, int]
"""Weights that are fetched and stay together: the layers that read them, by name, and which slice."""


@dataclass(frozen=True)
class Matrix:
    """What one stage reads of its blocks: the block of each group of its kernel, and the bytes of one group."""

    stage: int
    layer: int
    blocks: tuple[Block, ...]
    bytes: int


@dataclass(frozen=True)
class Use:
    """Layers that read the same blocks one after the other. `runs` are the blocks they read, the oldest run first.

    The last of `runs` is the run itself. Of `experts` slices any may be chosen; 0: there is nothing to choose.
    """

    name: str
    matrices: tuple[Matrix, ...]
    runs: tuple[tuple[Block, ...], ...]
    experts: int = 0
    sizes: dict[Block, int] = field(default_factory=dict, compare=False)

    @property
    def size(self) -> int:
        """Bytes of its largest block."""
        return max(self.sizes.values())

    @property
    def most(self) -> int:
        """Bytes of the blocks that it reads in one run, at most."""
        return max(len(set(blocks)) for blocks in self.runs) * self.size


def uses(
    chip: Arch, tier: Tier, tasks: Sequence[Task], stages: Sequence[Stage], taken: Container[int] = ()
) -> list[Use]:
    """Return who reads what of `tier`, in the order of the layers; those `taken` read from another.

    ConfigError where a trace is too short.
    """
    first: dict[int, int] = {}
    for index, stage in enumerate(stages):
        first.setdefault(stage.layer, index)
    held = [(index, task) for index, task in enumerate(tasks) if index not in taken and holds(tier, task)]
    together = groupby(held, key=lambda entry: _owner(entry[1]))
    return [_use(chip, tier, name, list(layers), first) for name, layers in together]


def holds(tier: Tier, task: Task) -> bool:
    """Return whether a tier holds the matrices of a layer."""
    if not fnmatchcase(task.name, tier.layers):
        return False
    if tier.holds == "experts":
        return task.op == "experts"
    return any(isinstance(kernel, Contraction) and kernel.right_is == "weight" for kernel in task.kernels)


def _owner(task: Task) -> str:
    """Return by which name the blocks of a layer go: all matrices of an expert are one block."""
    return task.name.rpartition(".")[0] if task.op == "experts" else task.name


def _use(chip: Arch, tier: Tier, name: str, layers: Sequence[tuple[int, Task]], first: dict[int, int]) -> Use:
    matrices, sizes = list[Matrix](), dict[Block, int]()
    for layer, task in layers:
        slices = task.node.op.slices_read() if task.node else ()
        each = dict[Block, int]()
        for position, kernel in enumerate(task.kernels):
            assert isinstance(kernel, Contraction)  # a tier holds nothing else
            groups = slices[position] if slices else (0,) * kernel.groups
            size = chip.bytes_of("weight", kernel.k * kernel.n * (1 if slices else kernel.groups))
            blocks = tuple((name, group) for group in groups)
            matrices.append(Matrix(first[layer] + position, layer, blocks, size))
            each |= dict.fromkeys(blocks, size)
        for block, size in each.items():
            sizes[block] = sizes.get(block, 0) + size
    node = layers[0][1].node
    if node is None or not node.op.slices_read():
        return Use(name, tuple(matrices), ((((name, 0),),) * (tier.history + 1)), 0, sizes)
    try:
        before = [node.op.slices_read(back)[0] for back in range(tier.history, 0, -1)]
    except ValueError as error:
        raise ConfigError(Problem(str(error), key=name)) from None
    runs = [tuple((name, slice_) for slice_ in slices) for slices in before]
    now = tuple(block for matrix in matrices if matrix.layer == layers[0][0] for block in matrix.blocks)
    largest = max(sizes.values())
    sizes |= {block: largest for run in runs for block in run if block not in sizes}
    count = node.op.weight_shapes(node.input_shapes)["weight"][0]
    return Use(name, tuple(matrices), (*runs, now), count, sizes)
