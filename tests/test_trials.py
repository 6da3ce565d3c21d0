"""Runs that a search remembers for other chips: found again they are the same, to the cycle."""

from typing import Any

import pytest
from hypothesis import strategies as st

from sim import workload
from sim.arch import Arch
from sim.engine import Engine
from sim.errors import CapacityError, MappingError
from sim.frontend import Read, Stage
from sim.graph import Graph
from sim.kernel import Axis, Contraction
from sim.mapper import Choice, Trials, search
from sim.mapper.trials import Room
from sim.mapping import Mapping, Tiling
from sim.planner import plan_contraction
from sim.result import Result
from sim.simulate import simulate
from tests.laws import arches, law, mappings, tight

NETWORK = """name: n
inputs: {x: [1, 6, 9, 9]}
layers:
  - {name: a, op: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: relu, op: relu}
  - {name: b, op: conv2d, in: relu, filters: 6, kernel: 1}
  - {name: c, op: conv2d, in: relu, filters: 6, kernel: 3, pad: 1, groups: 2}
  - {name: sum, op: add, in: [b, c]}
  - {name: pool, op: maxpool, kernel: 2}
  - {name: fc, op: conv2d, filters: 5, kernel: 1}
"""


@st.composite
def products(draw: Any) -> Contraction:
    """A matrix product or a convolution over one axis, small enough to be searched often."""
    spatial = (Axis(9, 7, 3),) if draw(st.booleans()) else ()
    filters, depth, batch = (draw(st.integers(1, 9)) for _ in range(3))
    return Contraction("c", filters, depth, batch, draw(st.integers(1, 2)), spatial)


def found(kernel: Contraction, arch: Arch, trials: Trials | None) -> Choice | str:
    """Return what the search finds, or what it says."""
    try:
        return search(kernel, arch, "array", trials=trials)
    except MappingError as error:
        return str(error)


def sized(arch: Arch, capacity: int) -> Arch:
    """Return the chip with every buffer of so many bytes."""
    changed = {name: buffer.model_copy(update={"capacity": capacity}) for name, buffer in arch.buffers.items()}
    return arch.model_copy(update={"buffers": changed})


@law(st.data(), quick=3, full=400)
def test_a_search_that_knows_runs_of_other_capacities_finds_the_same(data: Any) -> None:
    kernel, arch = data.draw(products()), data.draw(arches(bounded=True, knobs=True, paced=True))
    trials = Trials()
    for capacity in data.draw(st.permutations((48, 96, 200, 1000))):
        chip = sized(arch, capacity)
        assert found(kernel, chip, trials) == found(kernel, chip, None)


@law(products(), arches(bounded=True), quick=2, full=100)
def test_a_second_search_runs_nothing(kernel: Contraction, arch: Arch) -> None:
    trials = Trials()
    first = found(kernel, arch, trials)
    made = trials.made
    assert found(kernel, arch, trials) == first
    assert (trials.made, trials.reused) == (made, made)


def whole(chip: Arch, graph: Graph, trials: Trials | None) -> Result | str:
    """Return the result of a network, or what it says."""
    try:
        return simulate(chip, graph, {}, trials=trials)
    except MappingError as error:
        return str(error)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """A network with a branch, fused and other lane work, and groups."""
    path = tmp_path_factory.mktemp("network") / "n.yaml"
    path.write_text(NETWORK)
    return workload.open_workload(str(path))


SIMPLE = {"kind": "simple", "bandwidth": "2 GB/s", "latency": "20 ns"}
ROOMS = [(100, None), (3000, 600), (800, None), (3000, None), (60000, None), (3000, 600)]
"""Bytes of each buffer, and of them those kept between layers."""


@pytest.mark.parametrize(
    ("memory", "flow", "rooms"), [(SIMPLE, "ws", ROOMS), (SIMPLE, "os", ROOMS), ("ddr4_2400r", "ws", ROOMS[-3:])]
)
def test_networks_that_share_what_is_known_come_to_the_same_result(
    memory: Any, flow: str, rooms: list[tuple[int, int | None]], network: Graph
) -> None:
    """Every figure, layer by layer, whatever the order of the chips; capacities, and what is kept between layers."""
    trials, shared = Trials(), 0
    for capacity, keep in rooms:
        chip = Arch.model_validate({
            "name": "chip", "clock": "1 GHz", "mapping": {"effort": 2}, "memory": memory, "technology": "45nm",
            "units": {"array": {"kind": "systolic", "rows": 4, "cols": 4, "dataflow": flow},
                      "vector": {"kind": "vector", "lanes": 4}},
            "buffers": {"inputs": {"capacity": f"{capacity} B", "keep": keep and f"{keep} B", "holds": ["input"]},
                        "rest": {"capacity": f"{capacity} B", "holds": ["weight", "output"]}},
        })  # fmt: skip
        before = trials.made
        assert whole(chip, network, trials) == whole(chip, network, None)
        shared += trials.made == before
    assert trials.reused and shared


def test_what_is_too_much_to_remember_is_forgotten() -> None:
    kernel, arch = Contraction("c", 9, 30, 20), Arch.model_validate({
        "name": "chip", "clock": "1 GHz", "units": {"array": {"kind": "systolic", "rows": 4, "cols": 4}},
        "buffers": {"sram": {"capacity": "200 B", "holds": ["weight", "input", "output"]}},
        "memory": {"kind": "simple", "bandwidth": "1 GB/s"},
    })  # fmt: skip
    few = Trials(most=1)
    assert found(kernel, arch, few) == found(kernel, arch, None)
    assert len(few.known) == 1


