"""The controllers equal Ramulator 2.1: in cycles, commands and row outcomes, and command by command."""

import pytest

from tests.dram_cases import CASES, COUNTS, rows, run

TRACED = sorted({row["case"] for row in rows("command_trace.csv")})


@pytest.mark.parametrize("case", CASES)
def test_streams_equal_the_reference(case: str) -> None:
    row = CASES[case]
    cycles, controller = run(row)
    assert cycles == int(row["cycles_to_last_data"])
    counters = controller.counters
    assert {name: getattr(counters, name) for name in COUNTS.values()} == {
        name: int(row[column]) for column, name in COUNTS.items()
    }


@pytest.mark.parametrize("case", TRACED)
def test_the_first_commands_equal_the_reference(case: str) -> None:
    expected = [row for row in rows("command_trace.csv") if row["case"] == case]
    row = CASES[case] | {"n_req": str(min(500, int(CASES[case]["n_req"])))}  # later requests change nothing before
    _, controller = run(row, log=True)
    names, tree = controller.parts[0].timing.names, controller.parts[0].tree
    for row, (clock, command, node, at, column) in zip(expected, controller.logs[0], strict=False):
        where = tree.numbers(tree.depth["Bank"], node)
        found = [clock, names[command], where["Rank"], where["BankGroup"], where["Bank"], at, column]
        wanted = [row[key] for key in ("clock", "command", "rank_or_pc", "bankgroup", "bank", "row", "column")]
        assert list(map(str, found)) == wanted
    assert len(controller.logs[0]) >= len(expected)
