"""Sliding window: pixels in, the windows of a convolution out, from a line buffer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sim.streaming.formula import Place
from sim.streaming.graph import Phase, Unit
from sim.streaming.kinds import UNITS, UnitFile, limited


@UNITS.register("sliding_window")
class SlidingWindow(UnitFile):
    """Turns a picture, pixel by pixel in rows, into the window of each output pixel, word by word.

    A pixel is `folds` words. A window begins once its last pixel has come, and takes a firing for each of its
    kernel · kernel · folds words (`words` sets another number: 1 pushes a window at once); words of the padding are
    zeros that nobody sends. A pixel stays in the line buffer until no later window needs it: at most (kernel - 1)
    rows and kernel pixels, which add to the depth of the input channel.
    """

    kind: Literal["sliding_window"] = "sliding_window"
    height: int = Field(ge=1, description="rows of the picture")
    width: int = Field(ge=1, description="pixels of a row")
    kernel: int = Field(ge=1, description="rows and columns of the window")
    stride: int = Field(1, ge=1, description="pixels from a window to the next")
    pad: int = Field(0, ge=0, description="zeros around the picture")
    folds: int = Field(1, ge=1, description="words of a pixel")
    words: int | None = Field(None, ge=1, description="words pushed for a window; all of it by default")
    frames: int = Field(1, ge=1, description="pictures in the whole run")
    interval: int = Field(1, ge=0, description="cycles from a word to the next")
    pop: str
    push: str

    def build(self, name: str) -> Unit:
        """Return the unit; ValueError where no window fits into the picture, or one would lie in the padding."""
        if min(self.height, self.width) + 2 * self.pad < self.kernel:
            size = f"{self.height} x {self.width} picture with {self.pad} of padding"
            raise ValueError(f"a window of {self.kernel} does not fit into a {size}; make 'kernel' smaller")
        if self.pad >= self.kernel:
            raise ValueError(f"'pad' {self.pad} makes windows of zeros alone; it must be below 'kernel' {self.kernel}")
        limited("pixels", self.height * self.width)
        windows = self._windows()
        buffered = max(last + 1 - first for first, last in windows)
        words = self.words or self.kernel**2 * self.folds
        phases = phases_of(windows, self.height * self.width, self.folds, words, self.interval, self.pop, self.push)
        return Unit(name, self.kind, phases, self.frames, self.latency, {self.pop: buffered * self.folds},
                    behaviour=Windows(self))  # fmt: skip

    def _windows(self) -> list[tuple[int, int]]:
        """Return for each window the first pixel that it or a later one needs, and the last that it waits for."""
        own = [
            (max(top, 0) * self.width + max(left, 0), self._last(top, left))
            for top in range(-self.pad, self.height + self.pad - self.kernel + 1, self.stride)
            for left in range(-self.pad, self.width + self.pad - self.kernel + 1, self.stride)
        ]
        firsts = list(accumulate((first for first, _ in reversed(own)), min))[::-1]
        return list(zip(firsts, accumulate((last for _, last in own), max), strict=True))

    def _last(self, top: int, left: int) -> int:
        bottom, right = min(top + self.kernel, self.height) - 1, min(left + self.kernel, self.width) - 1
        return bottom * self.width + right


def phases_of(windows: Sequence[tuple[int, int]], pixels: int, folds: int, words: int, interval: int,
              pop: str, push: str) -> tuple[Phase, ...]:  # fmt: skip
    """Return for each window: read what is new, push it in `words` words, free what no later window needs.

    `windows` are the first pixel that each or a later one needs and the last that it waits for, both rising; a
    picture has `pixels` of `folds` words.
    """
    found, come = list[Phase](), 0
    for (first, last), (later, _) in pairwise([*windows, (pixels, pixels)]):
        found += _quiet((last + 1 - come) * folds, reads=[pop])
        found.append(Phase.of(words, pushes=[push], interval=interval))
        come = last + 1
        found += _quiet((min(later, come) - first) * folds, frees=[pop])
        found += _quiet((max(later, come) - come) * folds, pops=[pop])
        come = max(later, come)
    return tuple(found)


def _quiet(words: int, **ops: list[str]) -> list[Phase]:
    """Return the firings that move words into or out of the buffer; they take no time of their own."""
    return [Phase.of(words, interval=0, **ops)] if words else []


@dataclass(frozen=True)
class Windows:
    """The values of a sliding window: the words of a window in rows, those of its padding 0.

    A window that is pushed at once (`words: 1`) is one array of them; other numbers of words have no values.
    """

    spec: SlidingWindow

    def start(self, parameter: Any) -> dict[str, Any]:
        """Return the state of a new picture."""
        return {"words": [], "pushed": 0}

    def step(self, state: dict[str, Any], taken: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        """Keep what came, or return the word whose turn it is."""
        state["words"] += taken.values()
        if not place.pushes:
            return {}
        whole = self.spec.kernel**2 * self.spec.folds
        window, word = divmod(state["pushed"], self.spec.words or whole)
        state["pushed"] += 1
        if self.spec.words == 1:
            return {self.spec.push: np.array([self._word(state["words"], window, at) for at in range(whole)])}
        return {self.spec.push: self._word(state["words"], window, word)} if self.spec.words in (None, whole) else {}

    def _word(self, words: Sequence[Any], window: int, word: int) -> Any:
        spec = self.spec
        columns = (spec.width + 2 * spec.pad - spec.kernel) // spec.stride + 1
        pixel, fold = divmod(word, spec.folds)
        y = window // columns * spec.stride - spec.pad + pixel // spec.kernel
        x = window % columns * spec.stride - spec.pad + pixel % spec.kernel
        inside = 0 <= y < spec.height and 0 <= x < spec.width
        return words[(y * spec.width + x) * spec.folds + fold] if inside else np.zeros_like(words[0])
