"""Matrix-vector products on HBM-PIM, and the same matrix streamed to the host, in its vendor's simulator."""

from collections.abc import Iterator

from sim.simulate import run
from tests.validation.reference import Case, Reference, rows


def cases() -> Iterator[Case]:
    """Yield the cycles in memory, and those of the baseline that streams the matrix."""
    for row in rows("pim", "hbm_pim.csv"):
        found = run("hbm_pim_like", f"gemv:{row['outputs']}x{row['inputs']}")
        cycles = found.cycles if row["where"] == "banks" else found.pim["baseline"]["cycles"]
        yield Case(f"{row['outputs']} x {row['inputs']}, {row['where']}", cycles, int(row["cycles"]))


REFERENCE = Reference(
    order=6,
    title="HBM-PIM",
    measures="cycles of matrix-vector products in memory (outputs padded to 4,096), and streamed to the host",
    origin="SAITPublic/PIMSimulator, HBM2 at 1 ns with 64 channels",
    cases=cases,
    why="the registers lie in the row space of a bank there, so that writing inputs makes the odd banks open their row "
    "anew, and barriers stand between groups of products; neither is modelled. Gaps that its device file may state "
    "otherwise (tRTP, tWR, tWTR) are assumed",
    listed=True,
)
