"""The meaning of DRAM constraints, spelled out over the whole history of commands: slow, and with no tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.dram import Controller, Device
from sim.dram.hierarchy import Hierarchy
from sim.dram.maintenance import Logged
from sim.dram.schema import Constraint


def tree_of(device: Device) -> Hierarchy:
    """Return the tree of a channel of the device."""
    return Hierarchy(device.spec.levels, [1, *(device.counts[level] for level in device.spec.levels[1:])])


@dataclass
class Oracle:
    """Every command issued so far, and when the next may come."""

    device: Device
    issued: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tree = tree_of(self.device)

    def issue(self, name: str, node: int, clock: int) -> None:
        """Remember a command."""
        self.issued.append((name, node, clock))

    def earliest(self, name: str, node: int) -> int:
        """Return the first clock at which the command may come."""
        gaps = [self._gap(each, name, node) for each in self.device.spec.constraints.values()]
        return max([0, *gaps, *(clock + each for p, _, clock in self.issued if (each := self._on_bus(p, name)))])

    def _on_bus(self, first: str, second: str) -> int:
        """Return the clocks for which a command of several clocks keeps another off its bus."""
        commands = self.device.spec.commands
        shared = commands[first].cycles > 1 and commands[first].bus == commands[second].bus
        return commands[first].cycles if shared else 0

    def _gap(self, gap: Constraint, name: str, node: int) -> int:
        if name not in gap.following:
            return 0
        latest, commands = 0, self.device.spec.commands
        depth = self.tree.depth[gap.level]
        for mine in self._nodes(name, node, depth):
            for first in gap.preceding:
                clocks = [c for p, where, c in self.issued if p == first and self._meets(p, where, mine, depth, gap)]
                if len(clocks) >= gap.window:
                    longer = commands[first].cycles - commands[name].cycles
                    adjusted = self.device.spec.clocks(gap.latency) + longer
                    latest = max(latest, clocks[-gap.window] + adjusted if adjusted > 0 else 0)
        return latest

    def _nodes(self, name: str, node: int, depth: int) -> list[int]:
        """Return the nodes at `depth` that a command to `node` of its scope touches."""
        scope = self.tree.depth[self.device.spec.commands[name].scope]
        return [self.tree.above(scope, node, depth)] if depth <= scope else list(self.tree.inside(scope, node, depth))

    def _meets(self, first: str, where: int, mine: int, depth: int, gap: Constraint) -> bool:
        touched = self._nodes(first, where, depth)
        if not gap.sibling:
            return mine in touched
        scope = self.tree.depth[self.device.spec.commands[first].scope]
        return depth <= scope and mine in self.tree.beside(depth, touched[0])


def check_log(controller: Controller, channel: int = 0, most: int = 400) -> None:
    """Assert that a channel's first commands keep every constraint and go to rows as they are."""
    device, timing = controller.device, controller.parts[channel].timing
    oracle, rows = Oracle(device), dict[int, int]()
    for clock, command, node, row, _ in controller.logs[channel][:most]:
        name = timing.names[command]
        assert clock >= oracle.earliest(name, node), (clock, name, node)
        _carry_out(oracle.tree, device, rows, name, node, row)
        oracle.issue(name, node, clock)
        oracle.issued[:] = oracle.issued[-60:] if len(oracle.issued) > 200 else oracle.issued


def _carry_out(tree: Hierarchy, device: Device, rows: dict[int, int], name: str, node: int, row: int) -> None:
    command = device.spec.commands[name]
    banks = tree.inside(tree.depth[command.scope], node, tree.depth["Bank"])
    if command.does == "activate":
        assert node not in rows, f"{name} to bank {node}, whose row {rows[node]} is open"
        rows[node] = row
    elif command.does in ("read", "write"):
        assert rows.get(node) == row, f"{name} of row {row} in bank {node}, where {rows.get(node)} is open"
    elif command.does == "refresh":
        assert not any(bank in rows for bank in banks), f"{name} with open rows"
    if command.does == "precharge" or command.precharges:
        for bank in banks:
            rows.pop(bank, None)


def accesses(controller: Controller, channel: int = 0) -> list[Logged]:
    """Return the reads and writes of a channel."""
    timing, commands = controller.parts[channel].timing, controller.device.spec.commands
    return [each for each in controller.logs[channel] if commands[timing.names[each[1]]].does in ("read", "write")]
