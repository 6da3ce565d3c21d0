"""Lower bounds in closed form, for a network on many chips at once: cycles and energy that no mapping can beat.

An oracle beside the engine, never used by it. What is in the formulas:

- Arrays: folds = ceil(K/R) · ceil(N/C) (which dimensions lie on the sides depends on the dataflow), each at
  least as long as its stream; the formulas of a fold are those measured on RTL (see the dataflows). Cutting a
  product into tiles only adds folds, as ceil(a) + ceil(b) >= ceil(a + b).
- Off-chip traffic: every operand once, and more where neither weights nor inputs nor sums of a product fit
  their buffer. Then some tile loop runs outermost. Outermost M reloads the weights for each of its tiles, and
  has either so many tiles that a share of inputs or of sums fits, or reloads inputs or spills sums as well;
  the same for N with inputs and weights exchanged, and for K, which spills sums.
- Ports: what array, lanes and transfers read and write on chip, each at least once, and operands again for
  each fold that needs them, passes the ports of the buffers at their bandwidth.
- A network: arrays, lanes, channel and ports each do one thing at a time, so the work of each adds up; and a
  layer that reads another's output starts when that is complete, so the longest path adds up, left out what may
  come before: as many weights as their buffer holds, and what stays in the PEs in the first fold.

Bounds are in cycles of the chip's clock and in pJ, without what a bound would have to guess (latencies,
bursts, waiting): those only add.
"""

from sim.bounds.designs import Designs, Vector
from sim.bounds.energy import picojoules
from sim.bounds.network import Needs, cycles, needs_of
from sim.bounds.traffic import reloaded

__all__ = ["Designs", "Needs", "Vector", "cycles", "needs_of", "picojoules", "reloaded"]
