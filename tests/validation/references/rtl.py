"""Register-transfer simulations of arrays written in Verilog by hand."""

from collections.abc import Iterator

from sim.simulate import run
from tests.validation.reference import Case, Reference, rows

KNOBS = {
    ("ws", "0"): {"weight_buffers": 1},
    ("ws", "1"): {"weight_buffers": 2, "swap": "wave"},
    ("ws", "2"): {"weight_buffers": 2, "swap": "global"},
    ("os", "0"): {"drain": "serial"},
    ("os", "1"): {"drain": "overlap"},
}


def cases() -> Iterator[Case]:
    """Yield the cycles of `run array` and of the simulations."""
    for row in rows("figures", "rtl_systolic_gemm.csv"):
        knobs = {"rows": int(row["R"]), "cols": int(row["C"]), "dataflow": row["array"]}
        workload = f"gemm:{row['M']}x{row['N']}x{row['K']}"
        result = run("array", workload, knobs | KNOBS[row["array"], row["mode"]])
        name = f"{workload} on {row['R']}x{row['C']} {row['array']}, mode {row['mode']}"
        yield Case(name, result.cycles, int(row["total_cycles"]))


REFERENCE = Reference(
    order=1,
    title="Verilog arrays",
    measures="cycles of matrix products, weight and output stationary, all modes of buffers, swaps and drains",
    origin="own Verilog under Icarus Verilog, first accepted input to last valid output, inclusive",
    cases=cases,
    peers="a 16x16x16 product on a 16x16 output stationary array takes 46 cycles in mNPUsim, 51 in STONNE, 62 by the "
    "older formula of SCALE-Sim, each by its own way of counting",
)
