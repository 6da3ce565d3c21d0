"""Put several results side by side, as ratios to the first, and say layer by layer why they differ."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim.commands._options import width
from sim.report.compare import compare, load_result


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `compare`."""
    parser.add_argument("files", nargs="+", metavar="RESULT.json", help="results as `run --json` writes them")


def execute(options: Namespace) -> int:
    """Print the table; return 0."""
    sys.stdout.write(compare([(file, load_result(file)) for file in options.files], width()))
    return 0
