"""Simulate a streaming graph: units and bounded FIFOs; cycles, what each FIFO holds and stalls, and deadlocks named.

GRAPH is the name of a graph in the library (see `tiletick list graphs`) or the path of a YAML file. A deadlock
exits 1, after saying who waits for whom and which depth frees it.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from sim import textfile
from sim.commands._options import add_set, overrides, width
from sim.errors import DeadlockError
from sim.pricing import stream
from sim.report.stream import sizing_text, stream_text
from sim.streaming.simulate import size_fifos
from sim.streaming.sizing import Sizing

DEADLOCKED = 1


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `stream`."""
    parser.add_argument("graph", metavar="GRAPH")
    add_set(parser)
    parser.add_argument(
        "--size-fifos", action="store_true",
        help="find the least depths that lose no cycle, what they cost, and what fewer bits would cost",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output, and only that")


def execute(options: Namespace) -> int:
    """Run the graph and put the result where the options say; return 1 for a deadlock, else 0."""
    settings = overrides(options.settings)
    result = stream(options.graph, settings)
    sizing = _sizing(options.graph, settings) if options.size_fifos else None
    data = result.to_dict() | ({"sizing": sizing.to_dict()} if sizing else {})
    text = json.dumps(data, indent=1) + "\n"
    if options.json not in (None, "-"):
        textfile.write(options.json, text)
    if options.json != "-":
        text = stream_text(result, width()) + (f"\n{sizing_text(sizing, width())}" if sizing else "")
    sys.stdout.write(text)
    return DEADLOCKED if result.deadlock else 0


def _sizing(graph: str, settings: dict[str, Any]) -> Sizing | None:
    """Return the sizing; None where no depths let the graph run, which its deadlock tells."""
    try:
        return size_fifos(graph, settings)
    except DeadlockError:
        return None
