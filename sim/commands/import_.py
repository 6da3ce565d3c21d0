"""Turn another program's file into a YAML file of this one, with what its conventions change said in comments.

FORMAT is scalesim (a topology .csv or a configuration .cfg), onnx (a model, its open dimensions given with --set) or
hf (the config.json of a published model).
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from sim.commands._options import add_set, overrides, width
from sim.errors import ConfigError, Problem
from sim.importers.document import Report
from sim.importers.hf import import_hf
from sim.importers.onnx import import_onnx
from sim.importers.scalesim import import_scalesim
from sim.report.table import wrap


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `import`."""
    formats = ("hf", "onnx", "scalesim")
    parser.add_argument("format", metavar="FORMAT", choices=formats, help=f"one of {', '.join(formats)}")
    parser.add_argument("file", metavar="FILE", help="what to read")
    parser.add_argument("-o", "--output", metavar="OUT.yaml", required=True)
    parser.add_argument("--strict", action="store_true", help="refuse what is not modelled, and write nothing")
    add_set(parser)


def execute(options: Namespace) -> int:
    """Write the YAML file and tell what it holds; return 0. ConfigError, with --strict, for what is not modelled."""
    if options.strict:
        _refuse(options)
    report = _import(options, options.output)
    counts = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in report.counts.items())
    sys.stdout.write(f"{report.out}: {report.kind} with {counts}\n")
    sys.stdout.write("".join(wrap(note, width(), "  - ", "    ") for note in report.notes))
    return 0


def _refuse(options: Namespace) -> None:
    """Import into a place that is thrown away, and raise ConfigError where something is not modelled."""
    with TemporaryDirectory() as folder:
        report = _import(options, str(Path(folder) / Path(options.output).name))
    if report.missing:
        raise ConfigError(*(Problem(f"not modelled: {what}", options.file) for what in report.missing))


def _import(options: Namespace, output: str) -> Report:
    sizes = overrides(options.settings)
    if options.format == "onnx":
        return import_onnx(options.file, output, {name: _size(name, size) for name, size in sizes.items()})
    if sizes:
        problem = f"{options.format} files have no open dimensions to set; only onnx has"
        raise ConfigError(Problem(problem, f"--set {next(iter(sizes))}"))
    return (import_hf if options.format == "hf" else import_scalesim)(options.file, output)


def _size(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(Problem(f"expected a positive integer, not {value}", f"--set {name}"))
    return value
