"""What the circuits are made of: delays, skews, signed products, flags, and buses cut into lanes."""

from __future__ import annotations

from collections.abc import Sequence

import pyrtl
from pyrtl import Register, WireVector


def delay(wire: WireVector, edges: int) -> WireVector:
    """Return `wire` as it was `edges` clock edges ago; none at all is the wire itself."""
    for _ in range(edges):
        register = Register(len(wire))
        register.next <<= wire
        wire = register
    return wire


def skew(lanes: Sequence[WireVector]) -> list[WireVector]:
    """Return the lanes with lane i delayed by i edges: the triangle of registers at an edge of the grid."""
    return [delay(lane, index) for index, lane in enumerate(lanes)]


def along(wire: WireVector, count: int) -> list[WireVector]:
    """Return a wire as `count` neighbours in a row see it, each an edge behind the one before."""
    seen = [wire]
    for _ in range(count - 1):
        seen.append(delay(seen[-1], 1))
    return seen


def flag(name: str, sets: WireVector, clears: WireVector, at_reset: int = 0) -> Register:
    """Return a register that holds 1 from `sets` to `clears`; where both come at once it is set."""
    register = Register(1, name, reset_value=at_reset)
    register.next <<= sets | (register & ~clears)
    return register


def product(left: WireVector, right: WireVector, bits: int) -> WireVector:
    """Return the signed product of two signed words in `bits` bits, wrapped where it does not fit."""
    full = len(left) + len(right)
    exact = (left.sign_extended(full) * right.sign_extended(full))[:full]
    return exact[:bits] if bits <= full else exact.sign_extended(bits)


def add(left: WireVector, right: WireVector) -> WireVector:
    """Return the sum of two words of one width in that width, wrapped."""
    return (left + right)[: len(left)]


def lanes(bus: WireVector, bits: int) -> list[WireVector]:
    """Return the words of `bits` bits in a bus, lane 0 in its lowest bits."""
    return [bus[low : low + bits] for low in range(0, len(bus), bits)]


def bus(words: Sequence[WireVector]) -> WireVector:
    """Return one bus of the words, the first in its lowest bits."""
    return pyrtl.concat_list(list(words))
