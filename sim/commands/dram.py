"""Serve a stream of requests from a DRAM device: clocks, bandwidth, what limits it, energy, commands.

DEVICE is a device by its name in the library (see `tiletick list devices`) or the path of a YAML file; TRACE.csv
has a request a line (address,write). Requests come in order, as fast as the controller accepts them.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from sim import textfile, units
from sim.commands._options import add_set, overrides, width
from sim.dram.patterns import PATTERNS
from sim.dram.serve import run
from sim.report.dram import summary


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `dram`."""
    parser.add_argument("device", metavar="DEVICE")
    parser.add_argument("trace", metavar="TRACE.csv", nargs="?")
    parser.add_argument("--pattern", metavar="P", help=f"requests by pattern: {', '.join(PATTERNS)}")
    parser.add_argument("--requests", metavar="N", type=_count, help="how many (10000)")
    parser.add_argument("--stride", metavar="S", type=_bytes, help="bytes from request to request (a burst)")
    parser.add_argument("--capacity", metavar="BYTES", type=_bytes, help="bytes that the pattern spans (all)")
    parser.add_argument("--per-clock", metavar="N", type=_count, default=1, help="most requests accepted a clock (1)")
    parser.add_argument("--commands", metavar="FILE", help="write the command trace as CSV")
    add_set(parser)
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output, and only that")


def execute(options: Namespace) -> int:
    """Serve the requests and put the result where the options say; return 0."""
    result = run(
        options.device, options.trace, overrides(options.settings), pattern=options.pattern,
        requests=options.requests, stride=options.stride, capacity=options.capacity, per_clock=options.per_clock,
        commands=options.commands,
    )  # fmt: skip
    if options.json not in (None, "-"):
        textfile.write(options.json, result.to_json())
    sys.stdout.write(result.to_json() if options.json == "-" else summary(result, width()))
    return 0


def _count(text: str) -> int:
    """Return a whole number; the range is checked where it is used."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a whole number, not '{text}'") from None


def _bytes(text: str) -> int:
    """Return a number of bytes, written as such or with a unit."""
    try:
        plain = text.removeprefix("-").isalnum() and not text[-1:].isalpha()
        return int(text, 0) if plain else units.parse_whole("size", text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
