"""What lanes compute where a function is more than one addition or product: exactly, or by a published approximation.

A method is one file in `methods/`: which lane operations it stands for, what it takes, what it computes, how far that
is off at most. Operators compute through `exp`, `divide`, `sqrt`, `tanh` and `erf` of this module, which are exact
unless they run inside `using(functions)`: then executed numbers show the error of a chip's lanes.
"""

from sim.lanes.choice import Functions
from sim.lanes.compute import divide, erf, exp, sqrt, tanh, using
from sim.lanes.method import METHODS, REPLACED, Method, Steps

__all__ = [
    "METHODS", "REPLACED", "Functions", "Method", "Steps", "divide", "erf", "exp", "sqrt", "tanh", "using",
]  # fmt: skip
