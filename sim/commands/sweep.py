"""Simulate many designs from one file: the front of what is worth building, and what bounds each design.

SWEEP is a sweep by its name in the library or the path of a YAML file. Results are stored as they come: after an
interrupt, a crash or a power cut the same command goes on where it was.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from sim.commands._options import width
from sim.commands._progress import SweepBar
from sim.sweep import Sweep, run_sweep, search
from sim.sweep.plots import plot
from sim.sweep.text import text
from sim.textfile import write


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `sweep`."""
    parser.add_argument("sweep", metavar="SWEEP")
    parser.add_argument("--jobs", type=_count, metavar="N", help="processes that simulate (all cores)")
    parser.add_argument("--dask", metavar="ADDRESS", help="simulate on the Dask cluster at tcp://HOST:PORT")
    parser.add_argument(
        "--prune", action="store_true", help="skip points that a lower bound proves to be off the front"
    )
    parser.add_argument(
        "--search", type=_count, metavar="N", help="let a sampler choose N of the points (extra `search`)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the search (0)")
    parser.add_argument("--out", metavar="DIR", help="folder of the results (NAME.sweep)")
    parser.add_argument(
        "--resume", action="store_true", help="go on in a folder that another sweep, or this one before a change, began"
    )
    parser.add_argument("--plots", action="store_true", help="draw the front, the axes and a heat map into the folder")
    parser.add_argument(
        "--export", action="append", default=[], metavar="FILE", help="write a table of all points: .csv or .parquet"
    )


def execute(options: Namespace) -> int:
    """Run the sweep, write points.csv and front.csv, print the front; return 0."""
    sweep = Sweep(options.sweep)
    folder = Path(options.out or f"{sweep.file.name}.sweep")
    with SweepBar(folder) as bar:
        common = {"out": folder, "jobs": options.jobs, "dask": options.dask, "resume": options.resume}
        if options.search:
            report = search(sweep, options.search, seed=options.seed, progress=bar.advance, **common)
        else:
            report = run_sweep(sweep, prune=options.prune or None, progress=bar.advance, **common)
    write(folder / "points.csv", report.to_csv())
    write(folder / "front.csv", report.front_csv())
    for target in options.export:
        report.export(target)
    pictures = plot(report, folder) if options.plots else []
    sys.stdout.write(text(report, width()))
    sys.stdout.write(f"\nall points: {folder / 'points.csv'}; the front: {folder / 'front.csv'}\n")
    sys.stdout.write("".join(f"picture: {path}\n" for path in pictures))
    return 0


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise ArgumentTypeError(f"expected a positive whole number, not '{word}'")
    return int(word)
