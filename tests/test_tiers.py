"""Slower memories behind the off-chip one: who stays in memory, what is fetched, and who waits for it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import sim
from sim.errors import TiletickError
from sim.ops._routing import Routing, past
from sim.tiers.cache import Cache
from tests.laws import law

SMALL = {
    "depth": 4, "hidden": 64, "heads": 2, "kv_heads": 1, "head_dim": 32, "vocab": 100, "experts": 8, "top_k": 2,
    "expert_ffn": 32, "phase": "decode", "context": 16, "routing": "skewed", "layers_route": "apart",
}  # fmt: skip
EXPERT = 3 * 64 * 32
"""Bytes of one expert: three matrices in int8."""


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A chip of one bandwidth with flash behind its memory."""
    path = tmp_path_factory.mktemp("tiers") / "phone.yaml"
    path.write_text(
        "name: phone\nextends: edge_tpu_like_simple\n"
        "tiers:\n  flash: {bandwidth: 1 GB/s, latency: 2 us, block: 1 KiB, cache: 64 KiB, energy: 50 pJ, history: 4}\n"
    )
    return str(path)


def run(chip: str, **settings: Any) -> sim.Result:
    """Return a decode step of a small mixture on the chip; `cache=8` stands for eight experts."""
    keys = {"cache": "cache", "policy": "policy", "history": "history", "shares": "shares", "holds": "holds",
            "bandwidth": "bandwidth", "ahead": "prefetch.ahead", "accuracy": "prefetch.accuracy"}  # fmt: skip
    given = {f"tiers.flash.{keys[key]}" if key in keys else key: value for key, value in settings.items()}
    if isinstance(given.get("tiers.flash.cache"), int):
        given["tiers.flash.cache"] = f"{given['tiers.flash.cache'] * EXPERT} B"
    fast = given.pop("fast_forward", True)
    return sim.run(chip, "qwen3_30b_a3b", SMALL | given, fast_forward=fast)


def sequence(cache: Cache, blocks: list[int]) -> int:
    """Return how often blocks of one byte, asked for one by one, are there."""
    hits = 0
    for number in blocks:
        block = ("b", number)
        hits += block in cache
        if block not in cache:
            assert cache.add(block, 1, [block]) is not None
        cache.touch(block)
    return hits


def reuses(blocks: list[int], room: int) -> int:
    """Return the hits of LRU from distances alone: fewer than `room` others were asked for since the last time."""
    last: dict[int, int] = {}
    hits = 0
    for at, block in enumerate(blocks):
        hits += block in last and len(set(blocks[last[block] + 1 : at])) < room
        last[block] = at
    return hits


BLOCKS = st.lists(st.integers(0, 9), min_size=1, max_size=60)


@law(BLOCKS, st.integers(1, 10), quick=60, full=3000)
def test_lru_hits_what_was_asked_for_recently(blocks: list[int], room: int) -> None:
    assert sequence(Cache(room, "lru"), blocks) == reuses(blocks, room)


@law(BLOCKS, st.integers(1, 10), quick=60, full=3000)
def test_no_policy_beats_knowing_the_future(blocks: list[int], room: int) -> None:
    place = iter(range(len(blocks)))
    now = 0

    def next_use(block: tuple[str, int]) -> float:
        return next((i for i in range(now + 1, len(blocks)) if blocks[i] == block[1]), float("inf"))

    best = Cache(room, "belady", next_use=next_use)
    hits = 0
    for now in place:
        hits += sequence(best, [blocks[now]])
    for policy in ("lru", "lfu"):
        assert sequence(Cache(room, policy), blocks) <= hits


@law(BLOCKS, st.integers(1, 10), quick=40, full=2000)
def test_lfu_keeps_what_was_asked_for_most(blocks: list[int], room: int) -> None:
    held: dict[int, int] = {}
    times: dict[int, int] = {}
    hits = 0
    for at, block in enumerate(blocks):
        hits += block in held
        if block not in held and len(held) == room:
            del held[min(held, key=lambda b: (times[b], held[b]))]
        held[block], times[block] = at, times.get(block, 0) + 1
    assert sequence(Cache(room, "lfu"), blocks) == hits


def asked(result: sim.Result) -> tuple[int, int]:
    """Return how often layers asked for an expert in all runs, and how often it was there."""
    figures = result.tiers["flash"]
    parts = [figures, figures["history"]] if figures["history"] else [figures]
    return sum(p["accesses"] for p in parts), sum(p["hits"] for p in parts)


