"""What a user may fix of a mapping, for all layers or layer by layer."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, model_validator

from sim.arch.quantities import Count, Operand
from sim.yamlfile import Clash, Strict


class Tile(Strict):
    """Sizes of a tile along the rows, columns and reduction of a product; left out: the mapper chooses."""

    m: Count | None = Field(None, description="rows of the output: positions times images")
    n: Count | None = Field(None, description="columns of the output: filters or features")
    k: Count | None = Field(None, description="what is summed over: channels times taps")


class PassChoice(Strict):
    """What is fixed of the processing passes of a row-stationary array, in the words of Chen et al., JSSC 2017."""

    m: Count | None = Field(None, description="filters whose sums stay in the buffer until they are complete")
    n: Count | None = Field(None, description="images in a pass")
    e: Count | None = Field(None, description="output rows in a pass: the width of a PE set")
    f: Count | None = Field(None, description="output columns in a pass; left out: whole rows are tried first")
    p: Count | None = Field(None, description="filters a PE set")
    q: Count | None = Field(None, description="channels a PE set")
    r: Count | None = Field(None, description="PE sets with other channels")
    t: Count | None = Field(None, description="PE sets with other filters")


class MappingChoice(Strict):
    """What the user fixes of a mapping; everything left out is the mapper's to choose."""

    tile: Tile = Field(Tile(), description="sizes of a tile, each at most that of the layer")
    order: list[Literal["m", "n", "k"]] | None = Field(None, description="tile loops from outermost to innermost")
    resident: list[Operand] | None = Field(None, description="operands that load once and stay for the layer")
    effort: Count = Field(12, description="tile sizes tried a dimension; more are never worse for a layer alone")
    lowering: Literal["auto", "im2col", "direct"] = Field(
        "auto", description="im2col packs channels and taps densely on the array, direct starts a fold at every tap"
    )
    groups: Literal["auto", "serial", "packed"] = Field(
        "auto", description="groups one by one, or as many as fit block-diagonally on the array"
    )
    split: Literal["auto", "m", "n", "k"] = Field("auto", description="what several arrays divide among them")
    attention: str = Field(
        "auto", description="how attention is fused: layers (scores, softmax and values one by one, through memory) or "
        "a mapping of `tiletick list attention`; auto: whichever is fastest; a mapping where PEs keep scores in place"
    )  # fmt: skip
    interleave: int | None = Field(
        None, ge=0, le=3, description="tiles of fused attention that the array works on while one waits for the lanes"
    )
    passes: PassChoice = Field(PassChoice(), description="processing passes of a row-stationary array (rs)")

    @model_validator(mode="after")
    def _permutes(self) -> MappingChoice:
        if self.order is not None and sorted(self.order) != ["k", "m", "n"]:
            raise Clash(f"{self.order} must name each of m, n and k once", ("order",))
        return self


class MappingChoices(MappingChoice):
    """A choice for all layers, and others by layer name (shell patterns; the last that matches wins)."""

    layers: dict[str, MappingChoice] = Field({}, description="choices by pattern of layer names, the last wins")

    def of(self, layer: str) -> MappingChoice:
        """Return what is fixed for a layer: the general choice, then each pattern that matches its name."""
        chosen = {key: getattr(self, key) for key in MappingChoice.model_fields}
        for pattern, choice in self.layers.items():
            if fnmatchcase(layer, pattern):
                chosen |= {key: getattr(choice, key) for key in choice.model_fields_set}
        return MappingChoice.model_construct(**chosen)
