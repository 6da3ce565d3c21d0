"""Laws of a result, for every chip and every network in the library, and for every registered operator."""

from __future__ import annotations

import json
import math
from functools import cache, cached_property

import pytest

from sim import arch as arch_module
from sim import library
from sim.arch import Dram, Simple
from sim.fusing import settle
from sim.graph import Graph, Node
from sim.kernel import Attention, Contraction
from sim.layers import lower
from sim.op import OPS
from sim.simulate import run, simulate
from sim.timeline import CAUSES
from sim.workload import open_workload
from tests.laws import HOUR

OPERANDS = ("weight", "input", "output", "kv", "index", "routing")
CHIPS = [n for n in library.names("arch") if not (arch_module.load(n).fabric or arch_module.load(n).pim)]
NARROW = {
    "context": 24, "depth": 2, "hidden": 64, "heads": 4, "kv_heads": 2, "head_dim": 16, "ffn": 96, "vocab": 80,
    "experts": 4, "top_k": 2, "expert_ffn": 32, "shared_ffn": 32, "q_rank": 24, "kv_rank": 16, "nope": 16, "rope": 8,
    "value": 16, "dense_layers": 1,
}  # fmt: skip
"""A language model of two narrow layers, as far as it has these params at all (0: it has not)."""
PARTS = ("scores", "softmax", "values")
"""The layers that one plan of an attention stands for."""
SMALL = {
    "alexnet": {"size": 96}, "sd15_unet": {"size": 8, "base": 32, "text": 5, "text_width": 24}, "unet": {"size": 188},
    "unet3d": {"height": 92, "width": 92, "depth": 92},
}  # fmt: skip
GENERIC = {"size": 64, **NARROW}
"""Images as small as a network takes, the others take 64."""
FAST = {("resnet18", chip) for chip in CHIPS if chip != "tiny_4x4"} | {
    (network, chip)
    for network in ("mobilenet_v2", "ghostnet", "unet")
    for chip in ("array", "edge_tpu_like", "tpu_v1")
} | {(network, "edge_tpu_like") for network in ("gpt2", "deepseek_v3", "mixtral_8x7b", "swin_t")}


@cache
def network(name):
    known = open_workload(name).params
    return open_workload(name, {key: value for key, value in SMALL.get(name, GENERIC).items() if known.get(key)})


class Case:
    """A chip, a network, and what came out; run once for all laws."""

    def __init__(self, chip, name):
        self.chip, self.graph = opened((chip, name))
        self.name = chip

    @cached_property
    def result(self):
        return run(self.name, self.graph)

    @cached_property
    def lowered(self):
        """The layers of the result: attentions that the chip leaves open are fused there, or they are not."""
        names = [layer.name for layer in self.result.layers]
        apart = lower(self.graph, self.chip)
        if [task.name for task in apart.tasks] == names:
            return apart
        return settle(self.graph, self.chip).lowered

    @cached_property
    def parts(self):
        """The layers of the graph that each layer of the result is, by its name."""
        known = {node.name for node in self.graph.nodes}
        return {
            layer.name: (layer.name,) if layer.name in known else tuple(f"{layer.name}.{part}" for part in PARTS)
            for layer in self.result.layers
        }

    @cached_property
    def layers(self):
        return list(zip(self.lowered.tasks, self.result.layers, strict=True))

    def off_chip(self, layer):
        """Return the bytes of a layer by operand: (read, written)."""
        moved = layer.traffic_bytes.get("dram", {"read": {}, "write": {}})
        return tuple({o: moved[way].get(o, 0) for o in OPERANDS} for way in ("read", "write"))


def single(name, index):
    """Return the graph of one operator on its own example."""
    op, shapes = OPS[name].examples()[index]
    inputs = {f"x{i}": shape for i, shape in enumerate(shapes)}
    made = op.infer(shapes)
    outputs = ("y",) if len(made) == 1 else tuple(f"y.{i}" for i in range(len(made)))
    node = Node("y", name, op, tuple(inputs), outputs, tuple(shapes), made)
    return Graph(f"{name}-{index}", inputs, (node,), "")