@pytest.mark.parametrize("key", ["clock", "link", "memory", "prefetch", "precision", "units"])
def test_chips_that_differ_in_more_than_capacity_share_nothing(key: str) -> None:
    other: dict[str, Any] = {
        "clock": 2_000_000_000, "link": {"bandwidth": "9 B/cycle"}, "prefetch": False, "precision": {"weight": "int16"},
        "memory": {"kind": "simple", "bandwidth": "9 GB/s"},
        "units": {"array": {"kind": "systolic", "rows": 4, "cols": 8}},
    }  # fmt: skip
    base: dict[str, Any] = {
        "name": "chip", "clock": "1 GHz", "units": {"array": {"kind": "systolic", "rows": 4, "cols": 4}},
        "buffers": {"sram": {"capacity": "64 KiB", "holds": ["weight", "input", "output"]}},
        "memory": {"kind": "simple", "bandwidth": "8 GB/s"}, "link": {"bandwidth": "8 B/cycle"},
    }  # fmt: skip
    changed = base | {key: "2 GHz" if key == "clock" else other[key]}
    trials, kernel = Trials(), Contraction("c", 4, 4)
    for data in (base, changed, base | {"name": "other", "technology": "22nm"}):
        found(kernel, Arch.model_validate(data), trials)
    assert len(trials.numbers) == 2


@st.composite
def runs(draw: Any) -> tuple[Arch, list[Stage]]:
    """Two to four products behind each other, some of which read what the one before stores, on a chip with little room
    for the largest of them."""
    arch, stages, sizes = draw(arches(bounded=True, knobs=True)), list[Stage](), dict[str, int]()
    for layer in range(draw(st.integers(2, 4))):
        kernel = draw(products())
        tiling = Tiling(kernel, draw(mappings(kernel, arch)))
        for name, buffer in tight(tiling, arch).buffers.items():
            sizes[name] = max(sizes.get(name, 0), buffer.capacity)
        reads = (Read("input", f"t{layer - 1}"),) if layer and draw(st.booleans()) else ()
        stages.append(Stage(plan_contraction(tiling, arch, "array"), layer, reads, f"t{layer}"))
    return of_sizes(arch, {name: size + draw(st.integers(0, size)) for name, size in sizes.items()}), stages


def of_sizes(arch: Arch, sizes: dict[str, int]) -> Arch:
    """Return the chip with buffers of so many bytes."""
    changed = {name: arch.buffers[name].model_copy(update={"capacity": size}) for name, size in sizes.items()}
    return arch.model_copy(update={"buffers": changed})


@law(runs(), st.data(), quick=40, full=6000)
def test_a_run_goes_the_same_way_on_every_chip_its_room_holds_for(run: tuple[Arch, list[Stage]], data: Any) -> None:
    """Whole: every cycle of every unit by cause and layer, every span, the most that was in each buffer."""
    chip, stages = run
    engine = Engine(chip)
    try:
        found = engine.run(stages)
    except CapacityError:
        return
    room = Room.of(engine.buffers)
    for more in data.draw(st.permutations((1, 2, 5, 100))):
        other = of_sizes(chip, {n: b.capacity + data.draw(st.integers(0, 8)) * more for n, b in chip.buffers.items()})
        if room.holds(other):
            assert Engine(other).run(stages) == found


def in_turn(bandwidth: str, sizes: list[int]) -> tuple[Arch, list[Stage]]:
    """Return products of so many rows, one tile each, with room for about two in their buffer."""
    chip = Arch.model_validate({
        "name": "chip", "clock": "1 GHz", "units": {"array": {"kind": "systolic", "rows": 4, "cols": 4}},
        "buffers": {"inputs": {"capacity": "400 B", "holds": ["input"]},
                    "rest": {"capacity": "1 MiB", "holds": ["weight", "output"]}},
        "memory": {"kind": "simple", "bandwidth": bandwidth},
    })  # fmt: skip
    plans = (plan_contraction(Tiling(Contraction("c", 4, 4, m), Mapping(m, 4, 4)), chip, "array") for m in sizes)
    return chip, [Stage(plan, layer) for layer, plan in enumerate(plans)]


@pytest.mark.parametrize(("sizes", "short", "binding"), [
    ([20, 20, 20, 20], set(), set()), ([40, 10, 10, 10, 10, 40], {"inputs"}, set()), ([90, 90], {"inputs"}, {"inputs"}),
])  # fmt: skip
def test_only_a_place_that_is_waited_for_binds_a_run_to_its_capacity(
    sizes: list[int], short: set[str], binding: set[str]
) -> None:
    chip, stages = in_turn("100 GB/s" if binding else "1 GB/s", sizes)
    engine = Engine(chip)
    found = engine.run(stages)
    assert (engine.buffers.short, engine.buffers.binding) == (short, binding)
    larger = of_sizes(chip, {"inputs": 100_000, "rest": chip.buffers["rest"].capacity})
    assert (Engine(larger).run(stages) == found) == (not binding) == Room.of(engine.buffers).holds(larger)
