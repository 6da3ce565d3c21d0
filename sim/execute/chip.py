"""A chip without time: memory, tiles with a mask of the elements they have, and the verbs of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arch import OPERANDS, Arch
from sim.errors import CapacityError, MappingError
from sim.execute.geometry import FoldBlock, fold_blocks, input_region
from sim.kernel import Contraction
from sim.plan import START, Claim, Compute, Extent, Free, Load, Loop, Node, Plan, Position, Step, Store, steps

Array = NDArray[Any]
Mask = NDArray[np.bool_]


class _Sums:
    """Sums, and how many products each has taken up; shape (groups, M, N). `present` says which ones exist."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
        self.values = np.zeros(shape, dtype)
        self.products = np.zeros(shape, np.int64)
        self.present = np.zeros(shape, bool)

    def copy(self, other: _Sums, mask: Mask) -> None:
        """Take over the sums of `other` in `mask`."""
        self.values[mask], self.products[mask] = other.values[mask], other.products[mask]
        self.present |= mask


@dataclass
class _Tile:
    """A tile on chip: its bytes, and the elements of the operand that are in it."""

    bytes: int
    present: Mask
    freed: bool = False


class Chip:
    """Memory, the tiles on chip, and a method for each verb of a plan that moves operands of the product."""

    def __init__(self, plan: Plan, inputs: Array, right: Array, arch: Arch) -> None:
        assert isinstance(plan.kernel, Contraction)  # its caller says so
        self.plan, self.kernel, self.arch = plan, plan.kernel, arch
        self.shape = (plan.kernel.groups, plan.kernel.m, plan.kernel.n)
        self.memory = {"input": inputs.reshape(plan.kernel.groups, -1), "weight": right}
        self.reads = plan.kernel.gather(slice(0, plan.kernel.m), slice(0, plan.kernel.k))
        dtype = np.result_type(inputs, right)
        self.sums, self.spilled, self.results = (_Sums(self.shape, dtype) for _ in range(3))
        moved = [step for step, _ in steps(plan.body)]
        self.claims = any(isinstance(step, Claim) for step in moved)
        self.stores = any(isinstance(step, Store) and not step.partial for step in moved)
        loaded = {step.operand for step in moved if isinstance(step, Load)}
        self.tiles: dict[str, list[_Tile]] = {operand: [] for operand in OPERANDS}
        for operand, values in self.memory.items():
            if operand not in loaded:
                self.tiles[operand].append(_Tile(0, np.ones(values.shape, bool)))
        if not self.claims:
            self.tiles["output"].append(_Tile(0, np.zeros(self.shape, bool)))

    def run(self, nodes: Sequence[Node], at: Position) -> None:
        """Carry out `nodes` with the loops around them at `at`; nested loops of one dimension add up."""
        for node in nodes:
            if isinstance(node, Loop):
                for index in range(node.count):
                    self.run(node.body, node.at(index, at))
            else:
                self.step(node, at)

    def step(self, step: Step, at: Position) -> None:
        """Carry out one step; links, vector work and biases have nothing to do here."""
        if isinstance(step, Load) and step.operand != "parameter":
            self.load(step, at)
        elif isinstance(step, Claim):
            self.take(step.operand, _Tile(step.bytes, np.zeros(self.shape, bool)))
        elif isinstance(step, Compute):
            self.compute(step, at)
        elif isinstance(step, Store):
            self.store(step, at)
        elif isinstance(step, Free) and step.operand != "parameter":
            self.free(step.operand, at)

    def load(self, step: Load, at: Position) -> None:
        """Bring a tile on chip, or partial sums back into the tile that was claimed for them."""
        mask = self.region(step.operand, step.extent, at)
        self.paid(step, "partial_sum" if step.partial else step.operand, mask, at)
        if not step.partial:
            self.take(step.operand, _Tile(step.bytes, mask))
            return
        self.none(mask & ~self.spilled.present, "loads {} partial sums that were never stored", at)
        self.place(mask, at)
        self.sums.copy(self.spilled, mask)
        self.spilled.present &= ~mask

    def take(self, operand: str, tile: _Tile) -> None:
        """Give a tile a slot. Its predecessor's slot is the next to go, so a freed tile stays until then."""
        held = self.tiles[operand]
        if len(held) == dict(self.plan.slots)[operand]:
            if not held[0].freed:
                raise MappingError(f"{self.plan.name}: all {len(held)} slots of {operand} are in use; free one first")
            held.pop(0)
        held.append(tile)
        name = self.arch.buffer_of(operand)
        buffer = self.arch.buffers[name]
        total = sum(other.bytes for held_here in buffer.holds for other in self.tiles[held_here])
        if total > buffer.tile_capacity:
            what = f"{self.plan.name}: a tile of {operand} beside the tiles there"
            raise CapacityError(what, f"buffer '{name}'", total, buffer.tile_capacity, "use smaller tiles")

    def place(self, mask: Mask, at: Position) -> None:
        """Let the sums in `mask` begin to exist in the output tile; its claim must have paid for them."""
        tile = self.live("output", at)[-1]
        self.none(mask & tile.present, "starts {} sums that are on chip already", at)
        tile.present |= mask
        needed = self.arch.bytes_of("partial_sum", int(tile.present.sum()))
        if self.claims and needed > tile.bytes:
            raise self.wrong(f"a tile of output claims {tile.bytes} bytes and holds {needed}", at)

    def compute(self, step: Compute, at: Position) -> None:
        """Multiply the folds of a tile, from elements on chip only, into sums on chip only."""
        mask = self.region("output", step.extent, at)
        if step.first:
            self.place(mask, at)
            self.sums.values[mask] = self.sums.products[mask] = 0
        held = {o: np.any([tile.present for tile in self.live(o, at)], axis=0) for o in OPERANDS}
        self.none(mask & ~held["output"], "adds to {} sums that are not on chip", at)
        for block in self.blocks(step.extent, at):
            reads = self.reads[np.ix_(block.m, block.k)]
            real = reads >= 0
            for g in block.groups:
                self.none(~held["input"][g][reads[real]], "reads {} elements of input that are not on chip", at)
                weights = np.ix_(block.k, block.n)
                self.none(~held["weight"][g][weights], "reads {} elements of weight that are not on chip", at)
                left = np.where(real, self.memory["input"][g][reads], 0)
                sums = np.ix_(np.array([g]), block.m, block.n)
                self.sums.values[sums] += left @ self.memory["weight"][g][weights]
                self.sums.products[sums] += block.k.size

    def blocks(self, extent: Extent, at: Position) -> Iterator[FoldBlock]:
        """Yield what the array multiplies for a tile of `extent` at `at`."""
        return fold_blocks(self.plan, self.arch, extent, at)

    def store(self, step: Store, at: Position) -> None:
        """Write outputs, which must be complete, or spill partial sums."""
        mask = self.region("output", step.extent, at)
        self.paid(step, "partial_sum" if step.partial else "output", mask, at)
        self.none(mask & ~self.live("output", at)[-1].present, "stores {} outputs that are not on chip", at)
        if step.partial:
            self.spilled.copy(self.sums, mask)
            return
        self.none(mask & (self.sums.products != self.kernel.k), "stores {} outputs before they are complete", at)
        self.none(mask & self.results.present, "stores {} outputs twice", at)
        self.results.copy(self.sums, mask)

    def free(self, operand: str, at: Position) -> None:
        """Give the oldest tile back; nothing in it can be read any more."""
        tile = self.live(operand, at)[0]
        tile.freed = True
        if operand == "output" and not self.stores:
            self.results.copy(self.sums, tile.present & (self.sums.products == self.kernel.k))

    def end(self) -> Array:
        """Return the outputs, all of which must be there."""
        if not self.claims:
            self.free("output", START)
        if missing := int((~self.results.present).sum()):
            raise MappingError(f"{self.plan.name}: ends with {missing} of {self.results.present.size} outputs missing")
        return self.results.values

    def live(self, operand: str, at: Position) -> list[_Tile]:
        """Return the tiles that are on chip and not freed, oldest first; there must be one."""
        found = [tile for tile in self.tiles[operand] if not tile.freed]
        if not found:
            raise self.wrong(f"needs a tile of {operand}, but none is on chip", at)
        return found

    def region(self, operand: str, extent: Extent, at: Position) -> Mask:
        """Return which elements of `operand` a step of `extent` at `at` touches."""
        span = {d: range(at[d], at[d] + size) for d, size in zip(("g", "m", "n", "k"), extent, strict=True)}
        if operand == "input":
            mask = np.zeros(self.kernel.input_shape, bool)
            groups = np.arange(at["g"], at["g"] + extent[0])
            mask[np.ix_(groups, *input_region(self.kernel, span["m"], span["k"]))] = True
            return mask.reshape(self.kernel.groups, -1)
        whole = self.memory["weight"].shape if operand == "weight" else self.shape
        mask = np.zeros(whole, bool)
        dims = ("g", "k", "n") if operand == "weight" else ("g", "m", "n")
        mask[tuple(slice(span[d].start, span[d].stop) for d in dims)] = True
        return mask

    def paid(self, step: Load | Store, kind: str, mask: Mask, at: Position) -> None:
        """Make sure that a transfer moves as many bytes as its elements have."""
        needed = self.arch.bytes_of(kind, int(mask.sum()))
        if needed != step.bytes:
            verb, operand = ("load", step.operand) if isinstance(step, Load) else ("store", "output")
            raise self.wrong(f"a {verb} of {operand} moves {step.bytes} bytes, its elements have {needed}", at)

    def none(self, wrong: Mask, message: str, at: Position) -> None:
        """Make sure that nothing in `wrong` is so."""
        if wrong.any():
            raise self.wrong(message.format(int(wrong.sum())), at)

    def wrong(self, message: str, at: Position) -> MappingError:
        """Return an error that says where in the loops it happened."""
        place = ", ".join(f"{dim} {position}" for dim, position in at.items())
        return MappingError(f"{self.plan.name} at {place}: {message}")
