"""Networks on banks that multiply: laws of every result, figures of others, banks and companion beside each other."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import arch as arch_module
from sim import library, run
from sim.errors import ConfigError
from sim.generation import generate
from sim.op import OPS
from sim.pim import cost, load
from sim.pim.channel import Channel, Logged
from sim.pim.gemv import Layout
from sim.pim.heads import Cached, Keys
from sim.pim.values import multiply, rounded
from sim.result import Result
from sim.timeline import CAUSES
from tests import test_contract as contract
from tests.laws import law

CHIPS = [name for name in library.names("arch") if arch_module.load(name).families == {"pim"}]
LINES = ["gemm:3x40x1500", "conv:3,12,12,8,3,3,stride=2,pad=1", "attention:2x3x4x8,kv=40", "gpt2"]
DECODE = {"phase": "decode", "context": 100, "depth": 2, "hidden": 96, "heads": 3, "vocab": 300}
EIGHT = {"channels": 8, "refresh": "off"}


@cache
def result(chip: str, network: str) -> Result:
    return run(chip, network, DECODE if network == "gpt2" else {})


@pytest.fixture(params=[(chip, network) for chip in CHIPS for network in LINES], ids="-".join)
def found(request: pytest.FixtureRequest) -> Result:
    return result(*request.param)


def holds(one: Result) -> None:
    """Make sure that cycles of units and causes, times, traffic and energy of a result add up."""
    for unit in one.units.values():
        assert tuple(unit["cycles"]) == CAUSES
        assert all(count >= 0 for count in unit["cycles"].values())
        assert sum(unit["cycles"].values()) == one.cycles
    assert sum(one.dram["banks"]["clocks"].values()) == one.cycles
    for layer in one.layers:
        assert 0 <= layer.start <= layer.start + layer.cycles <= one.cycles
        assert layer.compute_cycles == layer.causes.get("compute", 0) <= layer.cycles
        assert 0 <= layer.utilization <= 1
        assert layer.mapping_efficiency <= 1
    for buffer in one.buffers.values():
        assert 0 <= buffer["peak_bytes"] <= buffer["capacity_bytes"]

    class Case:
        result = one

    contract.test_traffic_of_the_layers_makes_that_of_the_network(Case)
    contract.test_energy_adds_up(Case)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_timeline_has_the_causes_of_the_units(chip: str) -> None:
    for network, settings in (("gpt2", DECODE), ("gemv:300x3000", {})):
        one = run(chip, network, settings, record=True)
        assert one.timeline is not None
        assert one == run(chip, network, settings)
        for name, ledger in one.timeline.ledgers.items():
            assert ledger.by_cause() == one.units[name]["cycles"]
            assert ledger.slices
            edges = [0, *(end for _, end, _, _ in ledger.slices)]
            assert [start for start, *_ in ledger.slices] == edges[:-1]
            assert edges[-1] == one.cycles
        assert len(one.timeline.spans) == len(one.layers)
        assert max(one.timeline.kept["sram"]) == one.buffers["sram"]["peak_bytes"]


def test_results_add_up(found: Result) -> None:
    holds(found)
    contract.checked(json.loads(found.to_json()), contract.CONTRACT, "result")
    programs, between = found.pim["programs"], found.pim["between"]
    banks = found.units["banks"]["cycles"]
    assert sum(programs.values()) + sum(between.values()) <= found.cycles
    busy = sum(programs.values()) + between["closing_rows"] + between["refresh"]
    assert found.cycles <= busy + found.pim["companion"]  # whenever the banks wait, the companion works
    assert banks["wait_dependency"] >= between["waiting"]


@pytest.mark.parametrize("chip", [
    chip if chip == "pim_gpt" else pytest.param(chip, marks=pytest.mark.slow) for chip in CHIPS
])  # fmt: skip
def test_every_operator_runs_and_adds_up(chip: str) -> None:
    loaded = arch_module.load(chip)
    for name in OPS:
        for index in range(len(OPS[name].examples())):
            graph = contract.single(name, index)
            one = run(loaded, graph)
            assert one.macs == graph.expanded.macs, name
            holds(one)


@pytest.mark.parametrize(("model", "cycles"), [
    ("gpt2", 316_062), ("gpt2_medium", 792_974), ("gpt2_large", 2_113_228), ("gpt2_xl", 3_961_100),
])  # fmt: skip
def test_the_products_with_weights_of_a_gpt2_token(model: str, cycles: int) -> None:
    """Sums of separately started programs on aim_simulator's timing, LM head with 50,257 outputs."""
    for context in (1, 1000):
        one = run("gddr6_aim", model, {**EIGHT, "phase": "decode", "context": context})
        assert one.pim["programs"]["weights"] == cycles
        alone = [layer.mapping["program_cycles"] for layer in one.layers if layer.op == "linear" and layer.mapping]
        assert sum(alone) == cycles
        assert one.cycles > cycles
    holds(one)


