"""Turn another program's file into a YAML file of this one, with what its conventions change said in comments."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim.commands._options import width
from sim.importers.hf import import_hf
from sim.importers.scalesim import import_scalesim
from sim.report.table import wrap


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `import`."""
    parser.add_argument("format", metavar="FORMAT", choices=list(IMPORTERS), help=f"one of {', '.join(IMPORTERS)}")
    what = "a topology (.csv) or a configuration (.cfg) of SCALE-Sim, a model's config.json"
    parser.add_argument("file", metavar="FILE", help=what)
    parser.add_argument("-o", "--output", metavar="OUT.yaml", required=True)


def execute(options: Namespace) -> int:
    """Write the YAML file and tell what it holds; return 0."""
    report = IMPORTERS[options.format](options.file, options.output)
    counts = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in report.counts.items())
    sys.stdout.write(f"{report.out}: {report.kind} with {counts}\n")
    sys.stdout.write("".join(wrap(note, width(), "  - ", "    ") for note in report.notes))
    return 0


IMPORTERS = {"hf": import_hf, "scalesim": import_scalesim}
"""Each format that can be read, to what reads it."""
