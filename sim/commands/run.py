"""Simulate a network on a chip: cycles, energy and traffic by layer, and why they are what they are.

ARCH is a chip and WORKLOAD a network, each by its name in the library (see `tiletick list`) or by the path
of a YAML file. A workload may be one layer: gemm:MxNxK, gemv:OUTxIN, conv:C,H,W,K,R,S[,stride=2][,pad=1],
attention:BxHxNxE[,kv=M][,causal].
"""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from itertools import combinations

from sim import textfile
from sim.arch import Arch
from sim.commands._options import add_set, overrides, width
from sim.commands._progress import Bar
from sim.errors import ConfigError, Problem
from sim.family import family_of
from sim.report.nest import nest_text
from sim.report.page import to_page
from sim.report.summary import summarize
from sim.report.trace import to_trace
from sim.result import Result
from sim.simulate import open_both, run


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `run`."""
    parser.add_argument("arch", metavar="ARCH")
    parser.add_argument("workload", metavar="WORKLOAD")
    add_set(parser)
    parser.add_argument("--layers", metavar="GLOB", help="only the layers whose name matches, as in 'layer4.*'")
    parser.add_argument(
        "--strict", action="store_true",
        help="fail where chip or network have what the cycles leave out; what only the energy leaves out is named",
    )  # fmt: skip
    parser.add_argument(
        "--no-fast-forward", action="store_true", help="simulate every iteration; slower, and the result is the same"
    )
    parser.add_argument(
        "--nest", action="store_true", help="also print each layer's mapping as a loop nest, and the reuse it gives"
    )
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output, and only that")
    parser.add_argument("--csv", metavar="FILE", help="write a row for each layer; - is standard output, and only that")
    parser.add_argument(
        "--trace", metavar="FILE", help="write who did what when, to open in ui.perfetto.dev; - is standard output"
    )
    parser.add_argument(
        "--report", metavar="FILE.html", help="write one page with pictures and tables, to open in a browser"
    )


def execute(options: Namespace) -> int:
    """Run the simulation and put its result where the options say; return 0."""
    targets = {"--json": options.json, "--csv": options.csv, "--trace": options.trace, "--report": options.report}
    for one, other in combinations([name for name, target in targets.items() if target is not None], 2):
        if targets[one] == targets[other]:
            raise ConfigError(Problem(f"{one} and {other} cannot both go to '{targets[one]}'"))
    chip = None
    if options.report is not None:
        chip = open_both(options.arch, options.workload, overrides(options.settings))[0]
    cheap = chip is not None and (family_of(chip) is None or chip.families == {"pim"})
    record = options.trace is not None or cheap
    with Bar() as bar:
        result = run(
            options.arch, options.workload, overrides(options.settings), layers=options.layers,
            strict=options.strict, fast_forward=not options.no_fast_forward, record=record, progress=bar.advance,
        )  # fmt: skip
    _deliver(result, chip, options)
    return 0


def _deliver(result: Result, chip: Arch | None, options: Namespace) -> None:
    forms: dict[str | None, Callable[[], str]] = {
        options.json: result.to_json, options.csv: result.to_csv, options.trace: lambda: to_trace(result),
        options.report: lambda: to_page(result, chip, _command(options)),
    }  # fmt: skip
    for target, form in forms.items():
        if target not in (None, "-"):
            textfile.write(target, form())
    if "-" in forms:
        sys.stdout.write(forms["-"]())
    else:
        sys.stdout.write(summarize(result, width()))
        if options.nest:
            sys.stdout.write("".join(f"\n{nest_text(layer, width())}" for layer in result.layers))


def _command(options: Namespace) -> str:
    """Return the command that gives the same result, quoted for a shell."""
    words = ["tiletick", "run", options.arch, options.workload]
    words += [word for setting in options.settings for word in ("--set", setting)]
    words += [] if options.layers is None else ["--layers", options.layers]
    return shlex.join(words)
