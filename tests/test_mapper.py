"""Laws of the search over mappings: its bounds are bounds, it finds the best there is, and obeys what is fixed."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from sim.arch import MappingChoice, Tile
from sim.engine import Engine
from sim.errors import MappingError
from sim.fits import check
from sim.kernel import Axis, Contraction, VectorWork
from sim.mapper import Prices, _tables, search
from sim.mapper.candidates import array_of, axis_sizes, sizes
from sim.mapper.table import ranked
from sim.mapper.trials import alone
from sim.mapping import Tiling
from sim.planner import ALONE, Surroundings, plan_contraction
from tests.laws import ORDERS, arches, law

ANY = MappingChoice()
PRICES = Prices(
    100.0, {"weight": 1.0, "input": 1.5, "output": 3.0}, {"weight": 1.0, "input": 1.5, "output": 3.5}
)  # fmt: skip


@st.composite
def layers(draw):
    """A matrix product, or a convolution over one axis: small, so that all of its mappings can be tried."""
    batch, filters, channels = draw(st.integers(1, 12)), draw(st.integers(1, 6)), draw(st.integers(1, 12))
    if draw(st.booleans()):
        return Contraction("c", filters, channels, batch, draw(st.sampled_from((1, 1, 2))))
    window = Axis(8, draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 2)), pad=1)
    return Contraction("c", filters, min(3, channels), 1, draw(st.sampled_from((1, 1, 3))), (window,))


@st.composite
def chips(draw, count=None):
    """A chip with bounded memory whose buffers hold from a few bytes to everything."""
    arch = draw(arches(bounded=True, knobs=True, paced=True, count=count or draw(st.sampled_from((1, 1, 1, 2)))))
    sized = {
        name: buffer.model_copy(update={"capacity": draw(st.sampled_from((64, 200, 400, 10**6)))})
        for name, buffer in arch.buffers.items()
    }
    return arch.model_copy(update={"buffers": sized})


@st.composite
def surroundings(draw, kernel):
    """What may be around a contraction: operands on chip, fused work, parameters."""
    on_chip = draw(st.sampled_from(((), (), ("input",), ("output",), ("input", "output"))))
    elements = kernel.output_elements
    epilogue = (VectorWork("e", (elements,), elements, (("add", elements * 2),)),) if draw(st.booleans()) else ()
    return Surroundings(frozenset(on_chip), epilogue, draw(st.sampled_from((0, 5, kernel.groups * kernel.n, 40))))


def found(kernel, arch, around=ALONE, wish=ANY):
    """Return what the search finds, None where nothing fits."""
    try:
        return search(kernel, arch, "array", around, wish, PRICES)
    except MappingError:
        return None


def candidates(kernel, arch, around=ALONE, wish=ANY):
    return ranked(_tables(kernel, arch, around, wish, PRICES))


def few(kernel, arch, around=ALONE, most=400):
    """Return all candidates, and pass over cases that have more than `most`."""
    every = list(islice(candidates(kernel, arch, around), most + 1))
    assume(len(every) <= most)
    return every


def cycles_of(kernel, arch, around, mapping):
    plan = plan_contraction(Tiling(kernel, mapping), arch, "array", around)
    return Engine(arch).run(alone(plan, around)).cycles


@law(st.data(), quick=60, full=400)
def test_no_candidate_ends_before_its_bound_or_overflows(data):
    kernel, arch = data.draw(layers()), data.draw(chips())
    around = data.draw(surroundings(kernel))
    every = list(candidates(kernel, arch, around))
    assume(every)
    for index in data.draw(st.lists(st.integers(0, len(every) - 1), min_size=1, max_size=12, unique=True)):
        bound, _, mapping = every[index]
        check(Tiling(kernel, mapping), arch, around.on_chip, around.parameters)
        assert bound <= cycles_of(kernel, arch, around, mapping), mapping


@law(st.data(), quick=15, full=120)
def test_the_search_finds_what_trying_all_candidates_finds(data):
    kernel, arch = data.draw(layers()), data.draw(chips())
    around = data.draw(surroundings(kernel))
    every = few(kernel, arch, around)
    choice = found(kernel, arch, around)
    if choice is None:
        assert not every
        return
    tried = [(cycles_of(kernel, arch, around, mapping), energy) for _, energy, mapping in every]
    best = min(tried)
    assert choice.cycles == best[0]
    energies = {mapping: energy for _, energy, mapping in every}
    assert (choice.cycles, energies[choice.mapping]) == best
    assert choice.simulated <= len(every)


@law(st.data(), quick=15, full=120)
def test_more_bandwidth_more_room_or_less_latency_never_makes_a_layer_slower(data):
    """A theorem where nothing waits for a port; test_ports has the anomalies where one is shared."""
    kernel, arch = data.draw(layers()), data.draw(chips())
    free = {name: buffer.model_copy(update={"bandwidth": None}) for name, buffer in arch.buffers.items()}
    arch = arch.model_copy(update={"buffers": free})
    around = data.draw(surroundings(kernel))
    few(kernel, arch, around)
    before = found(kernel, arch, around)
    assume(before is not None)
    name = data.draw(st.sampled_from(sorted(arch.buffers)))
    buffer = arch.buffers[name]
    larger = {**arch.buffers, name: buffer.model_copy(update={"capacity": buffer.capacity * 2})}
    for change in (
        {"buffers": larger},
        {"memory": arch.memory.model_copy(update={"bandwidth": arch.memory.bandwidth * 2})},
        {"memory": arch.memory.model_copy(update={"latency": arch.memory.latency / 2})},
        {"link": arch.link.model_copy(update={"bandwidth": arch.link.bandwidth * 2})},
    ):
        assert found(kernel, arch.model_copy(update=change), around).cycles <= before.cycles, change


@st.composite
def wishes(draw, kernel, arch):
    """Something that the user fixes: tiles of the sizes that the search tries, and anything else."""
    sizes = {dim: axis_sizes(kernel, arch, ANY, dim) for dim in ("m", "n", "k")}
    tile = {dim: draw(st.sampled_from(found)) for dim, found in sizes.items() if draw(st.booleans())}
    return MappingChoice(
        tile=Tile(**tile),
        order=list(draw(st.sampled_from(ORDERS))) if draw(st.booleans()) else None,
        resident=sorted(draw(st.sets(st.sampled_from(("weight", "input", "output")), max_size=2))) or None,
        lowering=draw(st.sampled_from(("auto", "im2col", "direct"))),
        groups=draw(st.sampled_from(("auto", "serial", "packed"))),
        split=draw(st.sampled_from(("auto", "m", "n", "k"))),
    )


@law(st.data(), quick=25, full=150)
def test_what_is_fixed_is_obeyed_and_never_beats_the_search(data):
    kernel, arch = data.draw(layers()), data.draw(chips())
    wish = data.draw(wishes(kernel, arch))
    few(kernel, arch)
    choice = found(kernel, arch, wish=wish)
    assume(choice is not None)
    mapping = choice.mapping
    for dim in ("m", "n", "k"):
        assert getattr(wish.tile, dim) in (None, mapping.tile(dim))
    assert wish.order is None or mapping.order == tuple(wish.order)
    assert all(mapping.level(operand) == 0 for operand in wish.resident or ())
    assert mapping.lowering == ("im2col" if wish.lowering == "auto" else wish.lowering)
    assert wish.groups != "serial" or mapping.packed == 1
    assert mapping.split == (None if array_of(arch).count == 1 else mapping.split)
    assert array_of(arch).count == 1 or wish.split in ("auto", mapping.split)
    if wish.lowering != "direct":
        assert found(kernel, arch).cycles <= choice.cycles


@law(st.data(), quick=8, full=40)
def test_the_same_question_gets_the_same_answer(data):
    kernel, arch = data.draw(layers()), data.draw(chips())
    around = data.draw(surroundings(kernel))
    few(kernel, arch, around)
    assert found(kernel, arch, around) == found(kernel, arch, around)


@law(st.data(), quick=20, full=120)
def test_where_nothing_is_found_not_even_the_smallest_tile_fits(data):
    kernel, arch = data.draw(layers()), data.draw(chips())
    if next(candidates(kernel, arch), None) is not None:
        return
    assert found(kernel, arch) is None
    smallest = [sizes[0] for sizes in (axis_sizes(kernel, arch, ANY, dim) for dim in ("m", "n", "k"))]
    for order in ORDERS:
        for wish in ({"order": list(order)}, {"order": list(order), "groups": "serial"}):
            with pytest.raises(MappingError):
                search(kernel, arch, "array", wish=MappingChoice(
                    tile=Tile(**dict(zip(("m", "n", "k"), smallest, strict=True))), **wish))  # fmt: skip


@law(layers(), chips(), st.integers(1, 6), st.integers(1, 6), quick=40, full=400)
def test_a_larger_search_never_returns_a_worse_mapping(kernel, arch, effort, more):
    smaller, larger = (found(kernel, arch, wish=MappingChoice(effort=e)) for e in (effort, effort + more))
    assert smaller is None or (larger is not None and larger.cycles <= smaller.cycles)


def test_tiles_of_an_arrays_side_are_tried_where_there_are_many_larger_ones():
    """With effort 3, 400 is cut into 200 or more, 2, and the side of 4, which no smaller cut leaves empty in part."""
    assert sizes(400, 1, 4, 3) == [2, 4, 200, 256, 400]
    assert sizes(3, 1, 4, 3) == [2, 3]
