"""Simulate generation: time to first token, time per token, tokens per second, and what the cache grows to.

WORKLOAD is a language model with the params phase and context (gpt2, llama_2_7b, an imported config.json). Decode
steps are simulated at a few contexts, and taken as linear between them.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from sim import textfile
from sim.commands._options import add_set, overrides, width
from sim.commands._progress import Bar
from sim.generation import generate
from sim.report.generation import generation_text


def arguments(parser: ArgumentParser) -> None:
    """Declare the options of `generate`."""
    parser.add_argument("arch", metavar="ARCH")
    parser.add_argument("workload", metavar="WORKLOAD")
    parser.add_argument("--prompt", type=int, default=512, metavar="N", help="tokens of the prompt (512)")
    parser.add_argument("--tokens", type=int, default=128, metavar="N", help="tokens to generate (128)")
    parser.add_argument("--samples", type=int, default=4, metavar="N", help="decode steps to simulate (4)")
    add_set(parser)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output, and only that")


def execute(options: Namespace) -> int:
    """Simulate and print, or write, the figures; return 0."""
    with Bar() as bar:
        found = generate(
            options.arch, options.workload, options.prompt, options.tokens, overrides(options.settings),
            options.samples, bar.advance,
        )  # fmt: skip
    if options.json and options.json != "-":
        textfile.write(options.json, found.to_json())
    sys.stdout.write(found.to_json() if options.json == "-" else generation_text(found, width()))
    return 0
