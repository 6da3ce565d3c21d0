"""Naming the axes of a tensor."""

from __future__ import annotations

from sim.op import Shape


def axis_of(shape: Shape, axis: int) -> int:
    """Return `axis` counted from the front; ValueError where the shape has no such axis."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"has no axis {axis}: its input has the shape {shape}")
    return axis % len(shape)