@pytest.mark.parametrize("cache", [3, 8, 17])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_run_hits_what_the_distances_say(chip: str, cache: int, batch: int) -> None:
    cache = max(cache, 2 * batch)
    result = run(chip, cache=cache, batch=batch, history=6)
    blocks: list[list[tuple[int, int]]] = []
    for back in range(6, -1, -1):
        for layer in range(4):
            blocks.append([(layer, expert) for expert in experts(layer, back, batch)])
    flat = [block for use in blocks for block in use]
    hits, end = 0, 0
    for use in blocks:
        for block in use:
            before = [i for i in range(end) if flat[i] == block]
            hits += bool(before) and len(set(flat[before[-1] + 1 : end])) < cache
        end += len(use)
    assert asked(result) == (len(flat), hits)


def experts(layer: int, back: int, batch: int) -> list[int]:
    """Return the experts of a layer in a run, those with most tokens first, drawn as the operator says."""
    chosen = past(Routing("skewed", layer=layer), batch, 2, 8, back).ravel().tolist()
    return sorted(set(chosen), key=lambda expert: (-chosen.count(expert), expert))


@law(
    st.integers(2, 30), st.sampled_from(["lru", "lfu", "belady", "pinned"]), st.sampled_from(["all", "layers"]),
    st.integers(0, 3), st.sampled_from([0.0, 0.6, 1.0]), st.sampled_from(["experts", "weights"]), quick=8, full=80,
)  # fmt: skip
def test_bytes_causes_and_energy_add_up(
    cache: int, policy: str, shares: str, ahead: int, accuracy: float, holds: str
) -> None:
    cache = max(cache, 8) if shares == "layers" else cache
    if holds == "weights":
        cache = (cache + 8) * 20
    result = run(str(_chip()), cache=cache, policy=policy, shares=shares, ahead=ahead, accuracy=accuracy, holds=holds)
    figures, moved = result.tiers["flash"], result.traffic_bytes.get("flash", {}).get("read", {}).get("weight", 0)
    assert figures["hits"] + figures["prefetched"] + figures["misses"] == figures["accesses"]
    assert figures["prefetched"] <= figures["fetched_ahead"]
    assert figures["read_bytes"] == moved
    assert moved <= result.traffic_bytes["dram"]["write"].get("weight", 0)
    assert result.energy_pj["by_component"].get("flash", 0.0) == pytest.approx(moved * 8 * 50)
    if holds == "experts":
        assert moved == (figures["misses"] + figures["fetched_ahead"]) * EXPERT
    for unit in result.units.values():
        assert sum(unit["cycles"].values()) == result.cycles
    for name in ("dram", "flash"):
        layered = sum(sum(way.values()) for layer in result.layers
                      for way in layer.traffic_bytes.get(name, {}).values())  # fmt: skip
        assert layered == sum(sum(way.values()) for way in result.traffic_bytes.get(name, {}).values())
    slow = run(str(_chip()), cache=cache, policy=policy, shares=shares, ahead=ahead, accuracy=accuracy, holds=holds,
               fast_forward=False)  # fmt: skip
    assert slow.to_json() == result.to_json()


def _chip() -> Path:
    """Return the chip of the laws, which fixtures cannot give to."""
    path = Path(__file__).parent / "data" / "phone_tier.yaml"
    assert path.exists()
    return path


@pytest.mark.parametrize("more", [
    {}, {"ahead": 1}, {"batch": 4}, {"phase": "prefill", "context": 64}, {"expert_order": "token"},
])  # fmt: skip
def test_what_is_all_in_memory_costs_nothing(chip: str, more: dict[str, Any]) -> None:
    there = run(chip, cache=4 * 8, history=40, **more)
    assert there.tiers["flash"]["misses"] == 0
    none = sim.run("edge_tpu_like_simple", "qwen3_30b_a3b", SMALL | {k: v for k, v in more.items() if k != "ahead"})
    assert there.cycles == none.cycles
    assert there.traffic_bytes == none.traffic_bytes
    assert [layer.cycles for layer in there.layers] == [layer.cycles for layer in none.layers]
    assert {name: unit for name, unit in there.units.items() if name != "flash"} == none.units


@pytest.mark.parametrize("more", [{}, {"ahead": 1}, {"ahead": 2, "accuracy": 0.5}, {"holds": "weights", "cache": 400}])
def test_a_faster_tier_never_costs_cycles(chip: str, more: dict[str, Any]) -> None:
    rates = ["20 MB/s", "100 MB/s", "700 MB/s", "5 GB/s", "50 GB/s"]
    cycles = [run(chip, **{"cache": 6, **more}, bandwidth=rate).cycles for rate in rates]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[-1]


