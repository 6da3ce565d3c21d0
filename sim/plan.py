"""A plan: what is loaded, computed and stored, in which order, with loops kept as loops. No time in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from sim import display
from sim.kernel import Kernel
from sim.mapping import Mapping
from sim.passes import Passes

Extent = tuple[int, int, int, int]
"""Sizes along (g, m, n, k) of what a step touches, from the position that the loops around it give."""

Moves = tuple[tuple[str, str, int], ...]
"""What a step moves through on-chip buffers: (operand, "read" or "write", bytes). A "parameter" is a bias or
belongs to the vector work of a layer; it stays where the sums are."""

Position = dict[str, int]
"""Where the loops around a step stand along g, m, n and k."""
START: Position = {"g": 0, "m": 0, "n": 0, "k": 0}


@dataclass(frozen=True)
class TileWork:
    """What the array does for one tile: equal folds, and what they read and write on chip.

    `folds` is per array; `slots` counts the PE-slots of all folds on all arrays, `used` those that hold
    work. `reads` and `writes` are elements by operand, `moves` the same in bytes. `crowding` says by how much
    bytes of an operand count more at the port of its buffer, as they crowd into few of its banks.
    """

    folds: int
    stream: int
    macs: int
    used: int
    slots: int
    reads: tuple[tuple[str, int], ...]
    writes: tuple[tuple[str, int], ...]
    moves: Moves = ()
    crowding: tuple[tuple[str, Fraction], ...] = ()
    pe_cycles: int | None = None
    """PE cycles of the products, all arrays together; left out: one a product. Less where PEs do several at once."""


@dataclass(frozen=True)
class LocalWork(TileWork):
    """What the PEs do for a tile that lies in them: it takes `stream` cycles, nothing is shifted in before it.

    Its result is there `drain` cycles later, while the array may go on with the next tile. `operations` counts what
    PEs do beside products, by kind.
    """

    drain: int = 0
    operations: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Order:
    """How a work step stands among the others of its plan, where it is not simply behind the one before it.

    It waits for the steps that made `after`: (what, how many steps before the latest one that made it). Others know
    it by what it `makes`. In the queue of its unit it comes `behind` turns later than in the plan; it ends a `turn`
    where it says so. `does` names what it does to the numbers, in the words of sim.execute.attention.
    """

    makes: str
    after: tuple[tuple[str, int], ...] = ()
    behind: int = 0
    turn: bool = False
    does: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassShape:
    """What a processing pass of row-stationary PE sets works on; what lies on which PE follows from it.

    Each PE holds `filters` x `channels` rows of `taps` weights and windows of `window` inputs a channel. `sets`
    is (r, t): PE sets behind each other along the channels, and beside each other along the filters; a set is
    `kernel_rows` x `width` PEs. `images` x `outputs` windows pass through them; from one window to the next
    `step` new columns of inputs arrive. The words are those of the whole pass (`weight_words`), of one column
    of inputs (`column_words`), of the sums of one window (`sum_words`).
    """

    filters: int
    channels: int
    taps: int
    window: int
    step: int
    kernel_rows: int
    width: int
    sets: tuple[int, int]
    images: int
    outputs: int
    weight_words: int
    column_words: int
    sum_words: int


@dataclass(frozen=True)
class PassWork:
    """What a row-stationary array does for one tile: one processing pass, and what it moves on chip.

    `slots` counts the PEs of the array, `used` those that the PE sets cover. `reads` and `writes` are elements by
    operand between the array and the buffers, `moves` the same in bytes, `hops` elements that PEs take from a
    bus or from another PE.
    """

    shape: PassShape
    macs: int
    used: int
    slots: int
    reads: tuple[tuple[str, int], ...]
    writes: tuple[tuple[str, int], ...]
    hops: tuple[tuple[str, int], ...] = ()
    moves: Moves = ()
    folds: int = 1


@dataclass(frozen=True)
class Load:
    """Bring a tile of `operand` from memory into a slot on chip; `partial` sums are read back."""

    operand: str
    bytes: int
    extent: Extent
    partial: bool = False
    makes: str = ""
    """What ordered steps know the tile by; only those that name it wait for it then."""
    after: tuple[tuple[str, int], ...] = ()
    """As in Order: what must be in memory before it is loaded."""
    claimed: bool = False
    """Whether it goes into the slot of its operand that was claimed last, where it takes none of its own."""
    room: int = 0
    """Bytes of its slot where that is larger than what it brings."""


@dataclass(frozen=True)
class Fetch:
    """Bring weights from a slower tier to memory. No plan has it: what was cached decides."""

    bytes: int


@dataclass(frozen=True)
class Fill:
    """Write into memory what a tier brought."""

    bytes: int


@dataclass(frozen=True)
class Claim:
    """Take a slot on chip for a tile that is about to be computed."""

    operand: str
    bytes: int
    makes: str = ""
    """What ordered steps know the slot by; only those that name it wait until it is free then."""


@dataclass(frozen=True)
class Compute:
    """Run the folds of a tile on the array, on the tiles now on chip; `first` starts its sums at zero."""

    work: TileWork | PassWork
    extent: Extent
    first: bool
    order: Order | None = None


@dataclass(frozen=True)
class Broadcast:
    """Send a tile of `operand` over the link to all arrays but the one that has it."""

    operand: str
    bytes: int
    order: Order | None = None


@dataclass(frozen=True)
class Reduce:
    """Add the partial sums of all arrays over the link."""

    bytes: int
    order: Order | None = None


@dataclass(frozen=True)
class Process:
    """Run lane operations on what is on chip: `cycles` of all lanes, operations by kind, what they read and write."""

    cycles: int
    operations: tuple[tuple[str, int], ...]
    elements: int
    moves: Moves = ()
    order: Order | None = None


@dataclass(frozen=True)
class Store:
    """Write a tile of the output to memory; `partial` sums will be read back."""

    bytes: int
    extent: Extent
    partial: bool = False
    order: Order | None = None


@dataclass(frozen=True)
class Free:
    """Give the oldest slot of `operand` back once the steps before this one are done with it.

    With `after` it is the latest ordered step of that name that is the last to need it.
    """

    operand: str
    after: str = ""


@dataclass(frozen=True)
class Loop:
    """Run `body` `count` times; the position along `dim` begins at `start` and moves by `size`."""

    dim: str
    count: int
    start: int
    size: int
    body: tuple[Node, ...]

    def at(self, index: int, around: Position) -> Position:
        """Return the position of an iteration; nested loops of one dimension add up."""
        return around | {self.dim: around[self.dim] + self.start + index * self.size}


Step = Load | Claim | Compute | Broadcast | Reduce | Process | Store | Free | Fetch | Fill
Node = Step | Loop


@dataclass(frozen=True)
class Fusion:
    """How attention is fused: tiles of `m` query rows and `n` keys, and how many of them there are at once.

    `group` query tiles share a pass over keys and values; a head has `blocks` of such groups, which are one loop
    with the heads. Steps of the array run `interleave` tiles ahead of those of the lanes behind them. `passes` says how
    often each score is gone through, `scores` how many bytes of them there are at once, `computed` how many pairs of a
    query and a key are computed, those of partial tiles that a mask hides included.
    """

    name: str
    m: int
    n: int
    group: int
    blocks: int
    interleave: int
    passes: int
    scores: int
    computed: int
    spilled: bool = False


@dataclass(frozen=True, repr=False)
class Plan:
    """The steps of one kernel on one unit. `slots` says how many tiles of an operand are there at once."""

    name: str
    kernel: Kernel
    unit: str
    body: tuple[Node, ...]
    slots: tuple[tuple[str, int], ...] = ()
    mapping: Mapping | Passes | Fusion | None = None
    ahead: int = 0
    """Turns by which steps of the plan come behind others at most: so much further it is looked ahead."""

    def __repr__(self) -> str:
        return f"<Plan: {self.name} on {self.unit}, {len([*outline(self.body)])} lines>"

    def _repr_html_(self) -> str:
        return display.card(repr(self)[1:-1], (), display.pre("\n".join(outline(self.body))))


def outline(body: tuple[Node, ...], depth: int = 0) -> Iterator[str]:
    """Yield the steps of a plan as lines, those of a loop indented."""
    for node in body:
        if isinstance(node, Loop):
            yield f"{'  ' * depth}for {node.dim}: {node.count:,} x {node.size:,}"
            yield from outline(node.body, depth + 1)
        else:
            order = getattr(node, "order", None)
            about = [order.makes if order else "", getattr(node, "operand", "")]
            about += [f"{size:,} B" if (size := getattr(node, "bytes", 0)) else ""]
            about += ["partial sums" if getattr(node, "partial", False) else ""]
            yield " ".join(word for word in ("  " * depth + type(node).__name__.lower(), *about) if word)


def steps(body: tuple[Node, ...], times: int = 1) -> Iterator[tuple[Step, int]]:
    """Yield each step of the tree once, with how often it runs."""
    for node in body:
        if isinstance(node, Loop):
            yield from steps(node.body, times * node.count)
        else:
            yield node, times


def moves_of(step: Step) -> Moves:
    """Return what a step moves through on-chip buffers."""
    if isinstance(step, Compute):
        return step.work.moves
    if isinstance(step, Process):
        return step.moves
    if isinstance(step, Store):
        return (("output", "read", step.bytes),)
    if isinstance(step, Load):
        return ((step.operand, "write", step.bytes),)
    return ()