def test_a_product_alone_has_nothing_behind_it() -> None:
    device = load("gddr6_aim", {"channels": 4})
    one = run("gddr6_aim", "gemv:300x5000", {"channels": 4})
    assert one.cycles == cost.gemv(device, 300, 5000).cycles == one.pim["programs"]["weights"]
    assert one.pim["between"] == {"waiting": 0, "closing_rows": 0, "refresh": 0}


@pytest.mark.parametrize(("shape", "banks", "streamed"), [("4096x4096", 13_166, 36_082), ("1024x4096", 13_166, 9_038)])
def test_hbm_pim_is_near_its_vendors_simulator(shape: str, banks: int, streamed: int) -> None:
    """PIMSimulator (SAITPublic/PIMSimulator): within 10 %; outputs are padded to 4096."""
    one = run("hbm_pim_like", f"gemv:{shape}")
    assert abs(one.cycles / banks - 1) < 0.1
    assert abs(one.pim["baseline"]["cycles"] / streamed - 1) < 0.1
    assert one.pim["padded_outputs"] == 4096 - int(shape.partition("x")[0])
    assert one.cycles == run("hbm_pim_like", "gemv:4096x4096").cycles


DEVICES = st.sampled_from(library.names("pim"))


@law(DEVICES, st.integers(1, 300), st.integers(1, 700), st.sampled_from(("kouter", "oouter")), quick=12, full=300)
def test_all_devices_compute_what_numpy_does(name: str, outputs: int, inputs: int, order: str) -> None:
    device = load(name, {"channels": 2, "order": order})
    rng = np.random.default_rng(outputs * 4096 + inputs)
    matrix, vector = (rng.integers(-9, 10, shape).astype(np.float32) for shape in ((outputs, inputs), (inputs,)))
    exact = (matrix.astype(np.int64) @ vector.astype(np.int64)).astype(np.float32)
    computed = multiply(Layout(device, outputs, inputs), matrix, vector)
    np.testing.assert_array_equal(computed, rounded(exact, device.spec.number_format))


