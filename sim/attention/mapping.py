"""What a mapping of attention is: a file in `mappings/` that cuts an Attention into the plan of a chip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sim.arch import Arch
from sim.arch.choices import MappingChoice
from sim.kernel import Attention
from sim.plan import Plan
from sim.registry import Registry


@dataclass(frozen=True)
class Wish:
    """What is asked of a plan: the kernel, the chip as it sees it, what is fixed, operands that stay on chip."""

    kernel: Attention
    arch: Arch
    choice: MappingChoice
    on_chip: frozenset[str] = frozenset()


Planner = Callable[[Wish], Iterator[Plan]]
"""Yields the plans worth trying, those that fit the chip; none where none fits."""

MAPPINGS: Registry[Planner] = Registry("attention mapping", "sim.attention.mappings")
"""By name, how attention is fused."""

LAYERS = "layers"
"""No fusion: scores, softmax and values are layers of their own."""


def choices() -> Sequence[str]:
    """Return all that `mapping.attention` may be."""
    return ("auto", LAYERS, *MAPPINGS)
