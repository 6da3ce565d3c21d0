"""Plans of fused attention: what they compute, that skipping loops is exact, and that costs and room matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import ConfigError, run, summarize
from sim.arch import Arch, load
from sim.attention.lowering import bands
from sim.attention.mapping import MAPPINGS, Wish
from sim.engine import Engine
from sim.errors import MappingError
from sim.execute.attention import execute_attention, hidden
from sim.frontend import Stage
from sim.kernel import Attention
from sim.ops._masks import Mask, Sight
from sim.ops.attention import visible
from sim.plan import Free, Load, Loop, Plan, Process, Store, steps
from tests.laws import law


@st.composite
def kernels(draw: Any) -> Attention:
    """A small attention, with or without a mask."""
    rows, other = draw(st.integers(1, 40)), draw(st.integers(1, 60))
    kind = draw(st.sampled_from(("full", "full", "causal", "sliding", "local")))
    keys = rows if kind == "local" else max(rows, other) if kind != "full" else other
    seen = () if kind == "full" else bands(Mask((Sight(kind, rows, keys, draw(st.integers(1, 9))),), (rows,)))
    sizes = [draw(st.integers(1, 6)) for _ in range(2)]
    shared = sizes[0] >= sizes[1] and draw(st.booleans())
    return Attention("a", draw(st.integers(1, 4)), rows * (copies := draw(st.sampled_from((1, 1, 2)))), keys, *sizes,
                     seen * copies, shared)  # fmt: skip


@st.composite
def cases(draw: Any) -> tuple[Arch, Plan]:
    """A chip whose arrays keep scores, or whose lanes do, or of folds; and a plan that it can execute."""
    side = draw(st.sampled_from((2, 4, 8)))
    settings: dict[str, Any] = {
        "array.rows": side, "array.cols": side, "vector.lanes": draw(st.sampled_from((1, 4, 16))),
        "buffer.capacity": f"{draw(st.sampled_from((600, 2000, 8000, 100000)))} B",
        "mapping.interleave": draw(st.sampled_from((None, 0, 1, 2, 3))),
        "memory.bandwidth": f"{draw(st.sampled_from((1, 10, 100)))} GB/s", "vector.latency": draw(st.integers(0, 3)),
    }  # fmt: skip
    if count := draw(st.sampled_from((0, 0, 2, 3))):
        settings |= {"array.count": count, "link.bandwidth": f"{draw(st.sampled_from((1, 64)))} B/cycle"}
    name = draw(st.sampled_from(("fusemax", "flat", "flat")))
    if name == "flat" and draw(st.booleans()):
        settings |= {"array.flexible": False, "array.dataflow": draw(st.sampled_from(("ws", "os", "is")))}
        settings |= {"array.rates": {"bf16": draw(st.integers(1, 3))}} if draw(st.booleans()) else {}
    if draw(st.integers(0, 4)) == 0:
        settings = {key: value for key, value in settings.items() if not key.startswith("memory")} | {"memory": "ideal"}
    arch, kernel = load(name, settings), draw(kernels())
    wish = Wish(kernel, arch.seen("kv"), arch.mapping.of("a"))
    plans = [plan for mapping in MAPPINGS for plan in MAPPINGS[mapping](wish)]
    if plans:
        return arch, draw(st.sampled_from(plans))
    roomy = load("flat")  # the chip is too small for any: a plan of another one would never end on it
    return roomy, next(MAPPINGS["one_pass"](Wish(kernel, roomy.seen("kv"), wish.choice)))


def operands(kernel: Attention) -> list[np.ndarray[Any, Any]]:
    """Return random queries, keys and values; values are the first features of keys where these are one tensor."""
    random = np.random.default_rng(kernel.rows)
    shapes = ((kernel.rows, kernel.size), (kernel.keys, kernel.size), (kernel.keys, kernel.value))
    queries, keys, values = (random.normal(size=(kernel.heads, *shape)) for shape in shapes)
    return [queries, keys, keys[..., : kernel.value] if kernel.shared else values]


def softmax(kernel: Attention) -> np.ndarray[Any, Any]:
    """Return softmax(Q · Kᵀ) · V by the textbook."""
    queries, keys, values = operands(kernel)
    scores = np.where(hidden(kernel), -np.inf, queries @ keys.swapaxes(1, 2))
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True) @ values


@law(quick=40, full=400, case=cases())
def test_every_plan_computes_softmax_attention(case) -> None:
    arch, plan = case
    assert isinstance(plan.kernel, Attention)
    assert np.allclose(execute_attention(plan, *operands(plan.kernel), arch), softmax(plan.kernel))


@law(quick=25, full=400, case=cases())
def test_skipping_loops_of_attention_is_exact(case) -> None:
    arch, plan = case
    fast, slow = (Engine(arch, skips).run([Stage(plan, 0)]) for skips in (True, False))
    assert fast.cycles == slow.cycles
    causes = [{name: ledger.by_cause() for name, ledger in run.ledgers.items()} for run in (fast, slow)]
    assert causes[0] == causes[1]
    assert all(sum(found.values()) == fast.cycles for found in causes[0].values())


@law(quick=40, full=500, kernel=kernels())
def test_bands_see_what_the_mask_shows(kernel) -> None:
    assert kernel.seen == kernel.heads * int((~hidden(kernel)).sum())
    for first in range(0, kernel.rows, 3):
        seen = np.flatnonzero((~hidden(kernel))[first : first + 3].any(axis=0))
        assert kernel.sees(first, min(first + 3, kernel.rows)) == (seen[0], seen[-1] + 1)


@pytest.mark.parametrize("kind", ["causal", "sliding", "local", "blocked", "neighbourhood"])
def test_bands_are_the_intervals_of_the_operator(kind) -> None:
    mask = Mask((Sight(kind, 24, 24, 6),), (24,))
    assert (~hidden(Attention("a", 1, 24, 24, 1, 1, bands(mask))) == visible(mask)).all()


def broken(plan: Plan, kind: type, name: str = "") -> Plan:
    """Return the plan without its steps of a kind (and a name)."""

    def strip(nodes: Any) -> tuple[Any, ...]:
        kept = (node for node in nodes if not (isinstance(node, kind) and (not name or _name(node) == name)))
        return tuple(
            Loop(node.dim, node.count, node.start, node.size, strip(node.body)) if isinstance(node, Loop) else node
            for node in kept
        )

    return Plan(plan.name, plan.kernel, plan.unit, strip(plan.body), plan.slots, plan.mapping, plan.ahead)


def _name(node: Any) -> str:
    return str(node.order.makes if getattr(node, "order", None) else getattr(node, "makes", ""))


@pytest.mark.parametrize(("kind", "name", "message"), [
    (Load, "keys", "reads keys that are not on chip"), (Load, "values", "reads values that are not on chip"),
    (Process, "added", "ends sums before all tiles are in them"), (Store, "", "outputs missing"),
    (Process, "output", "stores outputs before they are complete"),
])  # fmt: skip
def test_a_plan_that_forgets_a_step_is_refused(kind, name, message) -> None:
    arch = load("fusemax", {"array.rows": 4, "array.cols": 4})
    plan = next(MAPPINGS["one_pass"](Wish(Attention("a", 2, 16, 16, 3, 3), arch.seen("kv"), arch.mapping.of("a"))))
    with pytest.raises(MappingError, match=message):
        execute_attention(broken(plan, kind, name), *operands(plan.kernel), arch)  # type: ignore[arg-type]


def test_tiles_freed_early_are_refused() -> None:
    arch = load("fusemax", {"array.rows": 4, "array.cols": 4})
    plan = next(MAPPINGS["one_pass"](Wish(Attention("a", 1, 16, 16, 3, 3), arch.seen("kv"), arch.mapping.of("a"))))

    def early(nodes: Any) -> tuple[Any, ...]:
        found = []
        for node in nodes:
            found.append(Loop(node.dim, node.count, node.start, node.size, early(node.body))
                         if isinstance(node, Loop) else node)  # fmt: skip
            if isinstance(node, Load) and node.makes == "values":
                found += [Free("weight"), Free("weight")]
        return tuple(found)

    wrong = Plan(plan.name, plan.kernel, plan.unit, early(plan.body), plan.slots, plan.mapping, plan.ahead)
    with pytest.raises(MappingError, match="reads keys that are not on chip"):
        execute_attention(wrong, *operands(plan.kernel), arch)  # type: ignore[arg-type]


POINT = "attention:4x4x2048x64,kv=8192"
TILES = 4 * 4 * 8 * 32


@pytest.mark.parametrize(("settings", "a_tile"), [
    ({"vector.cycles_per.exp": 16}, 10),
    ({"vector.cycles_per": {"exp": 6, "mul": 2}}, 65),
    ({"array.in_place.exp": 36}, 167 - 140),
    ({"array.in_place.exp": 8}, 0),
])  # fmt: skip
def test_the_cost_of_a_step_shows_tile_by_tile(settings, a_tile) -> None:
    """The lanes bound, 140 cycles a tile beside 137 of the array: what they get more shows, what that gets above.

    Where the array bounds, the divisions of the last pass keep it waiting for a max now and then: below 1.5 a tile.
    """
    more = run("fusemax", POINT, settings).cycles - run("fusemax", POINT).cycles
    assert more / TILES == pytest.approx(a_tile, abs=1.5)


def test_without_interleaving_each_tile_waits_for_its_max() -> None:
    """E + 1, the drain, 1, 8, 2 F, where products of the next tile wait for the values of this one."""
    alone = run("fusemax", POINT, {"mapping.interleave": 0}).cycles
    assert alone / TILES == pytest.approx(64 + 1 + 256 + 1 + 8 + 2 * 64, abs=0.5)
    one = run("fusemax", POINT, {"mapping.interleave": 1}).cycles  # two tiles in the time from scores to values
    assert one / TILES == pytest.approx((64 + 1 + 256 + 1 + 8 + 64) / 2, abs=2)


def test_a_smaller_buffer_reads_keys_again() -> None:
    whole, half = (run("fusemax", POINT, {"buffer.capacity": size}) for size in ("16 MiB", "600 KiB"))
    assert half.traffic_bytes["dram"]["read"]["kv"] > whole.traffic_bytes["dram"]["read"]["kv"]
    assert half.buffers["buffer"]["peak_bytes"] <= 600 * 1024
    assert whole.traffic_bytes["dram"]["read"]["kv"] == 2 * 4 * 4 * 8192 * 64 * 2


def test_what_is_held_of_scores_does_not_depend_on_the_number_of_keys() -> None:
    """Chunks of 1,024 x 4,096 scores in 4 bytes are 16 MiB, of which one is there; all scores are 1 GiB."""
    chunks = {"memory": "ideal", "precision.partial_sum": "fp32", "mapping.tile.m": 1024, "mapping.tile.n": 4096,
              "mapping.interleave": 0, "array.flexible": False}  # fmt: skip
    held = {
        keys: run("flat", f"attention:1x1x16384x64,kv={keys}", {**chunks, "mapping.attention": "one_pass"})
        for keys in (8192, 16384)
    }
    found = [result.layers[0].mapping["attention"] for result in held.values()]  # type: ignore[index]
    assert [(fusion["scores"], fusion["passes"]) for fusion in found] == [(16 << 20, 1)] * 2
    naive = run("flat", "attention:1x1x16384x64", {"precision.partial_sum": "fp32", "mapping.attention": "unfused"})
    fusion = naive.layers[0].mapping["attention"]  # type: ignore[index]
    assert (fusion["scores"], fusion["passes"]) == (1 << 30, 3)


def test_a_causal_mask_skips_tiles_and_counts_what_partial_ones_waste() -> None:
    full, causal = (run("fusemax", f"attention:1x4x4096x64{mask}") for mask in ("", ",causal"))
    fusion = causal.layers[0].mapping["attention"]  # type: ignore[index]
    assert causal.macs == 4 * 128 * 4096 * 4097 // 2
    assert fusion["computed"] == 4 * 256 * 256 * (16 * 17 // 2)
    assert causal.cycles < 0.56 * full.cycles


def test_mappings_are_chosen_by_name_and_layer() -> None:
    fused = run("fusemax", "bert_base", {"depth": 2, "mapping.layers": {"layer.1.*": {"attention": "layers"}}})
    names = [layer.name for layer in fused.layers]
    assert "layer.0.attn" in names and "layer.1.attn.softmax" in names


def message(chip: str, form: str, settings: dict[str, Any]) -> str:
    """Return what a run is refused with."""
    with pytest.raises((ConfigError, MappingError)) as error:
        run(chip, form, settings)
    return str(error.value)


def test_a_misspelt_mapping_names_the_nearest() -> None:
    assert message("fusemax", "attention:1x1x64x8", {"mapping.attention": "one_pas"}) == (
        "mapping.attention: unknown attention mapping 'one_pas'; did you mean 'one_pass'? "
        "choose from: auto, layers, one_pass, row_fused, unfused"
    )


def test_a_mapping_on_a_chip_without_lanes_names_the_units() -> None:
    assert message("array", "attention:1x1x64x8", {"mapping.attention": "one_pass"}) == (
        "mapping.attention: 'one_pass' needs a systolic array and a vector unit, 'array' has not both; choose layers"
    )


def test_a_buffer_without_room_for_a_tile_names_the_way_out() -> None:
    assert message("fusemax", "attention:1x1x4096x64", {"buffer.capacity": "64 KiB"}) == (
        "attention: no tiles of attention (one_pass, row_fused, unfused) fit the buffers of 'fusemax'; enlarge them, "
        "set smaller mapping.tile.m and mapping.tile.n, or mapping.attention to layers"
    )


def test_work_in_place_needs_all_of_a_softmax() -> None:
    assert "a softmax in place needs max, add, exp; add is missing" in message(
        "flat", "attention:1x1x64x8", {"array.in_place": {"max": 1, "exp": 6}}
    )


def test_memory_sees_every_burst_of_attention() -> None:
    """Behind a DRAM controller the same bytes move, whichever mapping."""
    for mapping in MAPPINGS:
        result = run("flat", "attention:1x2x300x64", {"mapping.attention": mapping, "memory": "hbm2_2000"})
        moved = sum(sum(operands.values()) for operands in result.traffic_bytes["dram"].values())
        bursts = sum(result.dram["dram"][way] for way in ("reads", "writes"))
        assert bursts * 32 >= moved


def test_process_counts_lane_operations_of_a_softmax() -> None:
    arch = load("flat")
    kernel = Attention("a", 1, 256, 1024, 64, 64)
    plan = next(MAPPINGS["row_fused"](Wish(kernel, arch.seen("kv"), arch.mapping.of("a"))))
    lanes = sum(step.cycles * times for step, times in steps(plan.body) if isinstance(step, Process))
    assert lanes == 4 * 1024


def test_decode_splits_its_keys_over_arrays_and_pays_for_the_reduction() -> None:
    """Arrays divide the keys; what their values add up to goes over the link, 64 sums of 2 bytes from each but one."""
    form, fast = "attention:1x8x1x64,kv=65536", {"memory.bandwidth": "8000 GB/s", "mapping.attention": "row_fused"}
    link = {"link.latency": 10, "link.bandwidth": "64 B/cycle"}
    one, four = run("flat", form, fast), run("flat", form, {**fast, **link, "array.count": 4})
    assert 3.5 < one.cycles / four.cycles <= 4
    slow = run("flat", form, {**fast, **link, "array.count": 4, "link.bandwidth": "1 B/cycle"})
    moved = 8 * 3 * (64 * 2 + 64 * 2)
    assert slow.units["link"]["cycles"]["compute"] == moved
    assert slow.cycles > four.cycles
    assert slow.energy_pj["by_component"]["link"] > 0


def test_the_table_says_how_attention_is_fused() -> None:
    text = " ".join(summarize(run("fusemax", "attention:1x1x1024x64")).split())
    assert "one_pass: 256 x 256 scores a tile, 1 pass over them, on chip; 384 KiB of scores at once" in text
    assert "on softmax in the PEs and on PEs that tiles leave empty" in text


def test_what_cannot_be_fused_is_noted() -> None:
    result = run("flat", "swin_t", layers="stage1.0.attn*")
    (note,) = [note for note in result.notes if note["what"].startswith("mapping.attention")]
    assert "runs layer by layer" in note["what"] and "stage1.0.attn" in " ".join(note["where"])
    idle = run("tiny_4x4", "gemm:8x8x8", {"mapping.interleave": 1}).notes
    assert [note["what"] for note in idle] == ["no attention is fused, there is nothing to interleave"]


def test_a_tile_that_pes_cannot_keep_is_told() -> None:
    assert message("fusemax", "attention:1x1x2048x64", {"mapping.tile.m": 1024}) == (
        "attention: PEs keep scores in place, so a tile has at most 256 queries (mapping.tile.m) and 256 keys "
        "(mapping.tile.n), not 1024 and 256"
    )
