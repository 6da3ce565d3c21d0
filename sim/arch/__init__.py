"""What a chip is, read from strict YAML.

Reading order: `quantities` (types of fields), `unit` and `units/` (one file a kind), `buffer`, `memory` and
`memories/` (one file a kind), `tier` (slower memories), `choices` (what is fixed of a mapping), `chip` (the
whole), `loading` (from a name to a chip), `overrides` (`--set`).
"""

from sim.arch.buffer import Buffer
from sim.arch.chip import Arch, Link, Precision, channel
from sim.arch.choices import MappingChoice, MappingChoices, PassChoice, Tile
from sim.arch.loading import build, load, read_arch
from sim.arch.memories.banks import Banks
from sim.arch.memories.dram import Dram
from sim.arch.memories.ideal import Ideal
from sim.arch.memories.simple import Simple
from sim.arch.memory import MEMORIES, Channel, Memory
from sim.arch.overrides import keys, override, resolve
from sim.arch.quantities import OPERANDS, Operand
from sim.arch.tier import Prefetch, Tier
from sim.arch.unit import UNITS, Unit
from sim.arch.units.companion import Companion
from sim.arch.units.fabric import Fabric
from sim.arch.units.pim import Pim
from sim.arch.units.systolic import Systolic
from sim.arch.units.vector import Vector

__all__ = [
    "MEMORIES", "OPERANDS", "UNITS", "Arch", "Banks", "Buffer", "Channel", "Companion", "Dram", "Fabric", "Ideal",
    "Link", "MappingChoice", "MappingChoices", "Memory", "Operand", "PassChoice", "Pim", "Precision", "Prefetch",
    "Simple", "Systolic", "Tier", "Tile", "Unit", "Vector",
    "build", "channel", "keys", "load", "override", "read_arch", "resolve",
]  # fmt: skip
