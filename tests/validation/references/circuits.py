"""The circuits of `tiletick rtl` at random sizes and knobs."""

from collections.abc import Iterator
from random import Random

from sim.rtl.check import check
from sim.simulate import run
from tests.validation.reference import Case, Reference

POINTS, SEED = 200, 9
MODES = (
    {"dataflow": "ws", "weight_buffers": 1},
    {"dataflow": "ws", "weight_buffers": 2, "swap": "wave"},
    {"dataflow": "ws", "weight_buffers": 2, "swap": "global"},
    {"dataflow": "is", "weight_buffers": 2, "swap": "wave"},
    {"dataflow": "os", "drain": "serial"},
    {"dataflow": "os", "drain": "overlap"},
    {"dataflow": "os", "drain": "stream"},
)


def cases() -> Iterator[Case]:
    """Yield the cycles of `run array` and of the circuit, at every fourth point with a single streamed row."""
    draw = Random(SEED)
    for point in range(POINTS):
        m = 1 if point % 4 == 0 else draw.randint(2, 40)
        workload = f"gemm:{m}x{draw.randint(1, 40)}x{draw.randint(1, 40)}"
        knobs = {
            "rows": draw.randint(2, 16), "cols": draw.randint(2, 16), **draw.choice(MODES),
            "sram_read_latency": draw.randint(0, 3), "output_register": draw.randint(0, 2),
            "pe_pipeline": draw.randint(1, 4),
        }  # fmt: skip
        found = check("array", workload, knobs)
        assert not found.mismatches, f"wrong product: {workload} {knobs}"
        yield Case(f"{workload} {knobs}", run("array", workload, knobs).cycles, found.rtl_cycles)


REFERENCE = Reference(
    order=2,
    title="Generated circuits",
    measures="cycles of matrix products on arrays of 2x2 to 16x16 with random knobs, every product checked",
    origin="PyRTL circuits of `tiletick rtl`, simulated register by register; share nothing with the predictions",
    cases=cases,
)
