"""Chains of matrix-vector units as FINN builds them: private buffers, the graphs of BNN-PYNQ, what boards measured."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from sim.streaming.graph import Channel, Graph, Phase, Unit
from sim.streaming.simulate import simulate
from sim.streaming.units.matvec import MatVec
from tests.laws import law
from tests.streaming_oracle import same
from tests.validation.reference import rows
from tests.validation.references.finn import cycles, layers, rates

LFC, CNV, *_, LONE = rows("figures", "finn_bnn_pynq.csv")


def chain(sizes: list[tuple[int, int]], vectors: int, depth: int, buffer: str) -> Graph:
    """Return matrix-vector units in a row: (words of a vector, passes) each, a word a cycle at most."""
    units = [
        MatVec.model_validate({
            "inputs": words, "outputs": passes, "vectors": vectors, "buffer": buffer,
            "pop": f"c{i}", "push": f"c{i + 1}",
        }).build(f"mv{i}")
        for i, (words, passes) in enumerate(sizes)
    ]  # fmt: skip
    source = Unit("source", "source", (Phase.of(1, pushes=["c0"]),), sizes[0][0] * vectors)
    last = f"c{len(sizes)}"
    sink = Unit("sink", "sink", (Phase.of(1, pops=[last], interval=0),), sizes[-1][1] * vectors, 0)
    return Graph.of("chain", [source, *units, sink], [Channel(f"c{i}", depth) for i in range(len(sizes) + 1)])


@st.composite
def shapes(draw):
    """Sizes of up to three units in a row, images, and the depth between them."""
    words, sizes = draw(st.integers(1, 6)), []
    for _ in range(draw(st.integers(1, 3))):
        sizes.append((words, draw(st.integers(1, 6))))
        words = sizes[-1][1]
    return sizes, draw(st.integers(1, 6)), draw(st.integers(1, 9))


@law(shapes(), quick=40, full=1_000)
def test_units_with_a_private_buffer_are_the_same_on_every_engine(shape) -> None:
    same(chain(*shape, "private"))


@law(shapes(), quick=40, full=1_000)
def test_a_buffer_that_adds_to_the_channel_never_costs_a_cycle(shape) -> None:
    private, shared = (simulate(chain(*shape, buffer)).cycles for buffer in ("private", "shared"))
    assert private is not None and shared is not None and private >= shared


def test_whole_vectors_between_units_keep_the_pace_of_the_slowest_and_half_vectors_do_not() -> None:
    """The slowest layer of LFC takes 512 cycles; its FIFOs hold 512 bits of vectors of 1,024."""

    def interval(bits: int) -> int:
        few, more = (simulate("finn/lfc", {"images": count, "buffered": bits}).cycles or 0 for count in (10, 20))
        return (more - few) // 10

    assert interval(1024) == 512
    assert 512 < interval(512) <= 841


def test_layers_take_the_cycles_that_the_generator_states() -> None:
    cases = list(layers())
    assert len(cases) == 22
    assert all(case.exact for case in cases)


def test_rates_of_boards_are_within_one_percent_where_fifos_hold_a_vector() -> None:
    errors = {case.name.split(",")[0]: case.error_pct for case in rates() if "10,000 images" in case.name}
    assert abs(errors["CNV-W1A1 on Ultra96"]) < 0.1
    assert abs(errors["CNV-W1A2 on Ultra96"]) < 0.1
    assert abs(errors["CNV-W2A2 on Ultra96"]) < 1
    assert -15 < errors["LFC-W1A1 on Ultra96"] < 0


@pytest.mark.parametrize("row", [LFC, CNV], ids=lambda row: row["network"])
def test_images_counted_on_are_those_of_a_long_run(row) -> None:
    """Past the first images every one takes as long as the one before."""
    found = simulate(row["graph"], {"images": 100}).cycles
    assert cycles(row, 100) == found


def test_a_lone_image_takes_longer_on_the_board_by_less_than_an_eighth() -> None:
    """The board waits for whole rows before its windows, and its host polls; the graph does neither."""
    measured = float(LONE["microseconds"]) * int(LONE["clock_mhz"])
    assert 0.875 * measured < cycles(LONE, 1) < measured
