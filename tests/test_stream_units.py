"""Units with buffers of their own: the matrix-vector unit's replay buffer, the sliding window's line buffer."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from sim.streaming.graph import Channel, Graph, Phase, Unit
from sim.streaming.simulate import simulate
from sim.streaming.units.matvec import MatVec
from sim.streaming.units.sliding_window import SlidingWindow
from tests.laws import law
from tests.streaming_oracle import same


def chain(*units: Unit, depth: int | None = 2) -> Graph:
    """Return the units in a row: a source of what the first takes, and a sink of what the last pushes."""
    channels = ["c0", *(f"c{i + 1}" for i in range(len(units)))]
    taken, made = units[0].tokens("c0", "pop", "read"), units[-1].tokens(channels[-1], "push")
    source = Unit("source", "source", (Phase.of(1, pushes=["c0"]),), taken)
    sink = Unit("sink", "sink", (Phase.of(1, pops=[channels[-1]], interval=0),), made, 0)
    return Graph.of("chain", [source, *units, sink], [Channel(name, depth) for name in channels])


def matvec(index: int, inputs: int, outputs: int, simd: int, pe: int, vectors: int) -> Unit:
    spec = MatVec(kind="matvec", inputs=inputs, outputs=outputs, simd=simd, pe=pe, vectors=vectors,
                  pop=f"c{index}", push=f"c{index + 1}")  # fmt: skip
    return spec.build(f"mv{index}")


def steady(depth: int) -> int:
    """Return the cycles that a vector takes in the steady state of two equal stages of 8 passes of 8 words."""

    def cycles(vectors: int) -> int:
        stages = (matvec(i, 64, 64, 8, 8, vectors) for i in range(2))
        return simulate(chain(*stages, depth=depth)).cycles or 0

    return (cycles(60) - cycles(40)) // 20


def test_two_equal_stages_lose_most_of_their_rate_with_shallow_fifos() -> None:
    """The first pass of the second stage waits for words that the first stage, held up before, sends one by one."""
    intervals = [steady(depth) for depth in range(1, 9)]
    assert intervals == sorted(intervals, reverse=True)
    assert intervals[0] >= 1.5 * 64
    assert intervals[-1] == 64


@st.composite
def stages(draw):
    """One or two matrix-vector units in a row, their folding and the depth between them."""
    simd, pe, vectors = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    first = matvec(0, simd * draw(st.integers(1, 4)), pe * draw(st.integers(1, 4)), simd, pe, vectors)
    words = first.tokens("c1", "push") // vectors
    units = [first, matvec(1, words, draw(st.integers(1, 5)), 1, 1, vectors)][: draw(st.integers(1, 2))]
    return chain(*units, depth=draw(st.integers(1, 9)))


@law(stages(), quick=40, full=1_000)
def test_matrix_vector_units_are_the_same_on_every_engine(graph: Graph) -> None:
    same(graph)


def test_a_matrix_vector_unit_takes_passes_times_words_cycles_a_vector() -> None:
    unit = matvec(0, 24, 20, 4, 5, 10)
    assert unit.firings == 10 * (24 // 4) * (20 // 5)
    assert unit.holds == {"c0": 6}
    result = simulate(chain(unit))
    assert result.cycles == 1 + 10 * 24  # the first word arrives in cycle 1; the last is sent in the last firing
    assert result.channels["c0"].peak_occupancy == 2 + 6


def test_a_single_pass_needs_no_replay_buffer() -> None:
    assert matvec(0, 24, 5, 4, 5, 10).holds == {}


def windows(**settings) -> Unit:
    return SlidingWindow(**{"kind": "sliding_window", "pop": "c0", "push": "c1", **settings}).build("window")


def needed(height: int, width: int, kernel: int, stride: int, pad: int) -> list[set[int]]:
    """Return the pixels of each window, by the definition of a convolution."""
    rows = range(-pad, height + pad - kernel + 1, stride)
    columns = range(-pad, width + pad - kernel + 1, stride)
    return [
        {y * width + x for y in range(top, top + kernel) for x in range(left, left + kernel)
         if 0 <= y < height and 0 <= x < width}
        for top in rows for left in columns
    ]  # fmt: skip


@st.composite
def pictures(draw):
    kernel = draw(st.integers(1, 4))
    pad = draw(st.integers(0, kernel - 1))
    least = max(1, kernel - 2 * pad)
    return {"height": draw(st.integers(least, 7)), "width": draw(st.integers(least, 7)), "kernel": kernel,
            "stride": draw(st.integers(1, 5)), "pad": pad}  # fmt: skip


@law(pictures(), st.integers(1, 3), quick=80, full=2_000)
def test_every_window_finds_its_pixels_in_the_line_buffer(picture, folds) -> None:
    """Walk the phases: when a window is pushed, all its pixels have come and none has been freed; and none twice."""
    unit, come, freed, found = windows(**picture, folds=folds), 0, 0, []
    for phase in unit.phases:
        for _ in range(phase.count):
            for op in phase.ops:
                come += op.verb in ("read", "pop")
                freed += op.verb in ("free", "pop")
                assert freed <= come and come - freed <= unit.holds["c0"]
        if phase.ops[0].verb == "push":
            assert phase.count == picture["kernel"] ** 2 * folds
            found.append((freed // folds, come // folds))
    wanted = needed(**picture)
    assert len(found) == len(wanted)
    for (first, past), pixels in zip(found, wanted, strict=True):
        assert first <= min(pixels) and max(pixels) < past
    assert come == freed == picture["height"] * picture["width"] * folds


@law(pictures(), st.integers(1, 3), quick=15, full=500)
def test_sliding_windows_are_the_same_on_every_engine(picture, frames) -> None:
    same(chain(windows(**picture, frames=frames, words=2)))


def test_the_line_buffer_holds_kernel_less_one_rows_and_kernel_pixels() -> None:
    assert windows(height=28, width=20, kernel=3).holds == {"c0": 2 * 20 + 3}
    assert windows(height=28, width=20, kernel=5, pad=2, folds=4).holds == {"c0": (4 * 20 + 5) * 4}
    assert windows(height=28, width=20, kernel=1).holds == {"c0": 1}


@pytest.mark.parametrize(("spec", "message"), [
    (lambda: matvec(0, 24, 20, 5, 4, 1), "'simd' 5 does not divide 24; choose from: 1, 2, 3, 4, 6, 8, 12, 24"),
    (lambda: matvec(0, 24, 20, 4, 3, 1), "'pe' 3 does not divide 20; choose from: 1, 2, 4, 5, 10, 20"),
    (lambda: windows(height=3, width=9, kernel=6, pad=1),
     "a window of 6 does not fit into a 3 x 9 picture with 1 of padding; make 'kernel' smaller"),
    (lambda: windows(height=3, width=9, kernel=2, pad=2),
     "'pad' 2 makes windows of zeros alone; it must be below 'kernel' 2"),
])  # fmt: skip
def test_what_does_not_fit_is_told(spec, message) -> None:
    with pytest.raises(ValueError) as error:
        spec()
    assert str(error.value) == message
