"""The bench inside a Verilog simulator: cocotb loads this module there, and drives the ports as `bench` does.

The clock is driven from here, a half period a step of simulated time: inputs settle, are sampled, the edge rises.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Timer

from sim.rtl.exchange import ANSWER, FOLDER, TASK

PORTS = (
    "clk", "rst", "stream_valid", "stream_last", "stream_rows", "stream_ready", "out_valid", "out_data", "out_last",
)  # fmt: skip
LOAD_PORTS = ("load_valid", "load_ready", "load_data")


class Bench:
    """The words still to be offered, and what has been seen."""

    def __init__(self, dut: Any, task: dict[str, Any]) -> None:
        self.dut, self.task = dut, task
        self.load = self.step = self.ended = self.moved = 0
        self.first_accepted: int | None = None
        self.outputs: list[tuple[int, int, int, int]] = []

    def missing(self) -> list[str]:
        """Return the ports that the module does not have."""
        wanted = [*PORTS, *(LOAD_PORTS if self.task["has_loads"] else ("stream_cols",))]
        return [port for port in wanted if not hasattr(self.dut, port)]

    def offer(self) -> None:
        """Put the next words on the input ports."""
        dut, steps, loads = self.dut, self.task["steps"], self.task["loads"]
        more = self.step < len(steps)
        last, rows, cols = steps[self.step] if more else (0, 0, 0)
        dut.stream_valid.value, dut.stream_last.value, dut.stream_rows.value = int(more), last, rows
        if self.task["has_loads"]:
            more = self.load < len(loads)
            dut.load_valid.value, dut.load_data.value = int(more), loads[self.load] if more else 0
        else:
            dut.stream_cols.value = cols

    def sample(self, edge: int) -> None:
        """Note what is accepted and what leaves at the rising edge `edge`, just before it."""
        dut, accepted = self.dut, False
        if self.task["has_loads"] and self.load < len(self.task["loads"]) and one(dut.load_ready):
            self.load, accepted = self.load + 1, True
        if self.step < len(self.task["steps"]) and one(dut.stream_ready):
            self.step, accepted = self.step + 1, True
        if accepted and self.first_accepted is None:
            self.first_accepted = edge
        valid = known(dut.out_valid)
        if valid:
            last = one(dut.out_last)
            self.outputs.append((edge, valid, known(dut.out_data), last))
            self.ended += last
        if accepted or valid:
            self.moved = edge


def known(port: Any) -> int:
    """Return the number on a port; bits that are neither 0 nor 1 count as 0."""
    return int("".join(bit if bit in "01" else "0" for bit in str(port.value)), 2)


def one(port: Any) -> int:
    """Return 1 where the port is 1."""
    return known(port) & 1


async def tick(dut: Any) -> None:
    """Let one rising edge happen, and the falling one behind it."""
    for level in (1, 0):
        dut.clk.value = level
        await Timer(1, "step")


async def drive(dut: Any, bench: Bench) -> str | None:
    """Reset the module, offer all words, sample every edge; return what went wrong."""
    dut.clk.value, dut.rst.value = 0, 1
    bench.offer()
    await tick(dut)
    await tick(dut)
    dut.rst.value = 0
    edge = 0
    while bench.ended < bench.task["folds"]:
        if edge - bench.moved > bench.task["patience"]:
            return f"is stuck: no transfer between cycle {bench.moved} and {edge}"
        bench.offer()
        await Timer(1, "step")
        bench.sample(edge)
        await tick(dut)
        edge += 1
    return None


async def run(dut: Any) -> None:
    """Carry out the task in the folder and leave the answer beside it."""
    folder = Path(os.environ[FOLDER])
    bench = Bench(dut, json.loads((folder / TASK).read_text(encoding="utf-8")))
    if missing := bench.missing():
        problem: str | None = f"has no port {', '.join(missing)}; the ports are those that --verilog writes"
    else:
        problem = await drive(dut, bench)
    answer = {"problem": problem, "first_accepted": bench.first_accepted, "outputs": bench.outputs}
    (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")


test = cocotb.test()(run)
"""What cocotb finds and runs."""
