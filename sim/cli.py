"""The command line: finds the command, runs it, and turns every outcome into an exit status.

0 is success, 2 a mistake of the user's (one message on standard error, no traceback), 1 a failed check,
130 an interrupt and 141 a reader that went away, as shells count them. A command is one file in
`commands/`: its docstring is its help, `arguments` declares its options, `execute` does it. Only the
command that is asked for is imported, so that help stays instant.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import io
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import NoReturn

from sim import commands
from sim.errors import TiletickError, unknown
from sim.version import __version__

MISTAKE, INTERRUPTED, NO_READER = 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments` (those of the process by default) and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 is no reason to fail
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except TiletickError as error:
        sys.stderr.write(f"{error}\n")
        return MISTAKE
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python fails once more at exit
        return NO_READER
    return status


class _Parser(argparse.ArgumentParser):
    """A parser that tells what is wrong with an option in one line, as all mistakes are told."""

    def error(self, message: str) -> NoReturn:
        """Raise TiletickError where an option or its value is wrong; where words lack or are too many, show usage."""
        if message.startswith("argument "):
            raise TiletickError(message.removeprefix("argument "))
        first = message.removeprefix("unrecognized arguments: ").split()[0]
        if first != message.split()[0] and first.startswith("--"):
            options = [name for name in self._option_string_actions if name.startswith("--")]
            raise TiletickError(unknown("option", first.partition("=")[0], options))
        super().error(message)


def command_names() -> dict[str, str]:
    """Return each command to the module that holds it; `import_` is the module of `import`."""
    found = (module.name for module in pkgutil.iter_modules(commands.__path__))
    return {name.rstrip("_"): f"{commands.__name__}.{name}" for name in found if not name.startswith("_")}


def _dispatch(words: list[str]) -> int:
    known = command_names()
    if not words or words[0].startswith("-"):
        parser = _overview(known)
        parser.parse_args(words)
        parser.print_help(sys.stderr)
        return MISTAKE
    name, *rest = words
    if name not in known:
        raise TiletickError(unknown("command", name, known))
    command = importlib.import_module(known[name])
    parser = _Parser(
        prog=f"tiletick {name}", description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )  # fmt: skip
    command.arguments(parser)
    return int(command.execute(parser.parse_args(rest)))


def _overview(known: dict[str, str]) -> argparse.ArgumentParser:
    width = max(map(len, known))
    lines = [f"  {name:{width}}  {_first_line(module)}" for name, module in known.items()]
    parser = argparse.ArgumentParser(
        prog="tiletick", usage="tiletick COMMAND ...", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Cycle-level simulator of neural-network accelerators: the cycle, the joule and the reason.",
        epilog="\n".join(["commands:", *lines, "", "tiletick COMMAND --help tells the options of a command."]),
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"tiletick {__version__}")
    return parser


def _first_line(module: str) -> str:
    """Return the first line of a module's docstring without importing the module."""
    spec = importlib.util.find_spec(module)
    source = spec.origin if spec else None
    if source is None:
        return ""
    with open(source, encoding="utf-8") as file:
        text = ast.get_docstring(ast.parse(file.read())) or ""
    return text.partition("\n")[0]