def test_a_slow_tier_alone_sets_the_pace(chip: str) -> None:
    """Fetches of a layer wait for its route, so nothing is hidden but what the layer before leaves."""
    result = run(chip, cache=2, bandwidth="1 MB/s", history=0)
    fetched = 4 * 2 * 3 * 2 * 1024 * 480  # layers, experts, matrices of two blocks, cycles a byte
    channel = result.units["flash"]["cycles"]
    assert channel["compute"] == fetched
    assert fetched < result.cycles < fetched * 1.01
    assert result.units["array"]["cycles"]["wait_tier"] > 0.9 * result.cycles
    assert result.layers[-1].name


def test_a_load_begins_with_the_end_of_its_fetch(chip: str) -> None:
    """One expert layer: route known, latency and transfer, written into memory, read: tight to the cycle."""
    slow, fast = (run(chip, depth=1, top_k=1, cache=1, history=0, bandwidth=rate) for rate in ("10 MB/s", "5 MB/s"))
    first = 2 * 1024 * 48  # cycles of the first matrix at 10 MB/s; the others come behind it
    assert fast.cycles - slow.cycles == 3 * first


def test_what_is_known_ahead_is_no_miss(chip: str) -> None:
    figures = run(chip, cache=8, ahead=1, history=0).tiers["flash"]
    assert (figures["misses"], figures["prefetched"]) == (2, 6)
    assert figures["found_rate"] == 0.75
    never = run(chip, cache=8, ahead=1, accuracy=0.0, history=0).tiers["flash"]
    assert (never["misses"], never["prefetched"], never["fetched_ahead"]) == (8, 0, 6)
    assert never["read_bytes"] == 14 * EXPERT


def test_prefetch_hides_what_it_can(chip: str) -> None:
    cold, known = run(chip, cache=8, history=0).cycles, run(chip, cache=8, history=0, ahead=1).cycles
    wrong = run(chip, cache=8, history=0, ahead=1, accuracy=0.0).cycles
    assert known < cold <= wrong


def test_a_trace_is_seen_step_by_step(chip: str, tmp_path: Path) -> None:
    trace = tmp_path / "layer{layer}.csv"
    for layer in range(4):
        (tmp_path / f"layer{layer}.csv").write_text("0,1\n2,3\n0,3\n")
    seen = {"routing": "trace", "trace": str(trace), "trace_steps": 3}
    figures = run(chip, cache=2 * 4, history=2, shares="layers", **seen).tiers["flash"]
    assert (figures["hits"], figures["misses"]) == (4, 4)  # of 2, 3 in memory the run asks for 0, 3
    assert figures["history"]["hits"] == 0
    with pytest.raises(TiletickError, match="has 2 steps before the run, not 3; trace_steps says how many"):
        run(chip, history=3, **seen)
    with pytest.raises(TiletickError, match="has 3 tokens, not 1 x trace_steps 2 = 2"):
        run(chip, **seen | {"trace_steps": 2})


def test_tokens_ask_one_by_one(chip: str) -> None:
    by_token = run(chip, cache=16, batch=3, expert_order="token", history=0).tiers["flash"]
    by_expert = run(chip, cache=16, batch=3, history=0).tiers["flash"]
    assert by_token["accesses"] == 4 * 3 * 2
    assert by_token["misses"] == by_expert["misses"] == by_expert["accesses"]


def test_dense_weights_that_do_not_fit_come_anew_in_every_run(chip: str) -> None:
    dense = {"experts": 0, "ffn": 96, "holds": "weights", "policy": "pinned", "history": 1}
    whole = run(chip, **dense, cache="1 MiB").tiers["flash"]
    assert whole["misses"] == 0
    half = run(chip, **dense, cache="60 KiB").tiers["flash"]
    weights = 4 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 96) + 64 * 100
    assert 0 < weights - 60 * 1024 <= half["read_bytes"] < weights
    cyclic = run(chip, **dense | {"policy": "lru"}, cache="60 KiB").tiers["flash"]
    assert cyclic["read_bytes"] == weights  # what is needed next went last


def test_dram_controllers_write_what_was_fetched(tmp_path: Path) -> None:
    path = tmp_path / "phone.yaml"
    tier = "tiers:\n  flash: {bandwidth: 1 GB/s, cache: 12 KiB}\n"
    path.write_text(f"name: phone\nextends: edge_tpu_like\n{tier}")
    result = sim.run(str(path), "qwen3_30b_a3b", SMALL)
    without = sim.run("edge_tpu_like", "qwen3_30b_a3b", SMALL)
    fetched = result.tiers["flash"]["read_bytes"]
    assert fetched == 8 * EXPERT
    assert result.dram["dram"]["writes"] - without.dram["dram"]["writes"] == fetched // 32
    assert result.cycles > without.cycles
    for unit in result.units.values():
        assert sum(unit["cycles"].values()) == result.cycles


