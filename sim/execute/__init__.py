"""What a plan means: its steps carried out on numbers, in program order and without time.

Loads bring elements on chip, computes may read only what is there, frees take it away. A plan that forgets
a load, frees too early, stores too soon or overfills a buffer cannot produce a number.

Reading order: `chip` (the verbs of a plan), `geometry` (which elements they touch), `passes` (which ones those of
row-stationary passes touch).
"""

from sim.arch import Arch
from sim.execute.chip import Array, Chip
from sim.execute.geometry import FoldBlock, fold_blocks, input_region
from sim.execute.passes import PassChip
from sim.passes import Passes
from sim.plan import START, Plan

__all__ = ["FoldBlock", "execute", "fold_blocks", "input_region"]


def execute(plan: Plan, inputs: Array, right: Array, arch: Arch) -> Array:
    """Return what the plan of a contraction computes, shape (groups, M, N): equal to `kernel.compute`.

    Shapes are those of `Contraction`: `inputs` (groups, batch, channels, *sizes), `right` (groups, K, N).
    Operands that the plan never loads are on chip from the start, outputs that it never stores stay there.
    Vector work and biases that ride on the plan change no product and are passed over. Raises MappingError
    where a step reads, frees or stores what is not there, CapacityError where a buffer overflows.
    """
    chip = (PassChip if isinstance(plan.mapping, Passes) else Chip)(plan, inputs, right, arch)
    chip.run(plan.body, START)
    return chip.end()
