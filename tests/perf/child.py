"""Processor time of a child process, as the operating system counts it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from tempfile import TemporaryFile


@dataclass(frozen=True)
class Cost:
    """What a process took, user and system seconds together, and what it printed."""

    cpu_s: float
    output: str


ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
"""That of children: they find and leave compiled modules, as an installed package does."""


def cost(command: Sequence[str]) -> Cost:
    """Run a command to its end and return its Cost; RuntimeError with what it printed where it fails."""
    with TemporaryFile() as out:
        pid = os.posix_spawnp(
            command[0], command, ENVIRONMENT,
            file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)],
        )  # fmt: skip
        _, status, used = os.wait4(pid, 0)
        out.seek(0)
        output = out.read().decode(errors="replace")
    if status:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output}")
    return Cost(used.ru_utime + used.ru_stime, output)


def middle(command: Sequence[str], times: int = 3) -> Cost:
    """Return the Cost with the median seconds of several runs."""
    costs = [cost(command) for _ in range(times)]
    return next(c for c in costs if c.cpu_s == median(x.cpu_s for x in costs))