NETWORKS = [
    pytest.param((chip, name), id=f"{name}-{chip}", marks=() if (name, chip) in FAST else pytest.mark.slow)
    for name in library.names("workload")
    for chip in CHIPS
]
OPERATORS = [
    pytest.param((chip, f"{name}/{index}"), id=f"{name}-{index}-{chip}")
    for name in OPS
    for index in range(len(OPS[name].examples()))
    for chip in ("tiny_4x4", "array")
]


BOUNDED = [
    pytest.param((chip, name), id=one.id, marks=one.marks if name.startswith("resnet") else pytest.mark.slow)
    for one in NETWORKS
    for chip, name in one.values
    if arch_module.load(chip).bounded
] + [one for one in OPERATORS if arch_module.load(one.values[0][0]).bounded]
"""What has something to enlarge."""


def opened(where):
    """Return the chip and the graph that a pair of names stands for."""
    chip, name = where
    op, _, index = name.partition("/")
    return arch_module.load(chip), (single(op, int(index)) if index else network(name)).expanded


@pytest.fixture(scope="module", params=NETWORKS + OPERATORS)
def case(request):
    return Case(*request.param)


def test_macs_are_those_of_the_graph(case):
    result = case.result
    assert result.macs == case.graph.macs == sum(layer.macs for layer in result.layers)
    by_name = {node.name: node.macs for node in case.graph.nodes}
    assert all(layer.macs == sum(by_name[part] for part in case.parts[layer.name]) for layer in result.layers)


def test_every_layer_is_there_or_fused_or_a_view_or_named(case):
    result = case.result
    seen = {part for parts in case.parts.values() for part in parts}
    seen |= {name for layer in result.layers for name in layer.fused}
    named = {where for entry in result.not_modelled for where in entry["where"]}
    views = {node.name for node in case.graph.nodes if not node.kernels}
    assert {node.name for node in case.graph.nodes} <= seen | named | views
    assert not seen & views


def least(case, task):
    """Return the bytes that a layer must (read, write) off chip: what its work touches and nobody keeps."""
    chip, kept = case.chip, case.lowered.kept
    read, written = dict.fromkeys(OPERANDS, 0), 0
    for kernel in task.kernels:
        if not isinstance(kernel, Contraction | Attention):
            read["weight"] += chip.bytes_of("weight", kernel.weights)
            written += chip.bytes_of(task.result, kernel.outputs)
            continue
        sources: dict[str, list[str]] = {"weight": [], "input": []}
        for operand, tensor in task.kernel_reads(kernel):
            sources[operand].append(tensor)
        here = {operand for operand, tensors in sources.items() if tensors and set(tensors) <= kept}
        right = kernel.right_is
        read[right] += 0 if "weight" in here else chip.bytes_of(right, kernel.right_elements)
        read["input"] += 0 if "input" in here else chip.bytes_of("input", kernel.input_elements)
        written += chip.bytes_of(task.result, kernel.output_elements)
    return read, 0 if task.writes in kept else written


def reuseless(attention):
    """Return the products of all queries with all keys, and two passes over their scores for the softmax."""
    return attention.heads * attention.rows * attention.keys * (attention.size + attention.value + 2)


def most(case, task):
    """Return the bytes that a machine without any reuse would (read, write): operands and sums of every product,
    and the parameters of every output."""
    chip, first = case.chip, task.kernels[0]
    outputs = first.m if isinstance(first, Contraction) else 1  # each takes the parameters of its filter anew
    parameters = chip.bytes_of("partial_sum", task.parameters * outputs)
    read, written = dict.fromkeys(OPERANDS, 0) | {"weight": parameters}, 0
    for kernel in task.kernels:
        if isinstance(kernel, Contraction | Attention):
            products = kernel.computed if isinstance(kernel, Contraction) else reuseless(kernel)
            read[kernel.right_is] += chip.bytes_of(kernel.right_is, products)
            read["input"] += chip.bytes_of("input", products)
            read["output"] += chip.bytes_of("partial_sum", products)
            written += chip.bytes_of("partial_sum", products)
        else:
            kinds = kernel.kinds or ("input",) * len(kernel.inputs)
            for kind, count in zip(kinds, kernel.inputs, strict=True):
                read[kind] += chip.bytes_of(kind, count)
            read["weight"] += chip.bytes_of("weight", kernel.weights)
            written += chip.bytes_of(task.result, kernel.outputs)
    return read, written


