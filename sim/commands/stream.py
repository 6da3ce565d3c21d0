"""Simulate a streaming graph: units and bounded FIFOs; cycles, what each FIFO holds and stalls, and deadlocks named.

GRAPH is the name of a graph in the library (see `tiletick list graphs`) or the path of a YAML file. A deadlock
exits 1, after saying who waits for whom and which depth frees it.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim import textfile
from sim.commands._options import add_set, overrides, width
from sim.report.stream import stream_text
from sim.streaming.simulate import simulate

DEADLOCKED = 1


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `stream`."""
    parser.add_argument("graph", metavar="GRAPH")
    add_set(parser)
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output, and only that")


def execute(options: Namespace) -> int:
    """Run the graph and put the result where the options say; return 1 for a deadlock, else 0."""
    result = simulate(options.graph, overrides(options.settings))
    if options.json not in (None, "-"):
        textfile.write(options.json, result.to_json())
    sys.stdout.write(result.to_json() if options.json == "-" else stream_text(result, width()))
    return DEADLOCKED if result.deadlock else 0
