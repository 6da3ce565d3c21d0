"""Networks on a streaming fabric: the laws of every result, bounds of the pipeline, folding against all foldings."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import strategies as st

from sim import arch as arch_module
from sim import library
from sim.arch import Arch
from sim.errors import ConfigError, MappingError
from sim.fabric.cost import Cost, memory, multiply
from sim.fabric.cuts import cuts, estimate, loading
from sim.fabric.folding import Fold, Folder, Need
from sim.fabric.stages import stages
from sim.fabric.wiring import compute, repack, spread
from sim.layers import lower
from sim.report.trace import to_trace
from sim.simulate import run
from sim.streaming import checks
from sim.streaming.graph import Channel, Graph, Phase, Unit
from sim.streaming.simulate import outcome
from sim.streaming.units.matvec import MatVec
from sim.timeline import CAUSES
from sim.workload import open_workload
from tests import test_contract as contract
from tests.laws import law

FABRICS = [name for name in library.names("arch") if arch_module.load(name).families == {"fabric"}]
WORKLOADS = ["conv:3,20,20,8,3,3,stride=2,pad=1,batch=2", "gemm:12x20x30", "attention:1x2x12x8"]
PATTERNS = ("pipeline", "layers", "hybrid")


def fabric(**keys):
    """Return a small fabric without off-chip limits but those of its port, changed by `keys`."""
    unit = {"kind": "fabric", "dsp": 64, "lut": 100_000, "bram18": 200, **keys}
    return Arch.model_validate({
        "name": "small", "clock": "100 MHz", "technology": "22nm", "units": {"fabric": unit},
        "memory": {"kind": "simple", "bandwidth": "6.4 GB/s", "technology": "ddr4"},
    })  # fmt: skip


@pytest.fixture(scope="module", params=[(n, w) for n in FABRICS for w in WORKLOADS], ids=lambda p: "-".join(p))
def result(request):
    return run(*request.param)


def test_the_result_is_that_of_the_contract(result):
    contract.checked(json.loads(result.to_json()), contract.CONTRACT, "result")


def test_every_cycle_of_every_unit_has_one_cause(result):
    for unit in result.units.values():
        assert tuple(unit["cycles"]) == CAUSES
        assert all(count >= 0 for count in unit["cycles"].values())
        assert sum(unit["cycles"].values()) == result.cycles
    for layer in result.layers:
        assert sum(layer.causes.values()) == layer.cycles
        assert 0 <= layer.start <= layer.start + layer.cycles <= result.cycles
        assert {**result.units[layer.unit]["cycles"], "idle": 0} == layer.causes


def test_traffic_and_energy_add_up(result):
    class Case:
        pass

    case = Case()
    case.result = result
    contract.test_traffic_of_the_layers_makes_that_of_the_network(case)
    contract.test_energy_adds_up(case)


def test_a_port_brings_a_word_a_cycle_at_most(result):
    chip = arch_module.load(result.arch)
    moved = sum(sum(operands.values()) for operands in result.traffic_bytes["dram"].values())
    assert moved <= result.cycles * chip.fabric.port.width
    assert result.units["dram"]["cycles"]["compute"] * chip.fabric.port.width >= moved


@pytest.mark.parametrize("pattern", PATTERNS)
def test_macs_do_not_depend_on_the_pattern(pattern):
    found = run("finn_zcu104", "attention:1x2x12x8", {"pattern": pattern})
    assert found.macs == 2 * 2 * 12 * 12 * 8
    assert found.fabric["pattern"] == pattern
    assert len(found.fabric["parts"]) == (len(found.layers) if pattern == "layers" else 1)


def test_images_follow_each_other_at_the_interval_of_the_slowest_stage():
    """FIFOs are as deep as the flow needs: after the first image, each takes the interval and no cycle more."""
    cycles = [run("finn_zcu104", "mobilenet_v2", {"size": 32, "batch": batch, "dsp": 500}) for batch in (2, 3, 5)]
    interval = cycles[0].fabric["parts"][0]["interval"]
    assert [b.cycles - a.cycles for a, b in pairwise(cycles)] == [interval, 2 * interval]


MEASURED = 181_996
"""Cycles of the 256-1024-2048-256 MLP on an Alveo U280, weights through one HBM port (OswaldHe/InTAR, spatial)."""
WORDS = (256 * 1024 + 1024 * 2048 + 2048 * 256) // 16


def test_the_mlp_through_one_port_takes_what_was_measured():
    found = run("hls_u280", "intar_mlp")
    assert abs(found.cycles / MEASURED - 1) < 0.015
    assert found.cycles > WORDS
    part = found.fabric["parts"][0]
    assert part["bottleneck"]["layer"] == "dram"
    assert [n["layer"] for n in part["neighbours"]] == ["fc1", "fc2", "fc3"]
    assert found.traffic_bytes["dram"]["read"] == {"input": 512, "weight": 32 * WORDS}
    assert found.channels["fc3.weight_words"]["full_cycles"] > 100_000


def test_a_port_with_one_burst_at_a_time_waits_its_latency_for_each():
    """Within a layer bursts of 16 words follow each other one by one: 12 + 33 cycles to the first, then 16 words."""
    one = run("hls_u280", "gemv:64x256", {"port.outstanding": 1})
    bursts = 64 * 256 // 16 // 16
    latency = 12 + 33
    assert bursts * (latency + 16) <= one.cycles <= bursts * (latency + 16 + 2) + 400
    assert run("hls_u280", "gemv:64x256").cycles < 64 * 256 // 16 + 4 * latency


def test_a_stage_alone_takes_its_cycles_and_the_way_in_and_out():
    found = run("finn_zcu104", "conv:8,16,16,8,3,3,pad=1", {"memory": "ideal", "dsp": 6})
    fold = found.layers[0].mapping
    assert fold["pe"] * fold["simd"] * fold["interval"] == found.macs
    assert fold["interval"] <= found.cycles <= fold["interval"] + 2 * 16 + 30


@law(st.data(), quick=25, full=200)
def test_no_folding_within_the_budget_is_faster(data):
    """Against every combination of widths of two layers, memory blocks aside."""
    draw = data.draw
    shapes = [(draw(st.integers(1, 9)), draw(st.sampled_from((4, 6, 12))), draw(st.sampled_from((2, 8, 9))))
              for _ in range(2)]  # fmt: skip
    chip = fabric(dsp=draw(st.integers(2, 40)), macs_per_dsp=1, bram18=10_000)
    found, best = [], None
    for m, k, n in shapes:
        graph = open_workload(f"gemm:{m}x{n}x{k}", {})
        found += stages(graph, lower(graph, chip))
        found[-1].task.name = f"layer{len(found)}"
    plan = Folder(chip, chip.fabric).choose(found, frozenset())
    widths = [[(pe, simd) for pe in range(1, n + 1) if n % pe == 0 for simd in range(1, k + 1) if k % simd == 0]
              for _, k, n in shapes]  # fmt: skip
    for chosen in product(*widths):
        cost = sum((multiply(pe, simd, k, 1, 8, 8, 0) for (pe, simd), (_, k, _) in zip(chosen, shapes, strict=True)),
                   Cost())  # fmt: skip
        if cost.dsp <= chip.fabric.dsp:
            cycles = max(m * k * n // (pe * simd) for (pe, simd), (m, k, n) in zip(chosen, shapes, strict=True))
            best = min(best or cycles, cycles)
    assert plan.interval == best


def test_a_budget_too_small_names_what_is_missing():
    with pytest.raises(MappingError) as caught:
        run(fabric(bram18=1, weights="on_chip"), open_workload("gemm:4x128x128"))
    assert str(caught.value) == (
        "gemm does not fit on small: at its narrowest it needs 8 memory blocks of 18 Kib, 1 are there; "
        "set weights=streamed or bram18=8"
    )


def test_formats_without_a_known_packing_ask_for_it():
    with pytest.raises(ConfigError) as caught:
        run("finn_zcu104", "gemm:4x4x4", {"precision.weight": "fp16", "precision.input": "fp16",
                                          "precision.partial_sum": "fp32"})  # fmt: skip
    assert str(caught.value) == (
        "finn_zcu104: units.fabric: it is not known how many fp16 x fp16 products a multiplier block does in a cycle; "
        "set macs_per_dsp"
    )


@pytest.mark.parametrize(("arch", "network", "keys"), [
    ("finn_zcu104", "attention:1x2x12x8", {}), ("finn_zcu104", "attention:1x2x12x8", {"pattern": "layers"}),
    ("hls_u280", "gemv:64x256", {}), ("hls_u280", "gemv:64x256", {"memory": "hbm2_2000"}),
    ("finn_zcu104", "conv:3,20,20,8,3,3,stride=2,pad=1,batch=2", {}),
])  # fmt: skip
def test_a_track_of_every_unit_has_each_cycle_under_its_cause(arch, network, keys):
    """What each unit did when, without gaps; by cause it is what the result says."""
    found = run(arch, network, keys, record=True)
    assert replace(found, timeline=None) == run(arch, network, keys)
    for name, ledger in found.timeline.ledgers.items():
        assert ledger.by_cause() == found.units[name]["cycles"]
        assert ledger.slices[0][0] == 0 and ledger.slices[-1][1] == found.cycles
        assert all(before[1] == after[0] for before, after in pairwise(ledger.slices))
    events = json.loads(to_trace(found))["traceEvents"]
    threads = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert threads == {f"{name} ({found.units[name]['kind']})" for name in found.timeline.ledgers}
    layers = {(event["tid"], event["name"]) for event in events if event["name"] in {x.name for x in found.layers}}
    assert len(layers) == len(found.timeline.ledgers)


def test_a_fabric_stands_alone():
    with pytest.raises(ConfigError) as caught:
        run("finn_zcu104", "gemm:4x4x4", {"buffers.b.capacity": "1 KiB", "buffers.b.holds": ["input"]})
    assert "buffers: a fabric has its own memory; remove the buffers" in str(caught.value)


def test_weights_that_do_not_fit_come_from_off_chip():
    found = run(fabric(bram18=4), open_workload("gemm:4x128x128"))
    assert found.layers[0].mapping["weights"] == "streamed"
    assert found.traffic_bytes["dram"]["read"]["weight"] == 4 * 128 * 128


def test_a_least_plan_names_the_block():
    chip = fabric(dsp=1)
    graph = open_workload("attention:1x2x12x8", {})
    need = Folder(chip, chip.fabric).choose(stages(graph, lower(graph, chip)), frozenset())
    assert need == Need("dsp", 2, 1)


@law(st.data(), quick=60, full=600)
def test_repacking_keeps_counts_and_never_runs_ahead(data):
    """Token j leaves once the share of what came that makes it up is there, not before."""
    came, made = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    units = [Unit("a", "source", (Phase.of(1, pushes=["x"], interval=5),), came), repack("r", "x", "y", came, made, 1),
             Unit("b", "sink", (Phase.of(1, ["y"], interval=0),), made)]  # fmt: skip
    graph = Graph.of("g", units, [Channel("x", None), Channel("y", None)])
    assert not checks.faults(graph)
    found = outcome(graph)
    assert not found.blocked
    assert found.times[2] >= 5 * (came - 1)


@law(st.data(), quick=60, full=600)
def test_shares_are_even_and_whole(data):
    total, count = data.draw(st.integers(0, 500)), data.draw(st.integers(1, 40))
    shares = [size for n, size in spread(total, count) for size in [size] * n]
    assert sum(shares) == total and len(shares) == count and max(shares) - min(shares) <= 1


def test_a_memory_takes_the_blocks_of_its_shape():
    assert memory(512, 36) == Cost(bram18=1)
    assert memory(513, 36) == Cost(bram18=2)
    assert memory(64, 4) == Cost(lut=4)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_dram_controllers_stand_behind_the_port_of_a_fabric(pattern):
    """Small enough to be quick: 256 x 1024 weights, and a second layer for a second part."""
    keys = {"memory": "hbm2_2000", "pattern": pattern}
    plain, found = run("hls_u280", "gemm:4x64x256", {"pattern": pattern}), run("hls_u280", "gemm:4x64x256", keys)
    contract.checked(json.loads(found.to_json()), contract.CONTRACT, "result")
    assert found.traffic_bytes == plain.traffic_bytes
    moved = sum(sum(operands.values()) for operands in found.traffic_bytes["dram"].values())
    dram = found.dram["dram"]
    assert (dram["reads"] + dram["writes"]) * 32 == moved
    assert dram["row_hits"] + dram["row_misses"] + dram["row_conflicts"] == dram["reads"] + dram["writes"]
    assert sum(found.energy_pj["by_action"][f"dram.{a}"] for a in ("activate", "read", "write", "refresh")) > 0
    assert sum(layer.energy_pj for layer in found.layers) <= found.energy_pj["total"] * (1 + 1e-9)


def test_the_mlp_through_hbm_controllers_takes_what_was_measured():
    """32 GB/s of HBM behind 9.6 of the port: refresh is hidden by the bursts under way, one at a time hides nothing."""
    found = run("hls_u280", "gemv:256x1024", {"memory": "hbm2_2000"})
    words = 256 * 1024 // 16
    assert words < found.cycles < 1.03 * words
    alone = run("hls_u280", "gemv:256x1024", {"memory": "hbm2_2000", "port.outstanding": 1})
    assert alone.cycles > 2 * words


def test_weights_are_loaded_between_parts_through_the_controllers(tmp_path):
    keys = BYTES | {"bram18": 20, "uram": 0, "weights": "on_chip", "pattern": "layers"}
    network = mlp(tmp_path, 2, 128)
    found = run("finn_zcu104", network, keys | {"memory": "ddr4_2400r"})
    parts = found.fabric["parts"]
    begins = [part["start"] for part in parts]
    words = 128 * 128 // 16
    assert all(part["loaded_words"] == words for part in parts)
    assert begins[0] >= words and begins[1] - parts[0]["cycles"] - begins[0] >= words
    assert found.cycles == begins[1] + parts[1]["cycles"]
    assert found.dram["dram"]["reads"] * 64 >= 2 * 128 * 128 + 2 * 4 * 128


SEQUENTIAL = 1_374_935
"""Cycles of the same MLP on the same board, sequential: two words of 16 weights are loaded, then 32 products done."""


def test_the_sequential_mlp_takes_what_was_measured():
    """Its kernel asks for two words, waits for none to come back (it reads what is there), and overlaps nothing: the
    interface's 12 cycles and the words are its time, not that of the HBM."""
    keys = {"pattern": "layers", "port.outstanding": 1, "port.burst": 2}
    assert abs(run("hls_u280", "intar_mlp", keys | {"memory.latency": "0 ns"}).cycles / SEQUENTIAL - 1) < 0.15


