"""List the chips, networks, operators, dataflows, energy tables, DRAM and PIM devices that come with tiletick."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim.commands._options import width
from sim.report.catalogue import CATALOGUES, listing


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `list`."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help=f"one of {', '.join(CATALOGUES)}; all by default")


def execute(options: Namespace) -> int:
    """Print the list; return 0."""
    sys.stdout.write(listing(options.kind, width()))
    return 0
