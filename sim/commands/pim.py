"""Run a program of a DRAM device whose banks multiply: clocks, commands, where the time goes.

DEVICE is a PIM device by its name in the library (see `tiletick list devices`) or the path of a YAML file;
PROGRAM.csv has an operation a line (op,size,row,bank,channel), as in MAC_ABK,64,0: a bank where it goes to one alone, a
channel where not all of them do the same.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim import textfile
from sim.commands._options import add_set, overrides, width
from sim.pim.run import run
from sim.report.pim import summary


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `pim`."""
    parser.add_argument("device", metavar="DEVICE")
    parser.add_argument("program", metavar="PROGRAM.csv")
    add_set(parser)
    parser.add_argument(
        "--strict", action="store_true", help="fail where the program multiplies by what was not written"
    )
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output, and only that")


def execute(options: Namespace) -> int:
    """Run the program and put the result where the options say; return 0."""
    result = run(options.device, options.program, overrides(options.settings), strict=options.strict)
    if options.json not in (None, "-"):
        textfile.write(options.json, result.to_json())
    sys.stdout.write(result.to_json() if options.json == "-" else summary(result, width()))
    return 0
