"""Show a chip, network, graph, energy table, DRAM or PIM device: every key, defaults included, and what follows.

NAME is a chip, a network, a graph, a table, a device, an inline workload such as gemm:64x64x64, or a YAML file's path.
With a WORKLOAD behind it, NAME is a chip whose banks multiply: where the workload lies in them, and how full they are.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim.commands._options import add_set, overrides, width
from sim.report.placement import placement_text
from sim.report.show import schema_of, show


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `show`."""
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("workload", nargs="?", metavar="WORKLOAD")
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of such a file (of a chip's without NAME)"
    )
    add_set(parser)


def execute(options: Namespace) -> int:
    """Print the thing, or the schema of its file; return 0."""
    settings = overrides(options.settings)
    if options.workload is not None and not options.schema:
        sys.stdout.write(placement_text(options.name, options.workload, settings, width()))
        return 0
    sys.stdout.write(schema_of(options.name) if options.schema else show(options.name, settings, width()))
    return 0
