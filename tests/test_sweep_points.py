"""From a sweep's file to its points: axes, samples, computed keys, constraints, and every mistake told."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import arch as arch_module
from sim.area import area_of, chip_area
from sim.errors import ConfigError
from sim.sweep import Sweep
from sim.sweep.axes import number, quantity, values_of
from sim.sweep.batches import alike, alike_together, batches, even
from sim.sweep.formula import formula
from tests.laws import law

BASE: dict[str, Any] = {
    "name": "s", "arch": "tiny_4x4", "workloads": ["gemm:8x8x8"], "axes": {"array.rows": [2, 4, 8]},
}  # fmt: skip


def sweep(**changes: Any) -> Sweep:
    """Return a sweep of tiny_4x4 with some sections exchanged."""
    return Sweep(BASE | changes)


def settings(found: Sweep) -> list[tuple[Any, ...]]:
    """Return the values of all points."""
    return [tuple(found.space.settings(point).values()) for point in range(found.space.size)]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ([1, 2], [1, 2]),
        (7, [7]),
        ({"range": [2, 8], "step": 3}, [2, 5, 8]),
        ({"range": [2, 9], "step": 3}, [2, 5, 8]),
        ({"range": [1, 4]}, [1, 2, 3, 4]),
        ({"range": [0, 1], "step": 0.25}, [0, 0.25, 0.5, 0.75, 1]),
        ({"range": [16, 64], "count": 4}, [16, 32, 48, 64]),
        ({"log": [1, 8]}, [1, 2, 4, 8]),
        ({"log": [1, 100], "count": 3}, [1, 10, 100]),
        ({"log": [16, 1024], "factor": 4}, [16, 64, 256, 1024]),
        ({"log": ["64 KiB", "1 MiB"], "factor": 4}, ["64 KiB", "256 KiB", "1 MiB"]),
        ({"range": ["0.5 GHz", "1 GHz"], "step": "250 MHz"}, ["500 MHz", "750 MHz", "1 GHz"]),
        ({"range": ["1 B/cycle", "3 B/cycle"], "step": "1 B/cycle"}, ["1 B/cycle", "2 B/cycle", "3 B/cycle"]),
    ],
)
def test_an_axis_has_the_values_it_says(written: Any, values: list[Any]) -> None:
    assert values_of(written) == values


@law(st.integers(1, 10**15), st.sampled_from(["size", "frequency", "bandwidth", "rate", None]), quick=50, full=2000)
def test_a_quantity_reads_back_as_it_was(amount: int, dimension: str | None) -> None:
    assert number(quantity(amount, dimension)) == amount


def test_random_axes_repeat_by_their_seed_and_stay_between_their_ends() -> None:
    one = values_of({"log": ["64 KiB", "4 MiB"], "random": True, "count": 50, "seed": 3})
    assert one == values_of({"log": ["64 KiB", "4 MiB"], "random": True, "count": 50, "seed": 3})
    assert one != values_of({"log": ["64 KiB", "4 MiB"], "random": True, "count": 50, "seed": 4})
    amounts = [number(value) for value in one]
    assert all(2**16 <= amount <= 2**22 for amount in amounts)
    assert 2**18 < np.median(amounts) < 2**20  # the middle of a log range is its geometric mean, 512 KiB


@law(st.lists(st.integers(1, 4), min_size=1, max_size=3), quick=10, full=100)
def test_a_grid_has_every_combination_once_the_last_axis_fastest(counts: list[int]) -> None:
    keys = ["array.rows", "array.cols", "array.pe_pipeline"]
    found = sweep(axes={key: list(range(1, n + 1)) for key, n in zip(keys, counts, strict=False)})
    points = settings(found)
    assert found.space.size == prod(counts) == len(set(points))
    assert points == sorted(points)


def test_a_latin_hypercube_has_one_point_in_each_share_of_each_axis() -> None:
    axes = {"array.rows": {"range": [1, 40]}, "memory.bandwidth": {"range": ["1 GB/s", "2 GB/s"]}}
    found = sweep(axes=axes, sample={"method": "latin", "points": 20, "seed": 5})
    bandwidths = sorted(number(values[1]) for values in settings(found))
    assert [int((b - 1e9) / 1e9 * 20) for b in bandwidths] == list(range(20))
    assert settings(found) == settings(sweep(axes=axes, sample={"method": "latin", "points": 20, "seed": 5}))
    assert settings(found) != settings(sweep(axes=axes, sample={"method": "latin", "points": 20, "seed": 6}))


def test_a_random_sample_draws_from_the_axes_and_no_point_twice() -> None:
    axes = {"array.rows": [2, 4], "array.cols": {"range": [1, 3]}}
    found = sweep(axes=axes, sample={"method": "random", "points": 200, "seed": 1})
    assert set(settings(found)) == {(r, c) for r in (2, 4) for c in (1, 2, 3)}
    assert found.space.size == 6


def test_keys_are_computed_from_others_with_their_units() -> None:
    more = {"array.cols": "= rows", "inputs.capacity": "= array.rows * 1 KiB", "outputs.capacity": "=inputs.capacity*2"}
    found = sweep(set={**more, "mapping.effort": 4})
    assert settings(found)[2] == (8, 8, "8 KiB", "16 KiB", 4)
    inside = sweep(axes={"array.rows": [2, 4], "array.cols": "= array.rows * 2"})
    assert settings(inside) == [(2, 4), (4, 8)]


def test_computed_keys_are_of_the_kind_that_the_formula_gives() -> None:
    """Whatever quantities stand in it: a ratio of sizes is a number."""
    more = {"array.cols": "= inputs.capacity / 1 KiB", "mapping.effort": "= 4 if inputs.capacity > 1 B else 2"}
    assert settings(sweep(set=more)) == [(rows, 4, 4) for rows in (2, 4, 8)]  # 4 KiB of inputs


def test_names_of_tables_are_no_quantities() -> None:
    found = sweep(axes={"technology": ["45nm", "7nm"]}, constraints=["technology == '7nm'"])
    assert settings(found) == [("7nm",)]


def test_a_constraint_keeps_the_points_for_which_it_holds() -> None:
    axes = {"array.rows": [2, 4, 8], "inputs.capacity": ["1 KiB", "2 KiB", "4 KiB"]}
    found = sweep(axes=axes, constraints=["inputs.capacity >= 2 KiB", "rows * 512 B <= inputs.capacity and rows > 2"])
    assert settings(found) == [(4, "2 KiB"), (4, "4 KiB"), (8, "4 KiB")]
    assert found.space.left_out == {
        "inputs.capacity >= 2 KiB": 3, "rows * 512 B <= inputs.capacity and rows > 2": 6
    }  # fmt: skip


def test_area_is_known_before_a_point_is_simulated() -> None:
    found = sweep(constraints=["area_mm2 < 0.09"])
    assert settings(found) == [(2,), (4,)]


def test_constants_of_the_chip_and_of_the_network_can_be_named() -> None:
    network = {"workloads": ["mobilenet_v1"], "axes": {"batch": [1, 2], "array.rows": [4, 8]}}
    found = sweep(**network, constraints=["array.rows <= array.cols and memory.bandwidth == 400 MB/s and size == 224"])
    assert settings(found) == [(1, 4), (2, 4)]


def test_equal_keys_of_work_are_equal_work() -> None:
    first, second = sweep(), sweep(axes={"array.rows": [8, 2]})
    assert first.works(2)[0].key == second.works(0)[0].key
    assert len({first.works(point)[0].key for point in range(3)}) == 3
    other = sweep(workloads=["gemm:8x8x9"])
    assert other.works(0)[0].key != first.works(0)[0].key


def test_quantities_in_a_condition_are_numbers_in_base_units() -> None:
    assert formula("a.b >= 64 KiB and c < 1.5 GHz").expression == "=a.b >= 65536 and c < 1500000000"
    assert formula("= 2 * x").names == ("x",)
    assert formula("min(a.b, 3) < c if d else e[0]").names == ("d", "c", "e", "a.b")


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"axes": {"array.rwos": [1]}},
     "sweep: axes.array.rwos: neither chip 'tiny_4x4' nor the networks have a key 'array.rwos'; "
     "did you mean 'units.array.rows'?"),
    ({"axes": {"array.rows": []}}, "sweep: axes.array.rows: is empty; list at least one value"),
    ({"axes": {"array.rows": [2, 2]}}, "sweep: axes.array.rows: lists 2 twice"),
    ({"axes": {"array.rows": [0]}}, "sweep: axes.array.rows: 0 is out of range: greater than 0"),
    ({"axes": {"array.dataflow": ["ws", "oss"]}},
     "sweep: axes.array.dataflow: unknown dataflow 'oss'; did you mean 'os'?"),
    ({"axes": {"bandwidth": ["1 GB/s"]}},
     "sweep: axes.bandwidth: could be buffers.inputs.bandwidth or buffers.outputs.bandwidth or "
     "buffers.weights.bandwidth or memory.bandwidth; write it out"),
    ({"axes": {"inputs.capacity": {"log": ["1 KiB", 4096]}}},
     "sweep: axes.inputs.capacity: the ends of a range must be two numbers or two quantities alike, "
     "not ['1 KiB', 4096]"),
    ({"axes": {"array.rows": {"range": [8, 2]}}},
     "sweep: axes.array.rows: the first value, 8, must not exceed the last, 2"),
    ({"axes": {"array.rows": {"log": [0, 2]}}}, "sweep: axes.array.rows: a log range must begin above zero, not at 0"),
    ({"axes": {"array.rows": {"range": [1, 9], "step": 0}}},
     "sweep: axes.array.rows: step must be above zero and of the unit of the ends, not 0"),
    ({"axes": {"array.rows": {"rnage": [1, 9]}}},
     "sweep: axes.array.rows.rnage: unknown key 'rnage'; did you mean 'range'?"),
    ({"axes": {"array.rows": {"range": [1, 9], "count": 3, "step": 2}}},
     "sweep: axes.array.rows: step and count contradict each other; give one of them"),
    ({"axes": {"array.rows": {"range": [1, 9], "random": True}}},
     "sweep: axes.array.rows: random values need a 'count'"),
    ({"axes": {"array.rows": "= array.cols"}}, "sweep: axes: needs at least one key that is not computed from others"),
    ({"axes": {"array.rows": {"range": [1, 10**5]}, "array.cols": {"range": [1, 10**5]}}},
     "sweep: axes: span 10,000,000,000 points, at most 20,000,000 are possible; use 'sample'"),
    ({"axes": {}}, "sweep: axes: must not be empty"),
    ({"set": {"array.rows": 4}}, "sweep: set.array.rows: is an axis already"),
    ({"set": {"array.cols": "= rwos"}}, "sweep: set.array.cols: unknown name 'rwos'; did you mean 'rows'?"),
    ({"set": {"array.cols": "= rows - 2"}},
     "sweep: set.array.cols: computes to 0: 0 is out of range: greater than 0"),
    ({"constraints": ["array.rows > 100"]},
     "sweep: constraints: leave none of 3 points: 'array.rows > 100' excludes 3; loosen one, "
     "or widen an axis"),
    ({"constraints": ["array.rows + 1"]},
     "sweep: constraints[0]: 'array.rows + 1' is 3, not true or false; write a comparison"),
    ({"constraints": ["array.rows >"]}, "sweep: constraints[0]: '=array.rows >' is not an expression"),
    ({"constraints": ["array.rowz > 1"]},
     "sweep: constraints[0]: unknown name 'array.rowz'; did you mean 'array.rows'?"),
    ({"constraints": ["array.rows > 1 GB"]},
     "sweep: constraints[0]: '1 GB' is a size and 'array.rows' a plain number: compare like with like"),
    ({"constraints": ["rows > 1 and 2 * (512 B + inputs.capacity) > 3 * memory.bandwidth"]},
     "sweep: constraints[0]: '2 * (512 B + inputs.capacity)' is a size and '3 * memory.bandwidth' a bandwidth: compare "
     "like with like"),
    ({"constraints": ["inputs.capacity < 64"]},
     "sweep: constraints[0]: 'inputs.capacity' is a size: give 64 a unit, as in '64 KiB'"),
    ({"constraints": ["min(inputs.capacity + rows, 1 KiB) > 1 KiB"]},
     "sweep: constraints[0]: 'inputs.capacity' is a size and 'rows' a plain number: compare like with like"),
    ({"constraints": ["seconds < 1 KiB"]},
     "sweep: constraints[0]: 'seconds' is a time and '1 KiB' a size: compare like with like"),
    ({"constraints": ["area_mm2 < 2 mJ"]},
     "sweep: constraints[0]: 'area_mm2' is an area and '2 mJ' an energy: compare like with like"),
    ({"constraints": ["inputs.capacity > -1"]},
     "sweep: constraints[0]: 'inputs.capacity' is a size and '-1' a plain number: compare like with like"),
    ({"constraints": ["1 KiB < inputs.capacity < 4"]},
     "sweep: constraints[0]: 'inputs.capacity' is a size: give 4 a unit, as in '64 KiB'"),
    ({"constraints": ["(1 KiB if rows > 1 else 4) > 2 KiB"]},
     "sweep: constraints[0]: '1 KiB' is a size: give 4 a unit, as in '64 KiB'"),
    ({"constraints": ["ceil(inputs.capacity) > 64"]},
     "sweep: constraints[0]: 'ceil(inputs.capacity)' is a size: give 64 a unit, as in '64 KiB'"),
    ({"constraints": ["inputs.capacity in [1 KiB, 4096]"]},
     "sweep: constraints[0]: '1 KiB' is a size: give 4096 a unit, as in '64 KiB'"),
    ({"constraints": ["2 ** rows < 1 KiB"]},
     "sweep: constraints[0]: '1 KiB' is a size and '2 ** rows' a plain number: compare like with like"),
    ({"constraints": ["mapping.effort > 1 KiB"]},
     "sweep: constraints[0]: '1 KiB' is a size and 'mapping.effort' a plain number: compare like with like"),
    ({"constraints": ["array.dataflow != 1 KiB"]},
     "sweep: constraints[0]: 'array.dataflow' is a text and '1 KiB' a size: compare like with like"),
    ({"constraints": ["cycles < 1 ms"]},
     "sweep: constraints[0]: '1 ms' is a time and 'cycles' a plain number: compare like with like"),
    ({"constraints": ["energy < seconds"]},
     "sweep: constraints[0]: 'energy' is an energy and 'seconds' a time: compare like with like"),
    ({"constraints": ["traffic_bytes.dram.read.input < 1 ms"]},
     "sweep: constraints[0]: 'traffic_bytes.dram.read.input' is a size and '1 ms' a time: compare like with like"),
    ({"constraints": ["rows > " + "+".join(["1"] * 3000)]}, "sweep: constraints[0]: '=rows > 1+1+1"),
    ({"constraints": ["layers.gemm.m > 3"]},
     "sweep: constraints[0]: 'layers.gemm.m' has no value to compute with; the network's params"),
    ({"set": {"inputs.capacity": "= memory.bandwidth"}},
     "sweep: set.inputs.capacity: is a size, and '= memory.bandwidth' a bandwidth"),
    ({"set": {"inputs.capacity": "= rows * 512"}},
     "sweep: set.inputs.capacity: is a size, and '= rows * 512' a plain number; multiply by 1 B"),
    ({"set": {"array.cols": "= inputs.capacity"}},
     "sweep: set.array.cols: is a plain number, and '= inputs.capacity' a size"),
    ({"set": {"array.cols": "= cycles"}},
     "sweep: set.array.cols: 'cycles' is known when a point has been simulated; keys are computed before"),
    ({"set": {"array.cols": "= rows + 1 KiB"}},
     "sweep: set.array.cols: '1 KiB' is a size and 'rows' a plain number: compare like with like"),
    ({"objectives": ["cylces"]}, "sweep: objectives[0]: unknown figure 'cylces'; did you mean 'cycles'?"),
    ({"objectives": ["least cycles"]}, "sweep: objectives[0]: 'least cycles' is no objective; write a figure"),
    ({"objectives": []}, "sweep: objectives: must not be empty"),
    ({"arch": "tiny_4x5"}, "sweep: arch: unknown arch 'tiny_4x5'; did you mean 'tiny_4x4'?"),
    ({"workloads": ["resnet51"]}, "sweep: workloads.resnet51: unknown workload 'resnet51'; did you mean 'resnet50'?"),
    ({"workloads": {"gemm:8x8x8": 0}}, "sweep: workloads.gemm:8x8x8: 0 is out of range: greater than 0"),
    ({"sample": {"method": "latin"}}, "sweep: sample: 'points' goes with method random or latin, which need it"),
    ({"sample": {"method": "lattin", "points": 3}},
     "sweep: sample.method: unknown value 'lattin'; did you mean 'latin'?"),
    ({"axis": {}}, "sweep: axis: unknown key 'axis'; did you mean 'axes'?"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_a_mistake_is_told_where_it_is_and_what_is_nearest(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sweep(**change)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("constraint", [
    "inputs.capacity / outputs.capacity < 4", "inputs.capacity > 0", "seconds < 50 ms", "seconds < 0.05", "area < 1",
    "inputs.capacity - rows * 1 B > 1 KiB / 8", "array.dataflow in ['ws', 'os'] and rows != 5",
    "cycles * rows > 3", "(1 KiB if rows > 1 else 2 KiB) < 4 KiB", "inputs.capacity // 512 B >= rows - rows",
    "inputs.capacity % 512 B == 0", "energy_pj < 10 mJ and traffic_bytes.dram.read.input < 1 MiB and cycles > 1",
    "inputs.capacity >= rows * 1 B", "max(rows, 3) ** 2 > 3", "clock_hz > 1 MHz", "not rows < 0",
])  # fmt: skip
def test_like_is_compared_with_like(constraint: str) -> None:
    assert sweep(constraints=[constraint]).space.size


def test_all_mistakes_of_the_axes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: s\narch: tiny_4x4\nworkloads: gemm:8x8x8\naxes:\n  array.rows: [0]\n  array.colz: [1]\n  clock: [1]\n"
    )
    with pytest.raises(ConfigError) as caught:
        Sweep(str(path))
    lines = str(caught.value).splitlines()
    assert [line.removeprefix(str(path)).split(":")[1] for line in lines] == ["5", "6", "7"]


def test_the_name_of_a_sweep_is_that_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: s\narch: tiny_4x4\nworkloads: gemm:8x8x8\naxes: {array.rows: [1]}\n")
    with pytest.raises(ConfigError, match=r"mine.yaml:1: name: must be the name of its file, 'mine', not 's'$"):
        Sweep(str(path))


def test_areas_of_all_points_are_those_of_their_chips() -> None:
    axes = {"array.rows": [2, 5], "array.cols": [3, 4], "array.dataflow": ["ws", "os"], "technology": ["45nm", "7nm"],
            "inputs.capacity": ["1 KiB", "3 KiB"], "vector.lanes": [1, 2], "array.weight_buffers": [1, 2]}  # fmt: skip
    found = sweep(axes=axes)
    areas = found.areas(found.space)
    for point in range(0, found.space.size, 7):
        chip = arch_module.load("tiny_4x4", found.space.settings(point))
        assert areas[point] == pytest.approx(area_of(chip), rel=1e-12)


def test_the_area_of_a_chip_is_that_of_its_parts() -> None:
    """By hand, at 45 nm: a PE is a multiplier, an adder and the registers of its dataflow; buffers are CACTI's."""
    area = chip_area(arch_module.load("tiny_4x4"))
    pe = 282 + 137 + (8 + 32 + 8) * 4.522  # the input on its way, the sum, the weight that waits
    assert area.by_component["array"] == pytest.approx(16 * pe * 1e-6)
    assert area.by_component["inputs"] == 0.0135
    assert area.by_component["outputs"] == 0.02627
    assert area.total_mm2 == pytest.approx(1.03 * sum(v for k, v in area.by_component.items() if k != "control"))
    assert area_of(arch_module.load("array")) is None
    more = arch_module.load("tiny_4x4", {"array.weight_buffers": 2})
    assert chip_area(more).by_component["array"] == pytest.approx(16 * (pe + 8 * 4.522) * 1e-6)