@law(DEVICES, st.integers(1, 9), st.integers(1, 100), st.integers(1, 1500), quick=20, full=400)
def test_keys_and_values_have_places_of_their_own(name: str, heads: int, size: int, count: int) -> None:
    """No two of them lie in one burst, tokens stay where they are as the cache grows, and nothing is read but them."""
    device = load(name, {"channels": 2})
    keys, values = Keys(device, heads, size, count), Cached(device, heads, size, count)
    longer = Keys(device, heads, size, count + 50)
    column = device.spec.organization["Column"]
    for layout, bursts in ((keys, keys.bursts), (values, -(-values.length // device.lanes))):
        rows = [each.row for each in layout.program() if device.does(each.op).does == "multiply"]
        assert max(rows) < layout.rows
        assert len(set(rows)) > layout.rows // 2
        assert max(rows.count(row) for row in set(rows)) * bursts <= max(column, bursts)
    assert [keys.row(0, part, 0, 0) for part in range(len(keys.parts))] == [
        longer.row(0, part, 0, 0) for part in range(len(keys.parts))
    ]


@law(DEVICES, st.integers(1, 9), st.integers(1, 100), st.integers(0, 300), st.integers(1, 40), quick=20, full=400)
def test_appending_writes_every_element_once(name: str, heads: int, size: int, past: int, new: int) -> None:
    device = load(name, {"channels": 2})
    keys = Keys(device, heads, size, past + new)
    written = sum(each.size * count for program, count in keys.append(past) for each in program)
    assert written == new * heads * keys.bursts
    values = Cached(device, heads, size, past + new)
    bursts = sum(each.size * count for program, count in values.append(past) for each in program)
    assert bursts * device.lanes >= new * heads * size


def test_an_appended_key_lies_in_rows_that_the_next_query_reads() -> None:
    """Sixteen heads of 64 share a row of 1024: a token of 25 heads is two rows of one bank, all hits but two."""
    device = load("gddr6_aim", {"channels": 8})
    (program, channels), = Keys(device, 25, 64, 1000).append(999)
    assert channels == 1
    assert {each.bank for each in program} == {999 % 16}
    read = {each.row for each in Keys(device, 25, 64, 1000).program() if each.row is not None}
    rows = {each.row for each in program}
    assert len(rows) == 2
    assert rows <= read
    spent = cost.append(device, "scores", 25, 64, 999, 1).commands
    assert (spent["ACT"], spent["WR"]) == (2, 100)


def test_heads_in_one_row_are_row_hits() -> None:
    device = load("gddr6_aim", EIGHT)
    one, apart = cost.scores(device, 16, 64, 1024), cost.repeated(cost.gemv(device, 1024, 64), 16)
    assert one.commands["ACT16"] * 16 == apart.commands["ACT16"]
    assert one.commands["MAC16"] == apart.commands["MAC16"]
    assert one.cycles < apart.cycles


def test_costs_are_those_of_the_commands_one_by_one() -> None:
    device = load("gddr6_aim", {"channels": 2, "tREFI": 900})
    for layout in (Keys(device, 5, 48, 300), Cached(device, 5, 48, 1500, 2)):
        log = list[Logged]()
        slow, fast = Channel(device, bursts=False, log=log), Channel(device)
        assert slow.run(layout.program()) == fast.run(layout.program())
        assert (slow.counts, slow.clocks) == (fast.counts, fast.clocks)
        assert slow.closing == fast.closing > 0
        assert len(log) == slow.counts.total()


def test_single_banks_keep_their_gaps() -> None:
    """WR needs tRCDWR 28 after ACT, PREA 6 + 2 + 33 after WR; two banks open one tRRD_L 11 after the other."""
    device = load("gddr6_aim", {"refresh": "off"})
    program = [*Keys(device, 1, 16, 17).append(15)[0][0]]
    log = list[Logged]()
    Channel(device, bursts=False, log=log).run(program)
    assert [(clock, name) for clock, name, _ in log] == [(1, "ACT"), (29, "WR"), (30, "ACT"), (58, "WR")]


@pytest.mark.parametrize("chip", CHIPS)
def test_refreshes_are_as_many_as_intervals_have_passed(chip: str) -> None:
    one = run(chip, "gpt2", {**DECODE, "depth": 12, "hidden": 192})
    device = arch_module.load(chip).pim.open()
    due = one.cycles // device.spec.timing["tREFI"].cycles
    assert abs(one.dram["banks"]["refreshes"] // device.spec.channels - due) <= 1
    off = run(chip, "gpt2", {**DECODE, "depth": 12, "hidden": 192, "refresh": "off"})
    assert off.dram["banks"]["refreshes"] == 0
    assert off.cycles < one.cycles


def test_the_companion_works_beside_the_banks() -> None:
    one = run("gddr6_aim", "gpt2_xl", {**EIGHT, "phase": "decode", "context": 1000})
    busy = sum(one.pim["programs"].values())
    waiting = one.pim["between"]["waiting"]
    assert one.pim["companion"] > 2 * waiting
    assert busy + sum(one.pim["between"].values()) == one.cycles


@pytest.mark.parametrize("key", ["adders", "multipliers"])
def test_a_larger_companion_is_never_slower(key: str) -> None:
    small = {**DECODE, **EIGHT, "adders": 4, "multipliers": 4}
    assert run("gddr6_aim", "gpt2", {**small, key: 64}).cycles <= run("gddr6_aim", "gpt2", small).cycles


def test_what_the_sram_does_not_hold_goes_to_the_banks_and_back() -> None:
    small = run("gddr6_aim", "gpt2", {**DECODE, **EIGHT, "sram.capacity": "256 B"})
    large = run("gddr6_aim", "gpt2", {**DECODE, **EIGHT})
    assert small.buffers["sram"]["peak_bytes"] <= 256
    assert small.pim["programs"]["moves"] > large.pim["programs"]["moves"]
    assert small.traffic_bytes["banks"]["write"]["output"] > 0
    assert "output" not in large.traffic_bytes["banks"]["write"]
    assert small.cycles > large.cycles
    ideal = run("gddr6_aim", "gpt2", {**DECODE, **EIGHT, "sram.capacity": "256 B", "memory": "ideal"})
    assert ideal.cycles == large.cycles


def test_a_product_of_several_rows_is_a_program_for_each() -> None:
    one, three = (run("gddr6_aim", f"gemm:{rows}x40x1500", EIGHT) for rows in (1, 3))
    closing = cost.gemv(load("gddr6_aim", EIGHT), 40, 1500).closing
    assert closing == 32  # tRP; the last product lies more than tRTP back when the registers are read
    assert three.pim["programs"]["weights"] == 3 * one.pim["programs"]["weights"] + 2 * closing
    assert three.pim["baseline"]["bytes"] == one.pim["baseline"]["bytes"]


def test_without_a_companion_its_work_is_named() -> None:
    document = arch_module.read_arch("gddr6_aim")
    del document.data["units"]["companion"], document.data["buffers"]
    one = run(arch_module.build(document), "gpt2", None)
    what = {entry["what"] for entry in one.not_modelled}
    assert {"softmax (the chip has no vector unit)", "layernorm (the chip has no vector unit)"} <= what
    assert set(one.units) == {"banks"}
    with pytest.raises(ConfigError, match="not modelled: layernorm"):
        run(arch_module.build(document), "gpt2", None, strict=True)


def test_no_figure_of_energy_is_told_where_there_is_none(tmp_path: Any) -> None:
    file = tmp_path / "dark.yaml"
    file.write_text("extends: gddr6_aim\nname: dark\nenergy: null\n")
    one = run("gddr6_aim", "gemv:64x64", {"device": str(file)})
    assert one.not_modelled == ({"what": "energy of a PIM device", "where": ["banks"], "affects": "energy"},)
    assert "banks" not in one.energy_pj["by_component"]


def test_what_has_no_effect_on_banks_is_told() -> None:
    one = run("gddr6_aim", "gemv:64x64", {"sram.bandwidth": "8 B/cycle", "prefetch": False})
    assert [note["where"] for note in one.notes] == [["prefetch"], ["sram.bandwidth"]]


def test_a_baseline_spends_what_the_banks_do_and_the_way_to_the_pins() -> None:
    """Where no output is padded and no row opened twice, without refresh."""
    one = run("gddr6_aim", "gemv:4096x4096", EIGHT)
    base = one.pim["baseline"]
    figures = load("gddr6_aim").spec.energy
    assert figures is not None
    over_pins = 8 * base["bytes"] * (figures.path.value + figures.io.value)
    assert base["energy_pj"] == pytest.approx(over_pins + one.energy_pj["by_component"]["banks"])


@law(DEVICES, st.integers(1, 7), st.integers(1, 90), st.integers(1, 400), quick=10, full=150)
def test_scores_in_the_banks_are_those_of_numpy(name: str, heads: int, size: int, count: int) -> None:
    """Keys are stored where `append` writes them, and multiplied row by row as the program says."""
    device = load(name, {"channels": 2})
    layout = Keys(device, heads, size, count)
    rng = np.random.default_rng(heads * 1000 + size)
    keys, query = rng.integers(-9, 10, (count, heads, size)), rng.integers(-9, 10, (heads, size))
    elements = device.row_bytes // device.element
    memory = np.zeros((2, device.units, layout.rows, elements), np.int64)
    for token in range(count):
        group, channel, unit, accumulator = layout.place(token)
        for head in range(heads):
            part, inside = divmod(head, layout.together)
            row, at = layout.row(group, part, inside, accumulator), layout.column(inside, accumulator) * device.lanes
            assert not memory[channel, unit, row, at : at + size].any()
            memory[channel, unit, row, at : at + size] = keys[token, head]
    multiplied = [each.row for each in layout.program() if device.does(each.op).does == "multiply"]
    found = np.zeros((layout.groups, 2, device.units, device.spec.accumulators, heads), np.int64)
    rows = iter(multiplied)
    for part, some in enumerate(layout.parts):
        for group in range(layout.groups):
            for inside in range(some):
                for each in range(device.spec.accumulators):
                    at, head = layout.column(inside, each) * device.lanes, part * layout.together + inside
                    sums = memory[:, :, next(rows), at : at + size] @ query[head]
                    found[group, :, :, each, head] = sums
    np.testing.assert_array_equal(found.reshape(-1, heads)[:count], np.einsum("thk,hk->th", keys, query))


@law(DEVICES, st.integers(1, 7), st.integers(1, 90), st.integers(1, 1500), st.integers(1, 2), quick=10, full=150)
def test_weighted_values_in_the_banks_are_those_of_numpy(
    name: str, heads: int, size: int, count: int, spread: int
) -> None:
    """Values are stored by `place`, tokens behind each other; each channel multiplies by the weights of its head."""
    device = load(name, {"channels": 2})
    one = Cached(device, heads, size, count)
    layout = Cached(device, heads, size, count, min(spread, one.needed))
    rng = np.random.default_rng(heads * 1000 + size)
    values, weights = rng.integers(-9, 10, (count, heads, size)), rng.integers(-9, 10, (heads, count))
    memory = np.zeros((2, device.units, layout.rows, device.row_bytes // device.element), np.int64)
    result = np.zeros((heads, size), np.int64)
    places = {(head, element): layout.place(head, element) for head in range(heads) for element in range(size)}
    for part, tokens in enumerate(layout.parts):
        first = part * layout.length
        for (head, element), (channel, turn, run_, unit, accumulator) in places.items():
            row, at = layout.row(part, turn, run_, accumulator), layout.column(accumulator) * device.lanes
            assert not memory[channel, unit, row, at : at + tokens].any()
            memory[channel, unit, row, at : at + tokens] = 100 + values[first : first + tokens, head, element]
            stored = memory[channel, unit, row, at : at + tokens] - 100
            result[head, element] += stored @ weights[head, first : first + tokens]
    np.testing.assert_array_equal(result, np.einsum("thk,ht->hk", values, weights))
    assert len(set(places.values())) == heads * size
    read = {each.row for each in layout.program() if device.does(each.op).does == "multiply"}
    assert read == set(range(layout.rows))


def test_nothing_begins_before_the_parameters_that_it_needs_are_read() -> None:
    """A word, its position, and the first norm: each read over the pins, 36 + 50 + 2 clocks and its bursts at least."""
    one = run("gddr6_aim", "gpt2", {**DECODE, **EIGHT})
    layers = {layer.name: layer for layer in one.layers}
    read = cost.moved(load("gddr6_aim", EIGHT), 2 * 96, "read").cycles
    assert layers["embed"].start == 0
    assert layers["embed"].cycles >= read > 36 + 50
    assert layers["position"].start + layers["position"].cycles > 2 * read
    assert layers["layer.0.norm1"].start + layers["layer.0.norm1"].cycles > 3 * read
    assert layers["layer.0.q"].start + layers["layer.0.q"].cycles > 4 * read
    assert all(operand for ways in one.traffic_bytes.values() for way in ways.values() for operand in way)


@pytest.mark.slow
def test_steps_between_simulated_ones_are_nearly_linear() -> None:
    """Keys fill groups of 128 banks, values bursts of 16: steps in the time of a token that a line does not follow."""
    settings = {**EIGHT, "depth": 2}
    exact = generate("gddr6_aim", "gpt2", 1, 300, settings, samples=299)
    few = generate("gddr6_aim", "gpt2", 1, 300, settings, samples=4)
    assert exact.exact
    assert not few.exact
    assert few.seconds == pytest.approx(exact.seconds, rel=0.01)
    assert few.energy_pj == pytest.approx(exact.energy_pj, rel=0.01)