@law(st.data(), quick=40, full=400)
def test_whole_tokens_pace_a_pipeline_as_words_do(data):
    """Against matrix-vector units word by word, with replay buffers and deep FIFOs: never faster, the same interval.

    Whole tokens are later by what words overlap, at most a vector's cycles in each unit and its pipeline registers.
    """
    draw = data.draw
    sizes = st.sampled_from((2, 4, 6, 12))
    shapes = [draw(sizes) for _ in range(4)]
    folds = [draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0])) for size in shapes]
    found = {vectors: (_words(shapes, folds, vectors), _tokens(shapes, folds, vectors)) for vectors in (9, 18)}
    each = [a // fa * (b // fb) for a, b, fa, fb in zip(shapes, shapes[1:], folds, folds[1:], strict=False)]
    for words, tokens in found.values():
        assert words <= tokens <= words + sum(each) + 4 * len(each) * 12
    assert found[18][1] - found[9][1] == 9 * max(each) == found[18][0] - found[9][0]


def _words(shapes, folds, vectors):
    """Return the cycles of a chain of matrix-vector units, words of `folds` elements between them."""
    names = [f"c{i}" for i in range(len(shapes))]
    units = [Unit("in", "source", (Phase.of(1, pushes=["c0"]),), vectors * shapes[0] // folds[0])]
    for i in range(len(shapes) - 1):
        spec = MatVec(inputs=shapes[i], outputs=shapes[i + 1], simd=folds[i], pe=folds[i + 1], vectors=vectors,
                      pop=names[i], push=names[i + 1])  # fmt: skip
        units.append(spec.build(f"u{i}"))
    units.append(Unit("out", "sink", (Phase.of(1, [names[-1]], interval=0),), vectors * shapes[-1] // folds[-1], 0))
    return outcome(Graph.of("words", units, [Channel(name, 200) for name in names])).cycles


def _tokens(shapes, folds, vectors):
    """Return the cycles of the same chain in tokens of whole vectors, the first as late as its last word."""
    names = [f"c{i}" for i in range(len(shapes))]
    units = [Unit("in", "source", (Phase.of(1, pushes=["c0"], interval=shapes[0] // folds[0]),), vectors)]
    for i in range(len(shapes) - 1):
        graph = open_workload(f"gemm:{vectors}x{shapes[i + 1]}x{shapes[i]}", {})
        (stage,) = stages(graph, lower(graph, fabric()))
        fold = Fold(folds[i + 1], folds[i], vectors * shapes[i] * shapes[i + 1] // (folds[i] * folds[i + 1]), Cost())
        images = vectors // stage.tokens
        fold = replace(fold, cycles=fold.cycles // images)
        units.append(compute(stage, fold, [(stage.sources[0], names[i])], [names[i + 1]], None, 0, images))
        units[-1] = replace(units[-1], name=f"u{i}")
    units.append(Unit("out", "sink", (Phase.of(1, [names[-1]], interval=0),), vectors, 0))
    return outcome(Graph.of("tokens", units, [Channel(name, 20) for name in names])).cycles


BYTES = {f"precision.{operand}": "int8" for operand in ("weight", "input", "output")}


def mlp(tmp_path, count, size):
    """Return the path of a network of `count` linear layers of `size` features, four vectors."""
    lines = [f"  - {{name: fc{i}, op: linear, features: {size}, bias: false}}" for i in range(count)]
    path = tmp_path / "mlp.yaml"
    path.write_text("\n".join([f"name: mlp\ninputs:\n  x: [4, {size}]\nlayers:", *lines]) + "\n")
    return str(path)


@pytest.mark.parametrize(("pattern", "times", "count"), [
    ("hybrid", ("10 us", "20 us"), 2), ("hybrid", ("0 s", "1 us"), 4), ("layers", ("0 s", "1 us"), 4),
])  # fmt: skip
def test_parts_follow_each_other_with_their_weights_and_a_change_between(tmp_path, pattern, times, count):
    """Four layers of 16 KiB in blocks of 2.25 KiB: two fit at a time, which pays where a change takes long."""
    keys = BYTES | {"bram18": 20, "uram": 0, "weights": "on_chip"}
    network = mlp(tmp_path, 4, 128)
    keys |= {"pattern": pattern}
    now, slow = (run("finn_zcu104", network, {**keys, "reconfiguration": time}) for time in times)
    parts = now.fabric["parts"]
    assert len(parts) == count
    changes = [round(float(time.split()[0]) * 200) for time in times]
    assert slow.cycles - now.cycles == (count - 1) * (changes[1] - changes[0])
    loads = sum(part["loaded_words"] for part in parts)
    assert loads * 16 == 4 * 128 * 128 == now.traffic_bytes["dram"]["read"]["weight"]
    assert now.cycles == sum(part["cycles"] for part in parts) + loads + count * (12 + 40) + (count - 1) * changes[0]
    moved = now.traffic_bytes["dram"]
    assert moved["read"]["input"] == moved["write"]["output"] == count * 4 * 128


def test_a_pipeline_that_does_not_fit_says_what_would(tmp_path):
    keys = BYTES | {"bram18": 20, "uram": 0, "weights": "on_chip"}
    with pytest.raises(MappingError) as caught:
        run("finn_zcu104", mlp(tmp_path, 4, 128), keys)
    assert str(caught.value) == (
        "the pipeline of 4 layers does not fit on finn_zcu104: at its narrowest it needs 32 memory blocks of 18 Kib, "
        "20 are there; set pattern=hybrid or weights=streamed or bram18=32"
    )


@law(st.data(), quick=8, full=60)
def test_no_cuts_of_a_hybrid_are_estimated_faster(data):
    """Against every way to cut a chain of layers, the one part that needs no loading included."""
    draw = data.draw
    sizes = [draw(st.sampled_from((16, 64, 128))) for _ in range(draw(st.integers(2, 6)))]
    chip = fabric(bram18=draw(st.sampled_from((8, 16, 40))), macs_per_dsp=1, dsp=draw(st.sampled_from((4, 64))),
                  reconfiguration=draw(st.sampled_from(("0 s", "1 us", "1 ms"))), weights="on_chip")  # fmt: skip
    made = []
    for index, (k, n) in enumerate(pairwise([*sizes, 32])):
        graph = open_workload(f"gemm:8x{n}x{k}", {})
        (stage,) = stages(graph, lower(graph, chip))
        writes = replace(stage.task, name=f"fc{index}", writes=f"t{index}")
        sources = tuple(replace(source, tensor=f"t{index - 1}") for source in stage.sources)
        made.append(replace(stage, task=writes, sources=sources))
    folder, images = Folder(chip, chip.fabric), draw(st.sampled_from((1, 5)))

    def choose(part):
        return folder.choose(part, frozenset())

    def total(groups):
        change, cycles = chip.fabric.change(chip.clock) * (len(groups) - 1), 0.0
        for group in groups:
            plan = choose(group)
            if isinstance(plan, Need):
                return float("inf")
            cycles += estimate(group, plan, folder, images) + (loading(group, plan, folder) if len(groups) > 1 else 0)
        return cycles + change

    every = []
    for marks in product((False, True), repeat=len(made) - 1):
        edges = [0, *(i + 1 for i, cut in enumerate(marks) if cut), len(made)]
        every.append([made[a:b] for a, b in pairwise(edges)])
    best = min(map(total, every))
    if best < float("inf"):
        assert total(cuts(made, folder, choose, images)) == pytest.approx(best, rel=1e-12)