# What a worker gets at once


@law(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 8), quick=30, full=1000)
def test_alike_points_stay_together_where_a_batch_can_hold_them(groups: list[int], most: int) -> None:
    alike = np.repeat(np.arange(len(groups)), groups)
    found = list(batches(range(len(alike)), alike, lambda: most))
    assert [point for batch in found for point in batch] == list(range(len(alike)))
    assert all(1 <= len(batch) <= most for batch in found)
    for group, size in enumerate(groups):
        holders = {i for i, batch in enumerate(found) for point in batch if alike[point] == group}
        assert len(holders) == 1 if size <= most else len(holders) <= -(-size // most)


def test_points_that_differ_in_capacities_alone_are_neighbours() -> None:
    axes = {"inputs.capacity": ["2 KiB", "1 KiB"], "array.rows": [2, 4], "inputs.keep": ["128 B", "256 B"]}
    space = Sweep(BASE | {"axes": axes}).space
    assert alike(space).tolist() == [0, 0, 1, 1] * 2
    order = alike_together(space)
    assert alike(space)[order].tolist() == [0] * 4 + [1] * 4


def test_batches_are_small_enough_for_workers_to_end_together() -> None:
    assert even(np.repeat(np.arange(100), 27), 2) == 168
    assert even(np.repeat(np.arange(8), 6), 2) == 6
    assert even(np.zeros(48, dtype=np.int64), 2) == 3
    assert even(np.arange(3), 2) == 1
