"""Attention graphs on bounded FIFOs, on DAM-RS."""

from collections.abc import Iterator

from sim.streaming.simulate import simulate
from tests.validation.reference import Case, Reference, rows

NAMES = {"memfree": "memory_free"}


def cases() -> Iterator[Case]:
    """Yield the cycles of each graph, None where it deadlocks."""
    for row in rows("figures", "streaming_sdpa_dam.csv"):
        settings = {
            "n": int(row["N"]), "short_depth": int(row["short_depth"]), "long_depth": int(row["long_depth"]),
            "latency": int(row["node_latency"]), "interval": int(row["node_ii"]),
        }  # fmt: skip
        graph = NAMES.get(row["graph"], row["graph"])
        result = simulate(f"attention/{graph}", settings)
        wanted = None if row["dam_cycles"] == "DEADLOCK" else int(row["dam_cycles"])
        yield Case(f"{graph} {settings}", None if result.deadlock else result.cycles, wanted)


REFERENCE = Reference(
    order=6,
    title="DAM",
    measures="cycles of streaming attention graphs, or that they deadlock",
    origin="DAM-RS (stanford-ppl)",
    cases=cases,
)