def test_models_larger_than_memory_run_from_a_tier(tmp_path: Path) -> None:
    """350 KB of weights on 512 KiB of DRAM beside the activations: refused, and run where a tier holds them."""
    (tmp_path / "tiny.yaml").write_text(
        "extends: lpddr4_3200\nname: tiny\n"
        "organization: {Rank: 1, Bank: 8, Row: 32, Column: 64}\nmapping: [Row, Rank, Bank, Column]\n"
    )
    path, memory = tmp_path / "phone.yaml", f"memory: {{kind: dram, device: {tmp_path / 'tiny.yaml'}, channels: 1}}\n"
    step = {"depth": 2, "hidden": 64, "heads": 2, "ffn": 800, "phase": "decode", "context": 8, "vocab": 100}
    path.write_text(f"name: phone\nextends: edge_tpu_like\n{memory}")
    with pytest.raises(TiletickError, match="does not fit in the off-chip memory"):
        sim.run(str(path), "llama_2_7b", step)
    tier = "tiers:\n  flash: {bandwidth: 1 GB/s, cache: 64 KiB, holds: weights, policy: pinned}\n"
    path.write_text(f"name: phone\nextends: edge_tpu_like\n{memory}{tier}")
    result = sim.run(str(path), "llama_2_7b", step)
    assert result.tiers["flash"]["read_bytes"] == 2 * (4 * 64 * 64 + 3 * 64 * 800) + 64 * 100


@pytest.mark.parametrize(("settings", "message"), [
    ({"cache": 1}, "what 'layer.0.moe' reads of tier 'flash' in a run does not fit in the cache in memory: needs "
     "12288 bytes, 6144 are available; --set tiers.flash.cache=12288B would do, or fewer tokens at once"),
    ({"cache": 7, "shares": "layers"}, "does not fit in its part of the cache in memory: needs 12288 bytes, 10752 are "
     "available; --set tiers.flash.cache=49152B would do"),
    ({"cache": "2 B", "shares": "layers"}, "needs 12288 bytes, 0 are available; --set tiers.flash.cache=49152B would"),
    ({"cache": "7 B", "shares": "layers"}, "needs 12288 bytes, 1 are available; --set tiers.flash.cache=49152B would"),
    ({"policy": "lifo"}, "tiers.flash.policy: unknown value 'lifo'"),
    ({"accuracy": 1.5}, "tiers.flash.prefetch.accuracy: 1.5 is out of range: less than or equal to 1"),
    ({"bandwidth": "2 GHz"}, "tiers.flash.bandwidth"),
    ({"tiers.flash.size": "3 GiB"}, "unknown key 'size'"),
])  # fmt: skip
def test_what_cannot_be_is_told(chip: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TiletickError) as told:
        run(chip, **settings)
    assert message in str(told.value)


@pytest.mark.parametrize(("base", "text", "message"), [
    ("edge_tpu_like_simple", "array: {bandwidth: 1 GB/s, cache: 1 KiB}", "'array' is taken; a tier needs a name"),
    ("npu_pim", "flash: {bandwidth: 1 GB/s, cache: 1 KiB}", "a tier serves arrays and lanes; banks would have to"),
    ("edge_tpu_like_simple", "flash: {bandwidth: 1 GB/s}", "tiers.flash.cache: missing key 'cache'"),
])  # fmt: skip
def test_chips_that_cannot_have_a_tier_are_told(tmp_path: Path, base: str, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nextends: {base}\ntiers:\n  {text}\n")
    with pytest.raises(TiletickError) as told:
        sim.run(str(path), "gemm:4x4x4")
    assert message in str(told.value)


def test_a_tier_that_holds_nothing_is_noted(chip: str) -> None:
    result = sim.run(chip, "gemm:4x8x8")
    assert {"what": "a tier holds no weights of this network", "where": ["tiers.flash"]} in result.notes
    assert result.tiers == {}


def test_energy_that_is_left_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: edge_tpu_like_simple\ntiers:\n  host: {bandwidth: 31.5 GB/s, cache: 1 MiB}\n")
    result = sim.run(str(path), "qwen3_30b_a3b", SMALL)
    (entry,) = [e for e in result.not_modelled if "tier" in e["what"]]
    assert (entry["where"], entry["affects"]) == (["host"], "energy")


def test_the_summary_and_the_json_tell_of_tiers(chip: str) -> None:
    result = run(chip, cache=8)
    assert "flash tier" in sim.summarize(result)
    figures = json.loads(result.to_json())["tiers"]["flash"]
    assert figures["hit_rate"] == figures["hits"] / figures["accesses"]
