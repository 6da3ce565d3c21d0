"""The scout, which carries times along: never later than the engine, and as it is where no port is shared."""

from __future__ import annotations

from itertools import islice
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from sim.arch import Arch, MappingChoice
from sim.engine import Engine
from sim.frontend import Stage
from sim.hardware.unit import TooSlow
from sim.kernel import Axis, Contraction, VectorWork
from sim.mapper import Prices, _tables
from sim.mapper.scout import Scout
from sim.mapper.table import ranked
from sim.mapper.trials import alone
from sim.mapping import Mapping, Tiling
from sim.planner import Surroundings, plan_contraction
from tests.laws import arches, law


@st.composite
def cases(draw: Any) -> tuple[Arch, Contraction, Surroundings]:
    """A chip of bounded memory, and a layer with long loops: rows, filters, channels and groups in tens."""
    arch = draw(arches(bounded=True, knobs=True, paced=True))
    capacity = draw(st.sampled_from((200, 500, 2000, 10**6)))
    buffers = {name: b.model_copy(update={"capacity": capacity}) for name, b in arch.buffers.items()}
    spatial = (Axis(23, draw(st.integers(9, 21)), draw(st.integers(1, 3)), 1, pad=1),) if draw(st.booleans()) else ()
    filters, depth, batch = draw(st.integers(1, 60)), draw(st.integers(1, 60)), draw(st.integers(1, 60))
    kernel = Contraction("c", filters, depth, 1 if spatial else batch, draw(st.sampled_from((1, 1, 7, 30))), spatial)
    outputs = kernel.output_elements
    epilogue = (VectorWork("e", (outputs,), outputs, (("add", outputs * 2),)),) if draw(st.booleans()) else ()
    on_chip = draw(st.sampled_from(((), (), ("input",), ("output",))))
    around = Surroundings(frozenset(on_chip), epilogue, draw(st.sampled_from((0, kernel.groups * kernel.n))))
    return arch.model_copy(update={"buffers": buffers}), kernel, around


@law(cases(), st.data(), quick=20, full=1000)
def test_a_scout_is_never_late_and_exact_where_no_port_is_shared(case: Any, data: Any) -> None:
    arch, kernel, around = case
    found = [mapping for _, _, mapping in ranked(_tables(kernel, arch, around, MappingChoice(effort=6), Prices()))]
    assume(found)
    scout = Scout(arch)
    for mapping in data.draw(st.lists(st.sampled_from(found), min_size=1, max_size=6)):
        stages = alone(plan_contraction(Tiling(kernel, mapping), arch, "array", around), around)
        early, cycles = Scout(arch).run(stages[0]), Engine(arch).run(stages).cycles
        assert scout.run(stages[0], limit=early) == scout.run(stages[0]) == early  # whatever it has run before
        assert early == cycles if scout.exact else early <= cycles, mapping
        assert beyond(scout, stages[0], early - 1)


def beyond(scout: Scout, stage: Stage, limit: int) -> bool:
    """Tell whether the plan takes longer than the limit, given up or not."""
    try:
        return scout.run(stage, limit) > limit
    except TooSlow:
        return True


def test_a_scout_knows_nothing_of_plans_that_it_has_run() -> None:
    """Plans come and go: a step of the next may lie in memory where one of the last did."""
    arch = Arch.model_validate({
        "name": "chip", "clock": "1 GHz", "units": {"array": {"kind": "systolic", "rows": 8, "cols": 8}},
        "buffers": {"sram": {"capacity": "32 KiB", "holds": ["weight", "input", "output"]}},
        "memory": {"kind": "simple", "bandwidth": "64 GB/s", "latency": "100 ns"},
    })  # fmt: skip
    kernel = Contraction("c", 58, 86, 37)
    candidates = ranked(_tables(kernel, arch, Surroundings(), MappingChoice(), Prices()))
    found = [mapping for _, _, mapping in islice(candidates, 300)]

    def run(scout: Scout, mapping: Mapping, limit: int | None = None) -> int:
        stages = alone(plan_contraction(Tiling(kernel, mapping), arch, "array"), Surroundings())
        return scout.run(stages[0], limit)

    alike, scout = [run(Scout(arch), mapping) for mapping in found], Scout(arch)
    assert [run(scout, mapping, limit) for mapping, limit in zip(found, alike, strict=True)] == alike
