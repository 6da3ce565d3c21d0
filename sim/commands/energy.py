"""Show what an action costs by technology table, side by side or in full, and where every figure comes from."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim.commands._options import width
from sim.report.technology import comparison, figures, provenance


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `energy`."""
    parser.add_argument("table", nargs="?", metavar="TABLE", help="a table by name or path; all by default")
    parser.add_argument("--sources", action="store_true", help="node, voltage, source and formula of every figure")


def execute(options: Namespace) -> int:
    """Print the figures; return 0."""
    if options.sources:
        text = provenance(options.table, width())
    else:
        text = figures(options.table, width()) if options.table else comparison(width())
    sys.stdout.write(text)
    return 0
