"""Animate an array: every register cycle by cycle, as a page with play, step and scrub, or as a GIF.

ARCH is a chip with a systolic or row-stationary array, WORKLOAD a small layer such as gemm:4x4x6 or
conv:2,6,6,2,3,3, or one layer of a network (--layers). Operands are random, memory is ideal.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim.animation import animate
from sim.commands._options import add_set, overrides
from sim.errors import ConfigError, Problem


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `animate`."""
    parser.add_argument("arch", metavar="ARCH")
    parser.add_argument("workload", metavar="WORKLOAD")
    parser.add_argument("--out", metavar="FILE", required=True, help="the page (.html) or picture (.gif) to write")
    add_set(parser)
    parser.add_argument("--layers", metavar="GLOB", default="*", help="the layer, where the network has several")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random operands; 0 by default")
    parser.add_argument("--fps", type=float, default=3.0, metavar="N", help="cycles a second of a GIF; 3 by default")


def execute(options: Namespace) -> int:
    """Write the film and say what it shows; return 0."""
    kind = options.out.rpartition(".")[2].lower()
    if kind not in ("html", "gif"):
        raise ConfigError(Problem(f"'{options.out}' ends neither in .html nor in .gif", "--out"))
    film = animate(
        options.arch, options.workload, overrides(options.settings), layers=options.layers, seed=options.seed
    )
    if kind == "gif":
        film.to_gif(options.out, options.fps)
    else:
        film.to_html(options.out)
    sys.stdout.write(
        f"{film.title}: {film.cycles:,} cycles, {film.macs:,} MACs, {film.utilization:.1%} of the PEs' cycles; "
        f"{options.out}\n"
    )
    return 0
