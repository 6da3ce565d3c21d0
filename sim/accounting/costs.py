"""What each action of a chip costs: products, registers, accesses, lane operations, link bits (Accelergy's ERT)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sim import energy
from sim.arch import OPERANDS, Arch, Dram, Simple
from sim.energy import Cost
from sim.energy.memory import dram_costs
from sim.energy.supply import at_point
from sim.kernel import Kernel, VectorWork
from sim.mapper import Prices


class ActionCosts:
    """The energy reference table of a chip: the cost of each (component, action), operations as they are asked for."""

    def __init__(self, chip: Arch, array: str) -> None:
        self.chip, self.array = chip, array
        self.table = energy.load(chip.technology)
        self.costs: dict[tuple[str, str], Cost] = {}
        self.not_modelled: list[dict[str, Any]] = []
        self.leakage: dict[str, float] = {}
        """Watts by component."""
        self._price_chip()
        self.prices = self._by_bytes()

    def _price_chip(self) -> None:
        chip, precision = self.chip, self.chip.precision
        if chip.array:
            product = self.table.mac(precision.input, precision.weight, precision.partial_sum)
            self.costs[self.array, "mac"] = self._at_point(self.array, product)
            self.costs[self.array, "register"] = self._at_point(self.array, self.table.register(1))
            self.costs[self.array, "hop"] = self._at_point(self.array, self.table.link())
        if isinstance(chip.memory, Simple):
            read, write = self.table.dram(chip.memory.technology)
            self.costs["dram", "read"], self.costs["dram", "write"] = read, write
        elif isinstance(chip.memory, Dram):
            self.costs |= dram_costs(chip.memory)
        self.costs["link", "bit"] = self.table.link()
        self._price_tiers()
        leakless = []
        for name, buffer in chip.buffers.items() if chip.bounded else ():
            sram = self.table.sram(buffer.capacity, buffer.port_width * 8)
            self.costs[name, "read"], self.costs[name, "write"] = sram.read, sram.write
            if sram.leakage_watts is None:
                leakless.append(name)
            else:
                self.leakage[name] = sram.leakage_watts
        if leakless:
            self.not_modelled.append({"what": f"leakage (not in table {chip.technology})", "where": leakless})
        if not chip.bounded:
            self.not_modelled.append({"what": "energy of memories (memory is ideal)", "where": ["sram"]})

    def _at_point(self, unit: str, cost: Cost) -> Cost:
        return at_point(self.chip.units[unit], cost)

    def _price_tiers(self) -> None:
        free = [name for name, tier in self.chip.tiers.items() if tier.energy is None]
        for name, tier in self.chip.tiers.items() if self.chip.bounded else ():
            self.costs[name, "read"] = Cost(tier.energy or 0.0, tier.source or "the chip's file")
        if free and self.chip.bounded:
            self.not_modelled.append({"what": "energy of a tier (its energy is left out)", "where": free})

    def _by_bytes(self) -> Prices:
        def per_byte(component: str, action: str, width: int) -> float:
            cost = self.costs.get((component, action))
            return cost.pj / width if cost else 0.0

        width = {o: self._width(o) for o in OPERANDS}
        return Prices(
            per_byte("dram", "read", 1) * 8,
            {o: per_byte(self.chip.buffer_of(o), "read", width[o]) for o in OPERANDS},
            {o: per_byte(self.chip.buffer_of(o), "write", width[o]) for o in OPERANDS},
        )

    def _width(self, operand: str) -> int:
        buffer = self.chip.buffers.get(self.chip.buffer_of(operand))
        return buffer.port_width if buffer else 1

    def price_operation(self, unit: str, operation: str) -> None:
        """Have a price for an operation beside products, on the lanes or on the PEs."""
        in_lanes = unit != self.array
        number_format = self.chip.lane_format if in_lanes else self.chip.precision.partial_sum
        cost = self._lane(operation, number_format, in_lanes)
        self.costs.setdefault((unit, operation), self._at_point(unit, cost))

    def _lane(self, operation: str, number_format: str, in_lanes: bool) -> Cost:
        """Return the cost of an operation beside products; in lanes that of the method that they have for it."""
        method = self.chip.vector.functions.get(operation) if in_lanes and self.chip.vector else None
        if method is None:
            return self.table.lane(operation, number_format)
        found = self.table.steps(method.steps(operation), number_format)
        return replace(found, derived=f"{operation} by {method.method}: {method.source}")

    def product(self, kernel: Kernel) -> str:
        """Return the action of a product, priced: by what its right operand is where that has a format of its own."""
        formats = self.chip.precision
        right = "weight" if isinstance(kernel, VectorWork) else kernel.right_is
        other = energy.beside(formats.input, self.chip.format_of(right))
        if right == "weight" or other == formats.weight:
            return "mac"
        action = "mac_activations" if other == formats.input else f"mac_{right}"
        cost = self.table.mac(formats.input, other, formats.partial_sum)
        self.costs.setdefault((self.array, action), self._at_point(self.array, cost))
        return action
