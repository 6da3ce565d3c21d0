"""Request streams on the DRAM devices of Ramulator 2.1."""

from collections.abc import Iterator

from sim import library
from tests.dram_cases import CASES, DEVICES, run
from tests.validation.reference import Case, Reference


def cases() -> Iterator[Case]:
    """Yield the clock of the last data of every stream whose device is there."""
    there = library.names("dram")
    for name, row in CASES.items():
        if DEVICES.get(row["timing"]) in there:
            title = f"{name}: {row['pattern']} on {row['timing']}, {row['mapping_msb_to_lsb']}"
            yield Case(title, run(row)[0], int(row["cycles_to_last_data"]))


REFERENCE = Reference(
    order=4,
    title="Ramulator 2.1",
    measures="clocks to the last data of sequential, strided, random and mixed request streams",
    origin="Ramulator 2.1 (CMU-SAFARI/ramulator2, June 2026): FR-FCFS, open page, refresh as the case says",
    cases=cases,
    why="where a standard has commands that are not modelled to the clock, see the cases below",
    peers="Ramulator 2.1 and DRAMsim3 with the same timing differ by up to 0.7 % on interleaved, conflicting and "
    "random streams, 5 % on row runs, 20 % on alternating reads and writes; ONNXim's fixed-latency memory differs "
    "from Ramulator 2 by 0 to 2.5 %",
)
