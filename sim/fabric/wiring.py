"""The stages of a part as a streaming graph: tokens of whole positions, one unit a layer, line buffers before windows.

A unit takes its token when it begins and pushes the result when its cycles are over, so that a unit is never faster
than word-level hardware: what that would overlap within a token is counted as fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, log2

from sim.arch import Arch, Dram, Fabric
from sim.arch import channel as off_chip
from sim.fabric.folding import Fold, held
from sim.fabric.parts import Part
from sim.fabric.stages import Source, Stage, windows
from sim.streaming.graph import Channel, Graph, Phase, Port, Unit
from sim.streaming.schema import ChannelFile
from sim.streaming.units.memory import BOUNDARY, Reader, Writer
from sim.streaming.units.sliding_window import phases_of

PORT = "dram"
MULTIPLIER_REGISTERS = 3
"""Registers from the operands to the sum of a DSP48E2 at full speed (AMD UG579); the adder tree has one a level."""


@dataclass
class Wiring:
    """A streaming graph in the making, and what its units are to the layers."""

    part: Part
    chip: Arch
    fabric: Fabric
    images: int
    kept: frozenset[str]
    """Tensors that later parts or nobody read: they go off chip."""
    places: Places
    """Where tensors lie in the memory behind the port."""
    units: list[Unit] = field(default_factory=list)
    channels: dict[str, Channel] = field(default_factory=dict)
    layer: dict[str, str] = field(default_factory=dict)
    """Unit to the layer that it belongs to."""
    widths: dict[str, int] = field(default_factory=dict)
    """Channel to the elements of a token."""

    def build(self) -> Graph:
        """Return the graph, every channel at its plain depth."""
        folds = dict(zip((stage.name for stage in self.part.stages), self.part.plan.folds, strict=True))
        self.made = {stage.task.writes: stage for stage in self.part.stages}
        self.pace = {name: _paces(stage, folds[name])[0][1] for name, stage in self._named()}
        for name, stage in self._named():
            self._stage(stage, folds[name])
        memory = self.chip.memory
        memories = {PORT: memory.open()} if isinstance(memory, Dram) else {}
        return Graph.of(self.part.stages[0].name, self.units, self.channels.values(), ports(self.chip, self.fabric),
                        memories, self.chip.clock)  # fmt: skip

    def _named(self) -> list[tuple[str, Stage]]:
        return [(stage.name, stage) for stage in self.part.stages]

    @property
    def word(self) -> int:
        """Bytes of a word of the port."""
        return word(self.chip, self.fabric)

    def _channel(self, name: str, width: int, bits: float, depth: int | None = None) -> str:
        size = max(1, ceil(width * bits))
        made = ChannelFile(depth=depth or self.fabric.fifo, bits=size, preset=self.fabric.channel).build(name)
        self.channels[name], self.widths[name] = made, width
        return name

    def _add(self, stage: Stage, unit: Unit) -> None:
        self.units.append(unit)
        self.layer[unit.name] = stage.name

    def _stage(self, stage: Stage, fold: Fold) -> None:
        inputs = [(source, self._input(index, source, stage)) for index, source in enumerate(stage.sources)]
        weights = self._weights(stage, fold) if fold.streamed and off_chip(self.chip) else None
        pops: list[tuple[Source, str]] = []
        for source, channel in inputs:
            pops.append((source, self._window(stage, fold, source, channel) if source.flow == "window" else channel))
        pushes = [f"{stage.name}->{reader.name}" for reader in self.part.stages
                  for source in reader.sources if source.tensor == stage.task.writes]  # fmt: skip
        if stage.task.writes in self.kept or not pushes:
            pushes.append(f"{stage.name}->{PORT}")
            self._store(stage)
        self._add(stage, compute(stage, fold, pops, pushes, weights, self._words(stage), self.images))

    def _input(self, index: int, source: Source, stage: Stage) -> str:
        """Return the channel that brings an input, with what feeds it where it comes from off chip."""
        maker = self.made.get(source.tensor)
        bits = self.chip.bits(source.operand)
        if maker is not None:
            depth = max(self.fabric.fifo, self._depth(maker)) + ahead(stage, source)
            return self._channel(f"{maker.name}->{stage.name}", source.width, bits, depth)
        depth = self.fabric.fifo + ahead(stage, source)
        channel = self._channel(f"{PORT}->{stage.name}.{index}", source.width, bits, depth)
        if off_chip(self.chip) is None:
            phase = Phase.of(1, pushes=[channel])
            self._add(stage, Unit(f"{stage.name}.source{index}", "source", (phase,), source.tokens * self.images))
            return channel
        words = ceil(source.tokens * source.width * bits / 8 / self.word)
        raw = self._channel(f"{stage.name}.words{index}", self.word, 8)
        self._read(stage, f"{stage.name}.load{index}", raw, words, self.images, source.tensor)
        unpack = repack(f"{stage.name}.unpack{index}", raw, channel, words, source.tokens, self.images)
        self._add(stage, unpack)
        return channel

    def _depth(self, maker: Stage) -> int:
        """Return the tokens that the pipeline of a stage holds at full rate, and one behind it."""
        fold = self.part.plan.folds[self.part.stages.index(maker)]
        return ceil((latency(maker, fold) + 1) / max(1, self.pace[maker.name])) + 1

    def _read(self, stage: Stage, name: str, channel: str, words: int, passes: int, tensor: str) -> None:
        reader = Reader(port=PORT, words=words, passes=passes, bytes=self.word, burst=self.fabric.port.burst,
                        address=self.places.base(tensor, words * self.word), push=channel)  # fmt: skip
        self._add(stage, reader.build(name))

    def _words(self, stage: Stage) -> int:
        """Return the words of a stage's weights."""
        return ceil(stage.matrix * self.chip.bits("weight") / 8 / self.word)

    def _weights(self, stage: Stage, fold: Fold) -> str:
        channel = self._channel(f"{stage.name}.weight_words", self.word, 8)
        self._read(stage, f"{stage.name}.weights", channel, self._words(stage), stage.tokens * self.images,
                   weights_of(stage))  # fmt: skip
        return channel

    def _window(self, stage: Stage, fold: Fold, source: Source, channel: str) -> str:
        """Return the channel of windows that a line buffer makes of `channel`."""
        made = self._channel(f"{stage.name}.windows", 1, 1)
        passes = ceil(stage.products[0].columns * stage.products[0].groups / fold.pe) if stage.products else 1
        pace = max(1, self.pace[stage.name] // passes)
        phases = phases_of(windows(stage.axes), source.tokens, 1, 1, pace, channel, made)
        holds = {channel: held(stage)}
        self._add(stage, Unit(f"{stage.name}.window", "sliding_window", phases, self.images, holds=holds))
        return made

    def _store(self, stage: Stage) -> None:
        bits = self.chip.bits("output")
        channel = self._channel(f"{stage.name}->{PORT}", stage.width, bits, self._depth(stage))
        if off_chip(self.chip) is None:
            sink = Phase.of(1, pops=[channel], interval=0)
            self._add(stage, Unit(f"{stage.name}.sink", "sink", (sink,), stage.tokens * self.images, 0))
            return
        words = ceil(stage.tokens * stage.width * bits / 8 / self.word)
        raw = self._channel(f"{stage.name}.stored", self.word, 8)
        self._add(stage, repack(f"{stage.name}.pack", channel, raw, stage.tokens, words, self.images))
        base = self.places.base(stage.task.writes, words * self.word)
        writer = Writer(port=PORT, words=words, passes=self.images, bytes=self.word, burst=self.fabric.port.burst,
                        address=base, pop=raw)  # fmt: skip
        self._add(stage, writer.build(f"{stage.name}.store"))


@dataclass
class Places:
    """Where tensors lie off chip: one after the other from byte 0 on, each at a 4 KiB boundary."""

    bases: dict[str, int] = field(default_factory=dict)
    end: int = 0

    def base(self, tensor: str, size: int) -> int:
        """Return the byte at which a tensor of `size` bytes begins, the same whenever it is asked for."""
        if tensor not in self.bases:
            self.bases[tensor] = self.end
            self.end += -(-size // BOUNDARY) * BOUNDARY
        return self.bases[tensor]


def weights_of(stage: Stage) -> str:
    """Return what a stage's weights are called among tensors."""
    return f"{stage.name}.weight"


def ports(chip: Arch, fabric: Fabric) -> list[Port]:
    """Return the port to off-chip memory, if there is any; a simple memory adds its latency, DRAM its own time."""
    line, port = off_chip(chip), fabric.port
    if line is None:
        return []
    if isinstance(chip.memory, Dram):
        return [Port(PORT, port.read_latency, port.write_latency, port.outstanding, PORT)]
    return [Port(PORT, port.read_latency + line.latency, port.write_latency, port.outstanding)]


def word(chip: Arch, fabric: Fabric) -> int:
    """Return the bytes of a word of the port: as many as the memory has for every cycle, a power of two, at most the
    port's width."""
    line = off_chip(chip)
    rate = fabric.port.width if line is None else int(line.burst / line.cycles_per_burst)
    return min(1 << max(0, min(rate, fabric.port.width).bit_length() - 1), BOUNDARY)


def ahead(stage: Stage, source: Source) -> int:
    """Return the tokens that a FIFO holds beside its stage's own buffer, so that a steady producer never waits.

    With a window: tokens come at an even rate, n an image, and the W windows of an image follow each other evenly,
    as early as the last token of each allows. What has come and cannot be freed yet is at its most just before a
    window is over. An image that a stage waits for comes while the stage is at work on the one before.
    """
    if source.flow != "window":
        return source.tokens if source.flow == "whole" and stage.tokens > 1 else 0
    spans = windows(stage.axes)
    count, tokens = len(spans), source.tokens
    lag = max((last + 1) * count - index * tokens for index, (_, last) in enumerate(spans))
    most = max(-(-(lag + (index + 1) * tokens) // count) - first for index, (first, _) in enumerate(spans))
    return max(0, most - held(stage))


def latency(stage: Stage, fold: Fold) -> int:
    """Return the pipeline registers of a stage: of multiplier and adder tree, or one an operation of a lane."""
    if stage.products:
        return MULTIPLIER_REGISTERS + ceil(log2(fold.simd)) + stage.operations
    return max(1, stage.operations)


def _paces(stage: Stage, fold: Fold) -> list[tuple[int, int]]:
    """Return (tokens, cycles of each): an image's cycles over its tokens, the odd ones at the end."""
    return spread(fold.cycles, stage.tokens)


def spread(total: int, count: int) -> list[tuple[int, int]]:
    """Return (how many, how much each) of `count` whole shares of `total` that differ by one at most."""
    each, more = divmod(total, count)
    return [(n, size) for n, size in ((count - more, each), (more, each + 1)) if n]


def compute(stage: Stage, fold: Fold, inputs: Sequence[tuple[Source, str]], pushes: Sequence[str],
            weights: str | None, words: int, images: int) -> Unit:  # fmt: skip
    """Return the unit that does the work of a stage.

    Images that it waits for come first, without time of their own; a sum over all of one image is added up as it comes.
    """
    whole = [(source, channel) for source, channel in inputs if source.flow == "whole"]
    pops = [channel for source, channel in inputs if source.flow != "whole"]
    phases = list[Phase]()
    if stage.tokens == 1 and not stage.products and len(inputs) == len(whole) == 1:
        (source, channel), = whole
        for count, pace in spread(fold.cycles, source.tokens):
            phases.append(Phase.of(count, [channel], interval=pace))
        phases.append(Phase.of(1, pushes=pushes, interval=0))
    else:
        phases += [Phase.of(source.tokens, [channel], interval=0) for source, channel in whole]
        for count, pace in _paces(stage, fold):
            phases += _firings(count, pace, pops, pushes, [weights] * words if weights else [])
    repeat = images
    if not whole and len(_paces(stage, fold)) == 1:
        phases, repeat = _once(phases, stage.tokens), images * stage.tokens
    return Unit(stage.name, "matvec" if stage.products else "lanes", tuple(phases), repeat, latency(stage, fold))


def _once(phases: list[Phase], tokens: int) -> list[Phase]:
    """Return the phases of one token out of those of `tokens` alike."""
    if len(phases) == 1:
        return [Phase(1, phases[0].ops, phases[0].interval)]
    return phases[: len(phases) // tokens]


def _firings(count: int, pace: int, pops: Sequence[str], pushes: Sequence[str], weights: Sequence[str]) -> list[Phase]:
    """Return the firings of `count` tokens of `pace` cycles each: inputs first, weights on the way, the result last."""
    if len(weights) > 1:
        return list(_weighted(pace, pops, pushes, weights)) * count
    if pace < 2:
        return [Phase.of(count, [*pops, *weights], pushes, interval=pace)]
    return [Phase.of(1, [*pops, *weights], interval=pace - 1), Phase.of(1, pushes=pushes)] * count


def _weighted(pace: int, pops: Sequence[str], pushes: Sequence[str], weights: Sequence[str]) -> Iterator[Phase]:
    channel, words = weights[0], len(weights)
    shares = [size for count, size in spread(pace, words) for size in [size] * count]
    yield Phase.of(1, [*pops, channel], interval=shares[0])
    for count, size in spread(pace - shares[0] - shares[-1], words - 2) if words > 2 else []:
        yield Phase.of(count, [channel], interval=size)
    yield Phase.of(1, [channel], pushes, interval=shares[-1])


def repack(name: str, pop: str, push: str, came: int, made: int, images: int) -> Unit:
    """Return the unit that makes `made` tokens of `came` for each image, in order, each as soon as its parts are there.

    It moves one of the more numerous a cycle.
    """
    if came == made:
        return Unit(name, "repack", (Phase.of(1, [pop], [push]),), images * made)
    phases, at = list[Phase](), 0
    for index in range(min(came, made)):
        if came < made:
            until = made * (index + 1) // came
            phases += [Phase.of(1, [pop], interval=0), *_some(until - at, pushes=[push])]
        else:
            until = -(-came * (index + 1) // made)
            phases += [*_some(until - at - 1, pops=[pop]), Phase.of(1, [pop], [push])]
        at = until
    return Unit(name, "repack", tuple(phases), images)


def _some(count: int, pops: Sequence[str] = (), pushes: Sequence[str] = ()) -> list[Phase]:
    return [Phase.of(count, pops, pushes)] if count else []
