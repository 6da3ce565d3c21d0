"""Random contractions, chips and mappings, and a decorator that runs a law on a few or on many of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from sim.arch import OPERANDS, Arch
from sim.dataflow import DATAFLOWS
from sim.errors import CapacityError, MappingError
from sim.execute import FoldBlock, fold_blocks
from sim.fits import check, needs
from sim.frontend import Read, Stage
from sim.kernel import Axis, Contraction, VectorWork
from sim.mapping import Mapping, Tiling, channels, words
from sim.op import random_integers
from sim.plan import Compute, Loop, Node, Plan, Step
from sim.planner import Surroundings, plan_contraction, plan_vector
from sim.reference import Fold

ORDERS = tuple(permutations(("m", "n", "k")))
FLOWS = tuple(sorted({DATAFLOWS[name].name for name in DATAFLOWS if not DATAFLOWS[name].passes}))
"""Dataflows in folds of a product; those in passes have tests of their own."""
HOUR = 3600
"""Seconds that a law in full may take: some map or simulate whole networks a thousand times."""


def law(*strategies: Any, quick: int, full: int, **named: Any) -> Callable[[Any], Any]:
    """Return a decorator: the test holds for `quick` fixed examples, and for `full` random ones with -m slow."""

    def decorate(test: Any) -> Any:
        checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
        common = {"deadline": None, "suppress_health_check": checks}
        few = settings(max_examples=quick, derandomize=True, database=None, **common)(given(*strategies, **named)(test))
        many = settings(max_examples=full, **common)(given(*strategies, **named)(test))
        slow = (pytest.mark.slow, pytest.mark.timeout(HOUR))
        runs = [pytest.param(few, id="quick"), pytest.param(many, id="full", marks=slow)]

        def run_law(run: Callable[[], None]) -> None:
            run()

        run_law.__name__, run_law.__doc__ = test.__name__, test.__doc__
        return pytest.mark.parametrize("run", runs)(run_law)

    return decorate


def chip(capacity: str = "1 KiB", vector: bool = False, **array: Any) -> Arch:
    """Return a 4 x 4 array with one double buffer for everything."""
    lanes = {"vector": {"kind": "vector", "lanes": 4}} if vector else {}
    return Arch.model_validate({
        "name": "chip", "clock": "1 GHz",
        "units": {"array": {"kind": "systolic", "rows": 4, "cols": 4, **array}, **lanes},
        "buffers": {"sram": {"capacity": capacity, "holds": ["weight", "input", "output"]}},
        "memory": {"kind": "simple", "bandwidth": "8 GB/s"}, "link": {"bandwidth": "8 B/cycle"},
    })  # fmt: skip


@st.composite
def axes(draw: Any, most: int) -> Axis:
    """A spatial axis of up to `most` outputs with stride, dilation, padding, and inputs that nothing reads."""
    out, kernel = draw(st.integers(1, most)), draw(st.integers(1, 3))
    stride, dilation, pad = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(-1, 2))
    span = (out - 1) * stride + (kernel - 1) * dilation + 1
    size = max(1, span - pad - draw(st.integers(0, 2)) + draw(st.integers(0, stride - 1)))
    return Axis(size, out, kernel, stride, dilation, pad)


@st.composite
def contractions(draw: Any) -> Contraction:
    """A matrix product or a convolution over one to three axes, with batch and groups."""
    dimensions = draw(st.integers(0, 3))
    most = (30, 12, 4, 3)[dimensions]
    filters, depth = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    batch = draw(st.integers(1, 3 if dimensions else most))
    return Contraction(
        "c", filters, depth if dimensions else depth * 4, batch, draw(st.integers(1, 4)),
        tuple(draw(axes(most)) for _ in range(dimensions)),
    )  # fmt: skip


def _some(draw: Any, total: int) -> int:
    return draw(st.sampled_from(sorted({total, *(max(1, total * part // 4) for part in range(4))} | {1})))


@st.composite
def mappings(draw: Any, kernel: Contraction, arch: Arch) -> Mapping:
    """A mapping that cuts the contraction in a legal way; whether it fits the buffers is another matter."""
    array = arch.array
    assert array is not None
    images = draw(st.booleans())
    g = draw(st.integers(1, kernel.groups))
    mapping = Mapping(
        m=draw(st.integers(1, kernel.batch)) * kernel.positions if images else _some(draw, kernel.positions),
        n=draw(st.integers(1, kernel.n)),
        k=draw(st.integers(1, kernel.channels)) * kernel.taps,
        g=g,
        order=draw(st.sampled_from(ORDERS)),
        hold=tuple((operand, draw(st.integers(0, 3))) for operand in ("weight", "input", "output")),
        lowering=draw(st.sampled_from(("im2col", "direct"))),
        split=draw(st.sampled_from(("m", "n", "k"))) if array.count > 1 else None,
    )
    return replace(mapping, packed=draw(st.integers(1, most_packed(kernel, mapping, arch))))


def most_packed(kernel: Contraction, mapping: Mapping, arch: Arch) -> int:
    """Return how many groups' tiles fit block-diagonally on the array."""
    array = arch.array
    assert array is not None
    flow = DATAFLOWS[array.dataflow]
    side = {d: min(mapping.tile(d), getattr(kernel, d)) for d in ("m", "n", "k")}
    if mapping.lowering == "direct":
        side["k"] = channels(kernel, side["k"])
    side["k"] = words(side["k"], arch.mac_rate)
    return max(1, min(mapping.g, array.rows // side[flow.row], array.cols // side[flow.col]))


HOLDS = ((("weight", "input", "output"),), (("weight",), ("input", "output")), (("weight",), ("input",), ("output",)))


@st.composite
def arches(
    draw: Any, bounded: bool | None = None, knobs: bool = False, count: int | None = None, paced: bool = False
) -> Arch:
    """A chip with one to three arrays, and buffers without an end (see `tight`); or with ideal memory.

    `paced` gives units clocks of their own.
    """
    array: dict[str, Any] = {
        "kind": "systolic", "rows": draw(st.integers(1, 6)), "cols": draw(st.integers(1, 6)),
        "dataflow": draw(st.sampled_from(FLOWS)), "count": count or draw(st.sampled_from((1, 1, 2, 3))),
    }  # fmt: skip
    if knobs:
        array |= {
            "sram_read_latency": draw(st.integers(0, 3)), "output_register": draw(st.integers(0, 2)),
            "pe_pipeline": draw(st.integers(1, 3)), "weight_buffers": draw(st.integers(1, 2)),
            "swap": draw(st.sampled_from(("wave", "global"))), "drain": draw(st.sampled_from(("serial", "overlap"))),
            "convention": draw(st.sampled_from(("rtl", "rtl", "scalesim"))), "dvfs": draw(clocks()) if paced else None,
        }  # fmt: skip
    data: dict[str, Any] = {
        "name": "chip", "clock": "1 GHz", "memory": "ideal", "units": {"array": array}, "precision": draw(precisions()),
        "link": {"bandwidth": f"{draw(st.integers(1, 16))} B/cycle", "latency": draw(st.integers(0, 4))},
        "prefetch": draw(st.booleans()),
    }  # fmt: skip
    if draw(st.integers(0, 2)) == 0:
        array["rates"] = draw(rates())
    lanes = {"lanes": draw(st.integers(1, 8)), "latency": draw(st.integers(0, 5))}
    data["units"]["vector"] = {"kind": "vector", **lanes, "dvfs": draw(clocks()) if paced else None}
    if bounded or (bounded is None and draw(st.booleans())):
        data |= {"buffers": draw(buffers()), "memory": draw(memories())}
    return Arch.model_validate(data)


def clocks() -> Any:
    """A clock of a unit's own beside the chip's 1 GHz, for most none."""
    point = st.sampled_from(("300 MHz", "500 MHz", "750 MHz", "1700 MHz", "3 GHz"))
    own = st.builds(lambda clock: {"nominal": "p", "points": {"p": {"clock": clock, "voltage": "1 V"}}}, point)
    return st.one_of(st.none(), st.none(), own)


@st.composite
def rates(draw: Any) -> dict[str, int]:
    """Rates of precision-scalable PEs for all formats that `precisions` draws, and for some pairs."""
    found = {name: draw(st.integers(1, 4)) for name in ("int4", "int8", "int16")}
    return found | ({"int4xint8": draw(st.integers(1, 5))} if draw(st.booleans()) else {})


@st.composite
def precisions(draw: Any) -> dict[str, str]:
    """Number formats, narrow ones that fill no whole byte among them."""
    return {operand: draw(st.sampled_from(("int4", "int8", "int16"))) for operand in ("weight", "input", "output")}


@st.composite
def buffers(draw: Any) -> dict[str, Any]:
    """Buffers of 1 GiB that share the operands in some way."""
    ports = st.sampled_from((None, None, "1 B/cycle", "4 B/cycle", "32 B/cycle"))
    return {
        f"b{index}": {
            "capacity": "1 GiB", "holds": list(held), "buffering": draw(st.sampled_from(("single", "double"))),
            "bandwidth": draw(ports), "ports": draw(st.integers(1, 2)),
        }
        for index, held in enumerate(draw(st.sampled_from(HOLDS)))
    }  # fmt: skip


@st.composite
def memories(draw: Any) -> dict[str, Any]:
    """Off-chip memories from starved to plentiful."""
    return {
        "kind": "simple", "bandwidth": f"{draw(st.sampled_from((1, 3, 8, 64)))} GB/s",
        "latency": f"{draw(st.sampled_from((0, 1, 7, 40)))} ns", "burst": f"{draw(st.sampled_from((1, 4, 32)))} B",
    }  # fmt: skip


def tight(tiling: Tiling, arch: Arch, on_chip: frozenset[str] = frozenset(), parameters: int = 0) -> Arch:
    """Return the chip with every buffer just large enough for the tiling, by its own account of its needs."""
    if not arch.bounded:
        return arch
    wanted = needs(tiling, arch, on_chip, parameters)
    wanted["output"] += wanted.get("parameter", 0)
    sized = {
        name: buffer.model_copy(update={"capacity": max(1, sum(wanted.get(o, 0) for o in buffer.holds))})
        for name, buffer in arch.buffers.items()
    }
    return arch.model_copy(update={"buffers": sized})


@st.composite
def cases(draw: Any, bounded: bool | None = None, knobs: bool = False, count: int | None = None) -> tuple[Arch, Plan]:
    """A chip, tight or roomy, and a plan that it can execute."""
    kernel, arch = draw(contractions()), draw(arches(bounded, knobs, count))
    tiling = Tiling(kernel, draw(mappings(kernel, arch)))
    on_chip = frozenset(draw(st.sets(st.sampled_from(OPERANDS), max_size=2))) if draw(st.booleans()) else frozenset()
    arch = tight(tiling, arch, on_chip) if draw(st.booleans()) else arch
    check(tiling, arch, on_chip)
    return arch, plan_contraction(tiling, arch, "array", Surroundings(on_chip))


def operands(kernel: Contraction, seed: int = 0) -> tuple[Any, Any]:
    """Return small random integers for both operands of the contraction."""
    right = (kernel.groups, kernel.k, kernel.n)
    return random_integers(kernel.input_shape, seed), random_integers(right, seed + 1)


def product(kernel: Contraction) -> tuple[Any, Any, np.ndarray[Any, Any]]:
    """Return both operands and their product by plain numpy."""
    inputs, right = operands(kernel)
    return inputs, right, kernel.compute(inputs, right)


@st.composite
def long_contractions(draw: Any) -> Contraction:
    """A contraction whose tile loops are long enough to settle."""
    batch, filters, depth = (draw(st.integers(1, 24)) for _ in range(3))
    groups = draw(st.sampled_from((1, 1, 2, 12)))
    spatial = tuple(draw(axes(14)) for _ in range(draw(st.integers(0, 2))))
    return Contraction("c", filters, depth, batch if not spatial else draw(st.integers(1, 9)), groups, spatial,
                       biased=draw(st.booleans()))  # fmt: skip


@st.composite
def small_tiles(draw: Any, kernel: Contraction, arch: Arch, most: int = 120) -> Mapping:
    """A legal mapping with small tiles along some dimensions, and no more than `most` of them in all."""
    mapping = replace(draw(mappings(kernel, arch)), packed=1, g=1, m=kernel.m, n=kernel.n, k=kernel.k)
    rows = max(1, kernel.positions // draw(st.sampled_from((1, 3, 7)))) if kernel.axes else draw(st.integers(1, 3))
    shortest = {"m": rows, "n": draw(st.integers(1, 2)), "k": kernel.taps * draw(st.integers(1, 2))}
    for dim in draw(st.permutations(("m", "n", "k"))):
        tiling = Tiling(kernel, replace(mapping, **{dim: shortest[dim]}))
        if kernel.groups * tiling.count("m") * tiling.count("n") * tiling.count("k") <= most:
            mapping = tiling.mapping
    return mapping


@st.composite
def runs_of_stages(draw: Any, bounded: bool | None = None, most: int = 3) -> tuple[Arch, list[Stage]]:
    """A chip and up to `most` stages that read each other's outputs, its buffers roomy or just large enough."""
    arch = draw(arches(bounded, knobs=True, paced=True))
    works = [draw(vector_works() if draw(st.integers(0, 3)) == 0 else _tilings(arch)) for _ in range(most)]
    works = works[: draw(st.integers(1, most))]
    tilings = [work for work in works if isinstance(work, Tiling)]
    if tilings and draw(st.booleans()):
        arch = _roomy_for(arch, tilings)
    stages = list[Stage]()
    for index, work in enumerate(works):
        reads = tuple(
            Read(operand, f"t{draw(st.integers(0, index - 1))}", draw(st.booleans()))
            for operand in sorted(draw(st.sets(st.sampled_from(("input", "weight")))))
            if index
        )
        on_chip = frozenset({read.operand for read in reads if read.on_chip} | draw(st.sets(st.just("output"))))
        plan = _plan(draw, work, arch, on_chip)
        stages.append(Stage(plan, draw(st.integers(max(0, index - 1), index)), reads, f"t{index}"))
    return arch, stages


@st.composite
def long_loops(draw: Any) -> tuple[Arch, list[Stage]]:
    """A chip with a buffer little larger than the tiles need, and a layer of groups with hundreds of unequal tiles.

    Places on chip then drift through the buffer, so that a later tile may find less room than those before.
    """
    arch = draw(arches(bounded=True, knobs=True, paced=True))
    buffer = next(iter(arch.buffers.values())).model_copy(update={"holds": list(OPERANDS)})
    arch = arch.model_copy(update={"buffers": {"b0": buffer}})
    filters, depth, batch = (draw(st.integers(5, 60)) for _ in range(3))
    spatial = (Axis(23, draw(st.integers(9, 21)), draw(st.integers(1, 3)), 1, pad=1),) if draw(st.booleans()) else ()
    kernel = Contraction("c", filters, depth, 1 if spatial else batch, draw(st.sampled_from((2, 5, 7))), spatial)
    tiling = Tiling(kernel, draw(small_tiles(kernel, arch, 1500)))
    parameters, percent = kernel.groups * kernel.n, draw(st.integers(100, 250))
    arch = tight(tiling, arch, parameters=parameters)
    sized = {n: b.model_copy(update={"capacity": b.capacity * percent // 100 + 8}) for n, b in arch.buffers.items()}
    elements = kernel.output_elements
    epilogue = (VectorWork("e", (elements,), elements, (("add", elements * 2),)),) if draw(st.booleans()) else ()
    around = Surroundings(frozenset(), epilogue, parameters)
    plan = plan_contraction(tiling, arch.model_copy(update={"buffers": sized}), "array", around)
    return arch.model_copy(update={"buffers": sized}), [Stage(plan, 0)]


@st.composite
def drifting(draw: Any) -> tuple[Arch, list[Stage]]:
    """Groups of small tiles, held in all orders, and parameters, in one buffer of some hundred bytes: places of several
    sizes follow each other through it, and the times of a loop settle before they do."""
    precision = {operand: draw(st.sampled_from(("int4", "int8"))) for operand in OPERANDS}
    sides = {"rows": draw(st.integers(1, 3)), "cols": draw(st.integers(1, 2))}
    knobs = {"dataflow": draw(st.sampled_from(("is", "ws", "os"))), "weight_buffers": 2, "drain": "overlap"}
    memory = {"kind": "simple", "bandwidth": f"{draw(st.sampled_from((1, 2, 3, 5, 8)))} GB/s",
              "latency": f"{draw(st.sampled_from((0, 1, 5, 20)))} ns"}  # fmt: skip
    arch = Arch.model_validate({
        "name": "chip", "clock": "1 GHz", "precision": precision, "memory": memory,
        "units": {"array": {"kind": "systolic", **sides, **knobs}},
        "buffers": {"sram": {"capacity": f"{draw(st.integers(300, 900))} B", "holds": list(OPERANDS)}},
    })  # fmt: skip
    filters, depth, batch = draw(st.integers(3, 12)), draw(st.integers(9, 40)), draw(st.integers(9, 60))
    kernel = Contraction("c", filters, depth, batch, draw(st.sampled_from((2, 3, 5, 7))))
    mapping = Mapping(
        draw(st.integers(1, 4)), draw(st.integers(1, 2)), draw(st.integers(2, 6)), order=draw(st.sampled_from(ORDERS)),
        hold=tuple((operand, draw(st.integers(0, 3))) for operand in OPERANDS),
    )  # fmt: skip
    try:
        check(Tiling(kernel, mapping), arch, frozenset(), kernel.groups * kernel.n)
    except (MappingError, CapacityError):
        reject()
    around = Surroundings(frozenset(), (), kernel.groups * kernel.n)
    return arch, [Stage(plan_contraction(Tiling(kernel, mapping), arch, "array", around), 0)]


PARAMETERS = 5
"""Parameters of some layers; as partial sums they take room beside the sums."""


def _plan(draw: Any, work: Tiling | VectorWork, arch: Arch, on_chip: frozenset[str]) -> Plan:
    if isinstance(work, VectorWork):
        return plan_vector(work, arch, "vector", on_chip)
    elements = work.kernel.output_elements
    epilogue = (VectorWork("e", (1,), elements, (("add", elements * 2),)),) if draw(st.booleans()) else ()
    around = Surroundings(on_chip, epilogue, draw(st.sampled_from((0, PARAMETERS))))
    return plan_contraction(work, arch, "array", around)


@st.composite
def _tilings(draw: Any, arch: Arch) -> Tiling:
    kernel = draw(long_contractions())
    return Tiling(kernel, draw(small_tiles(kernel, arch)))


def _roomy_for(arch: Arch, tilings: list[Tiling]) -> Arch:
    """Return the chip with buffers as small as the largest of the tilings allows."""
    each = [tight(tiling, arch) for tiling in tilings]
    largest = {name: max(256, *(chip.buffers[name].capacity for chip in each)) for name in arch.buffers}
    sized = {
        name: buffer.model_copy(update={"capacity": largest[name] + PARAMETERS * 4})
        for name, buffer in arch.buffers.items()
    }
    return arch.model_copy(update={"buffers": sized})


@st.composite
def vector_works(draw: Any) -> VectorWork:
    """Lane work on up to some thousands of elements."""
    outputs = draw(st.integers(1, 1000))
    inputs = (outputs,) * draw(st.integers(1, 2))
    operations = draw(st.sampled_from(((), (("add", outputs),), (("mul", 3 * outputs), ("max", 7)))))
    return VectorWork("v", inputs, outputs, operations, draw(st.sampled_from((0, 9))))


def walk(nodes: Sequence[Node], at: dict[str, int] | None = None) -> Iterator[tuple[Step, dict[str, int]]]:
    """Yield every step that runs, in program order, with the position of the loops around it."""
    at = at or dict.fromkeys("gmnk", 0)
    for node in nodes:
        if isinstance(node, Loop):
            for index in range(node.count):
                yield from walk(node.body, at | {node.dim: at[node.dim] + node.start + index * node.size})
        else:
            yield node, at


def blocks_of(plan: Plan, arch: Arch) -> list[FoldBlock]:
    """Return every fold of the plan in program order."""
    computes = ((step, at) for step, at in walk(plan.body) if isinstance(step, Compute))
    return [block for step, at in computes for block in fold_blocks(plan, arch, step.extent, at)]


def register_fold(arch: Arch, left: Any, right: Any) -> Fold:
    """Return left (m x k) · right (k x n) as a fold of the register-level reference."""
    assert arch.array is not None
    return Fold(right.T, left.T) if arch.array.dataflow == "is" else Fold(left, right)