def test_off_chip_traffic_lies_between_what_is_touched_and_no_reuse_at_all(case):
    """Where loads bring whole granules, a layer may read one for each byte; for a network it holds all the same."""
    spared = []
    for task, layer in case.layers:
        read, written = case.off_chip(layer)
        if not case.chip.bounded:
            assert not any(read.values()) and not any(written.values())
            continue
        (floor, stored), (ceiling, spilled) = least(case, task), most(case, task)
        places = {"kv": "weight", "index": "input", "routing": "input"}  # where what has no buffer of its own lies
        brought = {o: ceiling[o] * case.chip.brought(places.get(o, o), 1) for o in OPERANDS}
        assert all(floor[o] <= read[o] <= brought[o] for o in OPERANDS), (layer.name, floor, read, ceiling)
        spared.append(sum(ceiling.values()) - sum(read[o] for o in OPERANDS))
        assert stored <= written["output"] + written["kv"] + written["routing"] <= spilled, layer.name
        assert written["weight"] == written["input"] == 0
    assert sum(spared) >= 0 or len(spared) == 1


def test_cycles_are_at_least_what_compute_lanes_and_bandwidth_need(case):
    chip, result = case.chip, case.result
    if chip.array:
        assert result.cycles * chip.array.pes >= result.macs
        assert result.utilization == (result.macs / (result.cycles * chip.array.pes) if result.cycles else 0)
    if chip.vector:
        lanes = sum(count for task in case.lowered.tasks for k in (*task.kernels, *task.epilogue)
                    if not isinstance(k, Contraction | Attention) for _, count in k.operations)  # fmt: skip
        assert result.cycles * chip.vector.lanes >= lanes
    if isinstance(chip.memory, Simple):
        moved = sum(sum(bytes_.values()) for bytes_ in result.traffic_bytes.get("dram", {}).values())
        assert result.cycles * chip.memory.bandwidth >= moved * chip.clock
        assert 0 <= result.dram["dram"]["bandwidth_utilization"] <= 1


@pytest.mark.timeout(HOUR)
@pytest.mark.parametrize("where", BOUNDED)
def test_a_larger_chip_is_never_slower(where):
    """On the memory of one bandwidth and one latency, which takes the place of DRAM controllers here.

    Without prefetch the cycles of a network are those of its layers alone, as the mapper ranks them, but where branches
    on chip overlap. With prefetch this is observed, and no theorem: the mapper does not see how much of the weights of
    the next layer a mapping hides.
    """
    chip, graph = opened(where)
    if isinstance(chip.memory, Dram):
        chip = chip.model_copy(update={"memory": arch_module.load("edge_tpu_like_simple").memory})
    for prefetch in (False, True):
        before = simulate(chip.model_copy(update={"prefetch": prefetch}), graph, {}).cycles
        for what, larger in larger_than(chip):
            after = simulate(larger.model_copy(update={"prefetch": prefetch}), graph, {}).cycles
            assert after <= before, (what, prefetch)


def larger_than(chip):
    """Yield the chip with a buffer of twice the capacity, each in turn, and with twice the bandwidth off chip."""
    for name, buffer in chip.buffers.items():
        more = buffer.model_copy(update={"capacity": 2 * buffer.capacity})
        yield name, chip.model_copy(update={"buffers": {**chip.buffers, name: more}})
    faster = chip.memory.model_copy(update={"bandwidth": 2 * chip.memory.bandwidth})
    yield "memory", chip.model_copy(update={"memory": faster})


def test_every_cycle_of_every_unit_has_one_cause(case):
    result = case.result
    for unit in result.units.values():
        assert tuple(unit["cycles"]) == CAUSES
        assert all(count >= 0 for count in unit["cycles"].values())
        assert sum(unit["cycles"].values()) == result.cycles
    for layer in result.layers:
        assert set(layer.causes) <= set(CAUSES)
        assert layer.compute_cycles == layer.causes.get("compute", 0) <= layer.cycles
        assert 0 <= layer.start <= layer.start + layer.cycles <= result.cycles


