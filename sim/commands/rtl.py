"""Generate the array of a chip as a circuit, run layers through its registers, and compare with the prediction.

Every register is simulated (PyRTL), the product is checked with numpy, and the cycles stand beside those that
`tiletick run` predicts for the array on ideal memory: from the first accepted word to the last valid output, both
at the rising edge, inclusive. --verilog exports the circuit; --simulate runs a Verilog file of your own with the
same ports instead, in Icarus Verilog or Verilator. Exit status 1: a product is wrong.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from sim import extras
from sim.commands._options import add_set, overrides, width, within
from sim.commands._progress import Bar
from sim.textfile import write

check = extras.load("sim.rtl.check", "rtl")
foreign = extras.load("sim.rtl.foreign", "rtl")
tell = extras.load("sim.rtl.tell", "rtl")


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `rtl`."""
    parser.add_argument("arch", metavar="ARRAY", help="a chip with a systolic array")
    parser.add_argument("workload", metavar="WORKLOAD")
    add_set(parser)
    parser.add_argument("--layers", metavar="GLOB", default="*", help="only the layers whose name matches")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random operands; 0 by default")
    parser.add_argument(
        "--max-cycles", type=int, default=check.MOST_CYCLES, metavar="N",
        help="refuse to simulate more than this many predicted cycles; %(default)s by default",
    )  # fmt: skip
    parser.add_argument("--verilog", metavar="FILE", help="write the circuit as Verilog")
    parser.add_argument("--simulate", metavar="FILE.v", help="run this Verilog (your own) instead of the circuit")
    parser.add_argument("--top", metavar="MODULE", default="array", help="its top module; 'array' by default")
    parser.add_argument("--simulator", choices=("icarus", "verilator"), help="the one that is installed by default")
    parser.add_argument("--json", metavar="FILE", help="write the check as JSON; - is standard output, and only that")


def execute(options: Namespace) -> int:
    """Check the layers and put the outcome where the options say; return 1 where a product is wrong."""
    within("--seed", options.seed, 0)
    settings = overrides(options.settings)
    if options.verilog:
        write(options.verilog, check.verilog(options.arch, options.workload, settings))
    run = check.simulate
    if options.simulate:
        run = foreign.simulator(Path(options.simulate), options.top, options.simulator)
    with Bar() as bar:
        found = check.check(
            options.arch, options.workload, settings, layers=options.layers, seed=options.seed,
            max_cycles=options.max_cycles, simulator=run, progress=bar.advance,
        )  # fmt: skip
    if options.json not in (None, "-"):
        write(options.json, found.to_json())
    sys.stdout.write(found.to_json() if options.json == "-" else tell.tell(found, width()))
    return 1 if found.mismatches else 0
