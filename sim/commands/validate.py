"""Compare predicted with measured cycles, layer by layer: a board, a simulation, a synthesis report.

MEASURED is a CSV table (layer,cycles[,bytes] or times), Vitis HLS csynth.xml or cosim.rpt, a Vivado ILA capture, an
XRT profile summary, a VCD waveform, or what `tiletick rtl --json` writes. --fit first looks for the values of keys of
the chip that predict best. Exit status 1: the mean absolute percentage error is above --max-mape.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace

from sim import extras
from sim.commands._options import add_set, overrides, width, within
from sim.commands._progress import Bar
from sim.textfile import write
from sim.validate.compare import COUNTS, Validation, validate
from sim.validate.measured import FORMATS, Choices, read
from sim.validate.page import page
from sim.validate.text import tell

MOST_HELD_OUT = 0.9
"""Share of the layers that a fit may leave aside at most: it needs some to fit."""


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `validate`."""
    parser.add_argument("arch", metavar="ARCH")
    parser.add_argument("workload", metavar="WORKLOAD")
    parser.add_argument("measured", metavar="MEASURED")
    add_set(parser)
    parser.add_argument("--layers", metavar="GLOB", help="only the layers whose name matches")
    parser.add_argument("--match", default="auto", metavar="RULE", help="name, order, or a YAML file {layers: {...}}")
    parser.add_argument("--count", default="inclusive", help=f"how cycles were counted: {', '.join(COUNTS)}")
    parser.add_argument("--alone", action="store_true", help="layers were measured one by one: predict them so too")
    parser.add_argument("--format", choices=list(FORMATS), help="of MEASURED, where its looks mislead")
    parser.add_argument(
        "--statistic", choices=("min", "avg", "max"), default="avg", help="of several runs in MEASURED; avg by default"
    )
    for side in ("input", "output"):
        parser.add_argument(
            f"--{side}", action="append", default=[], metavar="VALID[,READY[,LAST]]",
            help=f"signals of an {side} port in a trace; LAST ends a layer",
        )  # fmt: skip
    parser.add_argument("--clock-signal", metavar="NAME", help="the clock of a VCD")
    parser.add_argument(
        "--fit", nargs="+", default=[], metavar="KEY",
        help="fit keys of the chip to the measurements first: KEY, KEY=LOW..HIGH or KEY=A,B,C",
    )  # fmt: skip
    parser.add_argument(
        "--held-out", type=float, default=0.25, metavar="SHARE", help="of layers kept out of the fit; 0.25 by default"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the choice of layers held out")
    parser.add_argument("--max-mape", type=float, metavar="PCT", help="exit with 1 where the MAPE is above")
    parser.add_argument("--json", metavar="FILE", help="write it as JSON; - is standard output, and only that")
    parser.add_argument("--report", metavar="FILE.html", help="write a page with the table and two plots")


def execute(options: Namespace) -> int:
    """Compare and put the outcome where the options say; return 1 where --max-mape is exceeded."""
    within("--max-mape", options.max_mape, 0)
    within("--held-out", options.held_out, 0, MOST_HELD_OUT)
    within("--seed", options.seed, 0)
    choices = Choices(options.statistic, _ports(options.input), _ports(options.output), options.clock_signal)
    measurements = read(options.measured, choices, options.format)
    settings, fitting = overrides(options.settings), None
    if options.fit:
        fitting = extras.load("sim.validate.fitting", "fit").Fitting(
            options.fit, options.arch, options.workload, settings, measurements, options.match, options.count,
            options.layers, options.alone,
        )  # fmt: skip
        with Bar() as bar:
            settings |= fitting.run(options.held_out, options.seed, bar.advance).settings
    with Bar() as bar:
        found = validate(
            options.arch, options.workload, measurements, settings, rule=options.match, count=options.count,
            layers=options.layers, alone=options.alone, progress=bar.advance,
        )  # fmt: skip
    story = ""
    if fitting:
        found, story = replace(found, fit=fitting.to_dict()), "\n" + fitting.tell(width())
    _deliver(found, story, options)
    if options.max_mape is not None and found.gate > options.max_mape:
        sys.stderr.write(f"the MAPE of {found.gate:.2f}% is above --max-mape {options.max_mape:g}%\n")
        return 1
    return 0


def _deliver(found: Validation, story: str, options: Namespace) -> None:
    if options.report:
        write(options.report, page(found, story))
    if options.json not in (None, "-"):
        write(options.json, found.to_json())
    sys.stdout.write(found.to_json() if options.json == "-" else tell(found, width()) + story)


def _ports(texts: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(word.strip() for word in text.split(",")) for text in texts)
