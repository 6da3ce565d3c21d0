"""Which unit of a chip computes which layers, where there are several that could."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import Field

from sim.arch.quantities import Count
from sim.yamlfile import Strict


class Assignment(Strict):
    """A rule: the layers that fit all of it go to `unit`, as far as that computes such layers."""

    unit: str = Field(description="name of the unit")
    layers: str = Field("*", description="shell pattern of layer names")
    operators: str = Field("*", description="shell pattern of operators: matmul, linear, softmax")
    rows: Count | None = Field(
        None, description="products of a matrix with at most so many rows of activations: 1 is a matrix times a vector"
    )

    def holds(self, layer: str, operator: str, rows: int | None) -> bool:
        """Return whether a layer fits; `rows` is the most that a product in it has, None where it has no product."""
        if self.rows is not None and (rows is None or rows > self.rows):
            return False
        return fnmatchcase(layer, self.layers) and fnmatchcase(operator, self.operators)
