"""Cycles out of sampled signals: a layer runs from its first accepted input to its last valid output, inclusive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sim.errors import ConfigError, Problem
from sim.validate.measured import Choices, Measured

ABOUT = "edges from the first accepted input to the last valid output, inclusive"


@dataclass(frozen=True)
class Sample:
    """What the signals said at one rising edge, just before it, for all input and all output ports together."""

    offered: bool
    taken: bool
    ready: bool
    input_last: bool
    fired: bool
    output_last: bool


@dataclass
class Counter:
    """Walks over the samples of a trace and cuts it into layers; without last marks all of it is one.

    A layer begins with the first input behind the last one of its predecessor, where inputs have last marks;
    else with the first input behind the last output of its predecessor.
    """

    rows: list[tuple[int, int]] = field(default_factory=list)
    starts: deque[int] = field(default_factory=deque)
    begun: bool = False
    """Whether the next input belongs to the layer of the one before."""
    latest: int | None = None
    held_up: int = 0
    starved: int = 0
    edges: int = 0

    def step(self, sample: Sample) -> None:
        """Take in the next edge."""
        edge = self.edges
        self.edges += 1
        self.held_up += sample.offered and not sample.taken
        self.starved += sample.ready and not sample.offered
        if sample.taken and not self.begun:
            self.starts.append(edge)
        self.begun = (self.begun or sample.taken) and not sample.input_last
        if sample.fired and self.starts:
            self.latest = edge
            if sample.output_last:
                self.close()

    def close(self) -> None:
        """End the oldest open layer at the latest output."""
        if self.starts and self.latest is not None:
            self.rows.append((self.starts.popleft(), self.latest))
        self.latest = None
        self.begun = bool(self.starts) and self.begun


def measure(samples: Iterable[Sample], choices: Choices, file: str) -> tuple[list[Measured], list[str]]:
    """Return a row for each layer in the samples, and what else they tell; ConfigError where none is whole."""
    counter = Counter()
    for sample in samples:
        counter.step(sample)
    notes = [
        f"{counter.edges:,} edges; inputs wait for ready at {counter.held_up:,}, the array for inputs at "
        f"{counter.starved:,}"
    ]
    if not any(len(port) > 2 for port in choices.outputs):
        counter.close()
    elif counter.starts:
        notes.append(f"a layer that begins at edge {counter.starts[0]} does not end in the trace; left out")
    if not counter.rows:
        raise ConfigError(Problem("no input is accepted that an output follows; check --input and --output", file))
    if counter.rows[0][0] == 0:
        notes.append("an input is accepted at the very first edge: the layer may have begun before the trace")
    numbered = len(counter.rows) > 1
    rows = [
        Measured(f"segment {i}" if numbered else TRACE, cycles=float(end - start + 1))
        for i, (start, end) in enumerate(counter.rows, 1)
    ]
    return rows, notes


TRACE = "trace"
"""Name of the one row of a trace that is not cut."""


def required(choices: Choices, file: str) -> None:
    """Raise ConfigError where the signals of a trace were not named."""
    if not choices.inputs or not choices.outputs:
        raise ConfigError(
            Problem(
                "a trace needs the names of its signals: --input VALID,READY --output VALID[,READY[,LAST]]; "
                "with LAST every layer becomes a row", file,
            )
        )  # fmt: skip


def signals(choices: Choices) -> list[str]:
    """Return every signal that the ports name, in order."""
    return list(dict.fromkeys(name for port in (*choices.inputs, *choices.outputs) for name in port if name))


def sample(values: dict[str, bool], choices: Choices) -> Sample:
    """Return the sample that the values of the named signals are; a port without ready is always ready."""

    def bit(port: Sequence[str], index: int, missing: bool) -> bool:
        return values[port[index]] if len(port) > index and port[index] else missing

    offers = [(port, bit(port, 0, True), bit(port, 1, True)) for port in choices.inputs]
    outputs = [(port, bit(port, 0, True) and bit(port, 1, True)) for port in choices.outputs]
    return Sample(
        offered=any(valid for _, valid, _ in offers),
        taken=any(valid and ready for _, valid, ready in offers),
        ready=any(ready for _, _, ready in offers),
        input_last=any(valid and ready and bit(port, 2, False) for port, valid, ready in offers),
        fired=any(fired for _, fired in outputs),
        output_last=any(fired and bit(port, 2, False) for port, fired in outputs),
    )
