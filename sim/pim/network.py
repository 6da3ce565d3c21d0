"""A network of matrix-vector products on a PIM device, each a program of its own, as a result like any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from sim.errors import ConfigError, Problem, unknown
from sim.graph import Graph, Node
from sim.kernel import Contraction
from sim.pim.channel import CAUSES as SPENT
from sim.pim.channel import Channel
from sim.pim.device import Device, load
from sim.pim.gemv import Layout, program
from sim.result import Layer, Result, Traffic
from sim.timeline import CAUSES
from sim.version import __version__
from sim.workload import open_workload

UNIT, BUFFER, REGISTERS = "banks", "global_buffer", "registers"
"""The unit and the memories, as results name them."""

WORDS = {
    "multiply": "compute", "row_switch": "wait_weight", "write_buffer": "wait_input", "write_registers": "fill",
    "read_registers": "drain", "mode_switch": "wait_port", "refresh": "wait_weight", "end": "drain",
}  # fmt: skip
"""What the clocks of a channel go to, in the words of the accounting."""


def run_network(
    name: str, network: str | Graph, overrides: Mapping[str, Any], layers: str | None = None, strict: bool = False
) -> Result:
    """Return what the device called `name` takes for `network`, whose layers all multiply a matrix by one vector.

    Each layer is a program that starts when the one before has ended. `overrides` go to the network where they begin
    with `workload.`, `params.` or `layers.`, to the device otherwise. Raises ConfigError or CapacityError.
    """
    ours, theirs = _split(overrides)
    device = load(name, ours)
    graph = network if isinstance(network, Graph) else open_workload(network, theirs)
    nodes = _pick(graph.expanded.nodes, layers)
    made, start = [], 0
    for node in nodes:
        made.append(_Run(device, node, _layout(device, node), start))
        start += made[-1].channel.end
    missing = _missing(made, graph)
    timed = [each for each in missing if each.get("affects") != "energy"]
    if strict and timed:
        raise ConfigError(*(Problem(f"not modelled: {m['what']}: {', '.join(m['where'])}") for m in timed))
    return _result(device, graph, made, missing, overrides)


def _split(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    ours, theirs = dict[str, Any](), dict[str, Any]()
    for key, value in overrides.items():
        if key.startswith(("workload.", "params.", "layers.")):
            theirs[key.removeprefix("workload.")] = value
        else:
            ours[key.removeprefix("arch.")] = value
    return ours, theirs


def _pick(nodes: tuple[Node, ...], pattern: str | None) -> list[Node]:
    found = [node for node in nodes if pattern is None or fnmatchcase(node.name, pattern)]
    if not found:
        raise ConfigError(Problem(unknown("layer", pattern, [node.name for node in nodes]), "--layers"))
    return found


def _layout(device: Device, node: Node) -> Layout:
    """Return where the matrix of a layer lies; ConfigError where the layer is no product of a matrix and a vector."""
    kernel = node.kernels[0] if len(node.kernels) == 1 else None
    if not isinstance(kernel, Contraction) or kernel.right_is != "weight" or kernel.groups * kernel.m != 1:
        told = f"'{node.name}' ({node.op_name}) is no product of a matrix of weights and one vector"
        way_out = "run layers such as gemv:OUTxIN or linear ones of batch 1, or pick them with --layers"
        raise ConfigError(Problem(f"{told}, all that {device.name} computes; {way_out}"))
    layout = Layout(device, kernel.n, kernel.k)
    layout.check(node.name)
    return layout


class _Run:
    """One layer: its program, carried out."""

    def __init__(self, device: Device, node: Node, layout: Layout, start: int) -> None:
        self.device, self.node, self.layout, self.start = device, node, layout, start
        self.channel = Channel(device)
        self.channel.run(program(layout))
        self.counts = {n: count * device.spec.channels for n, count in self.channel.counts.items()}
        self.causes = Counter[str]()
        for cause, clocks in self.channel.clocks.items():
            self.causes[WORDS[cause]] += clocks

    def count(self, does: Any) -> int:
        return self.counts.get(self.device.command(does), 0)

    @property
    def slots(self) -> int:
        return self.count("multiply") * self.device.banks * self.device.lanes

    def traffic(self) -> Traffic:
        """Return bytes read in the banks, written to the global buffers, and through the registers."""
        burst, element, banks = self.device.spec.burst, self.device.element, self.device.banks
        multiplies = self.count("multiply")
        return {
            UNIT: {"read": {"weight": multiplies * banks * burst}, "write": {}},
            BUFFER: {"read": {"input": multiplies * burst}, "write": {"input": self.count("write_buffer") * burst}},
            REGISTERS: {"read": {"output": self.count("read_registers") * banks * element},
                        "write": {"output": self.count("write_registers") * banks * element}},
        }  # fmt: skip

    def layer(self) -> Layer:
        cycles, macs = self.channel.end, self.node.macs
        layout, spec = self.layout, self.device.spec
        return Layer(
            name=self.node.name, op=self.node.op_name, unit=UNIT, start=self.start, cycles=cycles, macs=macs,
            utilization=macs / (_peak(self.device) * cycles), mapping_efficiency=macs / self.slots,
            compute_cycles=self.causes["compute"], bound=max(CAUSES, key=lambda cause: self.causes[cause]),
            causes={cause: self.causes[cause] for cause in CAUSES if self.causes[cause]},
            traffic_bytes=self.traffic(), energy_pj=0.0,
            mapping={"order": spec.order, "groups": layout.groups, "parts": len(layout.parts), "rows": layout.rows,
                     "padded_outputs": layout.groups * layout.width - layout.outputs},
        )  # fmt: skip


def _peak(device: Device) -> float:
    """Return the most MACs a clock: all lanes of all banks at the gap between two multiply commands."""
    return device.lanes * device.banks * device.spec.channels / device.interval


def _missing(runs: list[_Run], graph: Graph) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [dict(each) for each in graph.not_modelled]
    split = [run.node.name for run in runs if len(run.layout.parts) > 1 and run.device.spec.order == "kouter"]
    biased = [run.node.name for run in runs if any(isinstance(k, Contraction) and k.biased for k in run.node.kernels)]
    if split:
        found.append({"what": "adding partial sums outside the banks", "where": split})
    if biased:
        found.append({"what": "adding the bias", "where": biased})
    return [*found, {"what": "energy of a PIM device", "where": [UNIT], "affects": "energy"}]


def _result(
    device: Device, graph: Graph, runs: list[_Run], missing: list[dict[str, Any]], overrides: Mapping[str, Any]
) -> Result:
    layers = tuple(run.layer() for run in runs)
    cycles, macs = sum(layer.cycles for layer in layers), sum(layer.macs for layer in layers)
    causes = sum((run.causes for run in runs), Counter[str]())
    return Result(
        arch=device.name, workload=graph.name, clock_hz=round(device.clock_hertz), cycles=cycles,
        seconds=cycles / device.clock_hertz, macs=macs, utilization=macs / (_peak(device) * cycles),
        mapping_efficiency=macs / sum(run.slots for run in runs),
        units={UNIT: {"kind": "pim", "cycles": {cause: causes[cause] for cause in CAUSES}}},
        traffic_bytes=_sum(layers), energy_pj={"total": 0.0, "by_component": {}, "by_action": {}},
        buffers={UNIT: {"capacity_bytes": device.capacity, "peak_bytes": _stored(device, runs)},
                 BUFFER: {"capacity_bytes": device.spec.buffer, "peak_bytes": _widest(device, runs)}},
        dram={UNIT: _rows(device, runs, cycles)}, layers=layers, not_modelled=tuple(missing),
        provenance={"version": __version__, "arch_sha256": device.digest, "workload_sha256": graph.digest,
                    "overrides": dict(overrides)},
        convention="pim",
    )  # fmt: skip


def _stored(device: Device, runs: list[_Run]) -> int:
    """Return the bytes of the rows that the matrices take, each on its own; CapacityError is for single layers."""
    return max(run.layout.rows for run in runs) * device.row_bytes * device.banks * device.spec.channels


def _widest(device: Device, runs: list[_Run]) -> int:
    return max(run.layout.bursts(part) for run in runs for part in range(len(run.layout.parts))) * device.spec.burst


def _sum(layers: tuple[Layer, ...]) -> Traffic:
    total: Traffic = {}
    for layer in layers:
        for memory, directions in layer.traffic_bytes.items():
            for direction, operands in directions.items():
                held = total.setdefault(memory, {}).setdefault(direction, {})
                for operand, amount in operands.items():
                    held[operand] = held.get(operand, 0) + amount
    return total


def _rows(device: Device, runs: list[_Run], cycles: int) -> dict[str, Any]:
    """Return rows opened, hit and closed, refreshes, every command, and what the clocks of a channel went to."""
    commands, clocks = Counter[str](), Counter[str]()
    for run in runs:
        commands.update(run.counts)
        clocks.update(run.channel.clocks)
    multiplies, activates, closes = (commands[device.command(d)] for d in ("multiply", "activate", "precharge"))
    return {
        "row_hits": multiplies - activates, "row_misses": activates - min(activates, closes),
        "row_conflicts": min(activates, closes), "activates": activates,
        "refreshes": commands[device.command("refresh")],
        "bandwidth_utilization": multiplies * device.interval / (device.spec.channels * cycles),
        "commands": {name: commands[name] for name in device.spec.commands},
        "clocks": {cause: clocks[cause] for cause in SPENT},
    }  # fmt: skip