def test_causes_of_the_layers_make_those_of_their_units(case):
    result = case.result
    for name, unit in result.units.items():
        if name == case.chip.unit_name(arch_module.Systolic):
            mine = [layer.causes for layer in result.layers if layer.unit == name]
            sums = {cause: sum(c.get(cause, 0) for c in mine) for cause in CAUSES}
            assert sums | {"idle": 0} == unit["cycles"] | {"idle": 0}


def test_energy_adds_up(case):
    energy = case.result.energy_pj
    total = energy["total"]
    assert math.isclose(total, math.fsum(energy["by_component"].values()), rel_tol=1e-12)
    assert math.isclose(total, math.fsum(energy["by_action"].values()), rel_tol=1e-12)
    for component, spent in energy["by_component"].items():
        mine = [pj for action, pj in energy["by_action"].items() if action.rpartition(".")[0] == component]
        assert math.isclose(spent, math.fsum(mine), rel_tol=1e-12)
    leaked = math.fsum(pj for action, pj in energy["by_action"].items() if action.endswith(".leakage"))
    layers = math.fsum(layer.energy_pj for layer in case.result.layers)
    assert math.isclose(total, layers + leaked, rel_tol=1e-9)


def test_buffers_are_never_overfull(case):
    for name, buffer in case.result.buffers.items():
        assert 0 <= buffer["peak_bytes"] <= buffer["capacity_bytes"] == case.chip.buffers[name].capacity


def test_traffic_of_the_layers_makes_that_of_the_network(case):
    total: dict[tuple[str, str, str], int] = {}
    for layer in case.result.layers:
        for key, count in flat(layer.traffic_bytes).items():
            total[key] = total.get(key, 0) + count
    assert flat(case.result.traffic_bytes) == total


def flat(traffic):
    return {
        (memory, way, operand): count
        for memory, ways in traffic.items()
        for way, operands in ways.items()
        for operand, count in operands.items()
    }


def test_the_result_is_that_of_the_contract(case):
    checked(json.loads(case.result.to_json()), CONTRACT, "result")


def test_the_same_input_gives_the_same_bytes_with_and_without_fast_forward(case):
    assert run(case.name, case.graph).to_json() == case.result.to_json()
    if case.result.cycles < 5_000_000:  # more would take minutes
        assert run(case.name, case.graph, fast_forward=False).to_json() == case.result.to_json()


def each(value):
    """A mapping from any names to values of one shape."""
    return {...: value}


TRAFFIC = each({"read": each(int), "write": each(int)})
CONTRACT = {
    "schema": str, "arch": str, "workload": str, "clock_hz": int, "cycles": int, "seconds": float, "macs": int,
    "utilization": float, "mapping_efficiency": float,
    "units": each({"kind": str, "cycles": each(int)}),
    "traffic_bytes": TRAFFIC,
    "energy_pj": {"total": float, "by_component": each(float), "by_action": each(float)},
    "buffers": each({"capacity_bytes": int, "peak_bytes": int}),
    "dram": each({"bandwidth_utilization": float}),
    "layers": [{
        "name": str, "op": str, "unit": str, "start": int, "cycles": int, "macs": int, "utilization": float,
        "mapping_efficiency": float, "traffic_bytes": TRAFFIC, "energy_pj": float, "bound": str,
    }],
    "not_modelled": [{"what": str, "where": [str]}],
    "provenance": {"version": str, "arch_sha256": str, "workload_sha256": str, "overrides": {}},
}  # fmt: skip
"""Keys and types that design promises; there may be more keys."""


def checked(value, wanted, where):
    """Make sure that a value has the shape that is wanted."""
    if isinstance(wanted, type):
        assert type(value) is wanted, (where, value)
        assert wanted is not float or math.isfinite(value), where
    elif isinstance(wanted, list):
        assert isinstance(value, list), where
        for index, item in enumerate(value):
            checked(item, wanted[0], f"{where}[{index}]")
    elif ... in wanted:
        for key, item in value.items():
            checked(item, wanted[...], f"{where}.{key}")
    else:
        for key, shape in wanted.items():
            assert key in value, (where, key)
            checked(value[key], shape, f"{where}.{key}")
