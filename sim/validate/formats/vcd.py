"""VCD waveforms: the signals of valid/ready ports, sampled just before each rising edge of the clock."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from sim import extras
from sim.errors import ConfigError, Problem, unknown
from sim.validate import handshake
from sim.validate.measured import FORMATS, Choices, Format, Measurements

CLOCKS = ("clk", "clock", "aclk", "ap_clk", "clk_i", "i_clk")
"""What a clock is called where nobody says."""


class Vcd(Format):
    """Value change dump (IEEE 1364), read by pyvcd."""

    name, title = "vcd", "VCD waveform"

    def recognizes(self, text: str) -> bool:
        """Return whether it begins with a keyword of a VCD."""
        return text.lstrip().startswith(("$date", "$version", "$timescale", "$comment", "$scope"))

    def read(self, text: str, file: str, choices: Choices) -> Measurements:
        """Return a row for each layer in the waveform."""
        handshake.required(choices, file)
        reader = extras.load("vcd.reader", "vcd")
        try:
            rows, notes = handshake.measure(_samples(reader, text, file, choices), choices, file)
        except reader.VCDParseError as error:
            raise ConfigError(Problem(f"is not a whole VCD: {error}", file)) from None
        return Measurements(file, self.name, tuple(rows), handshake.ABOUT, tuple(notes))


def _samples(reader: Any, text: str, file: str, choices: Choices) -> Iterator[handshake.Sample]:
    """Yield what the named signals say just before each rising edge of the clock."""
    kinds, paths, scopes = reader.TokenKind, dict[str, str](), list[str]()
    wave: _Wave | None = None
    for token in reader.tokenize(io.BytesIO(text.encode())):
        if wave is not None:
            if token.kind is kinds.CHANGE_TIME and wave.settle():
                yield wave.sample(choices)
            wave.change(token, kinds)
        elif token.kind is kinds.ENDDEFINITIONS:
            codes = {name: _find(name, paths, file) for name in handshake.signals(choices)}
            wave = _Wave(codes, _clock(choices.clock_signal, paths, file))
        else:
            _declare(token, kinds, paths, scopes)
    if wave is None:
        raise ConfigError(Problem("ends before $enddefinitions", file))
    if wave.settle():
        yield wave.sample(choices)


def _declare(token: Any, kinds: Any, paths: dict[str, str], scopes: list[str]) -> None:
    """Take in a declaration: a scope, its end, or a signal by its path."""
    if token.kind is kinds.SCOPE:
        scopes.append(token.scope.ident)
    elif token.kind is kinds.UPSCOPE:
        scopes.pop()
    elif token.kind is kinds.VAR:
        paths[".".join([*scopes, token.var.reference])] = token.var.id_code


class _Wave:
    """The values of the named signals, and those that change at the time that is being read."""

    def __init__(self, codes: dict[str, str], clock: str) -> None:
        self.codes, self.clock = codes, clock
        self.values = dict.fromkeys([*codes.values(), clock], False)
        self.before = self.values
        self.changes: dict[str, bool] = {}

    def change(self, token: Any, kinds: Any) -> None:
        """Take in a change of a signal that is named."""
        if token.kind not in (kinds.CHANGE_SCALAR, kinds.CHANGE_VECTOR):
            return
        change = token.scalar_change if token.kind is kinds.CHANGE_SCALAR else token.vector_change
        if change.id_code in self.values:
            self.changes[change.id_code] = _high(change.value)

    def settle(self) -> bool:
        """Let the changes of one time happen; return whether the clock has risen by them."""
        self.before, self.values = self.values, self.values | self.changes
        self.changes = {}
        return self.values[self.clock] and not self.before[self.clock]

    def sample(self, choices: Choices) -> handshake.Sample:
        """Return what the signals said before the changes that happened last."""
        return handshake.sample({name: self.before[code] for name, code in self.codes.items()}, choices)


def _high(value: int | str) -> bool:
    """Return whether any bit is 1; unknown bits are not."""
    return "1" in value if isinstance(value, str) else value != 0


def _clock(wanted: str | None, paths: dict[str, str], file: str) -> str:
    if wanted is not None:
        return _find(wanted, paths, file)
    found = {code for path, code in paths.items() if path.rpartition(".")[2].lower() in CLOCKS}
    if len(found) != 1:
        what = "more than one signal may be the clock" if found else "no signal is called like a clock"
        raise ConfigError(Problem(f"{what}; name it with --clock-signal", file))
    return found.pop()


def _find(name: str, paths: dict[str, str], file: str) -> str:
    """Return the code of a signal: its path whole, or the end of it where that is one signal."""
    found = {code for path, code in paths.items() if path == name or path.endswith(f".{name}")}
    if len(found) == 1:
        return found.pop()
    if found:
        where = sorted(path for path in paths if path.endswith(f".{name}"))
        raise ConfigError(Problem(f"'{name}' could be {' or '.join(where)}; write it out", file))
    raise ConfigError(Problem(unknown("signal", name, {path.rpartition(".")[2] for path in paths}), file))


FORMATS.register("vcd")(Vcd())
