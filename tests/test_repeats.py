"""Networks of equal blocks: what is skipped of them is what every block would have done."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

import sim
from sim.arch import Arch
from sim.engine import Engine
from sim.frontend import Read, Stage
from sim.hardware.repeats import Blocks, repeating
from sim.timeline import Timeline
from tests.laws import law, runs_of_stages


@st.composite
def networks(draw: Any) -> tuple[Arch, list[Stage]]:
    """A chip and a network: some stages, then equal blocks of stages, then some stages."""
    arch, block = draw(runs_of_stages(bounded=True, most=draw(st.integers(1, 4))))
    count, stages, layer = draw(st.integers(6, 14)), list[Stage](), 0
    head = draw(st.integers(0, 2))
    for number in range(count):
        for index, stage in enumerate(block):
            reads = tuple(replace(read, tensor=f"{number}.{read.tensor}") for read in stage.reads)
            if not index and number:
                reads = reads or (Read("input", f"{number - 1}.{block[-1].writes}"),)
            stages.append(replace(stage, layer=layer + stage.layer, reads=reads, writes=f"{number}.{stage.writes}"))
        layer = stages[-1].layer + 1
    around = [replace(block[0], layer=0, reads=(), writes=f"head{i}") for i in range(head)]
    moved = [replace(stage, layer=stage.layer + (1 if around else 0)) for stage in stages]
    last = replace(block[-1], layer=moved[-1].layer + 1, reads=(Read("input", moved[-1].writes),), writes="end")
    return arch, [*around, *moved, last]


def told(timeline: Timeline) -> Any:
    """Return all that a run says."""
    ledgers = {n: {k: c for k, c in ledger.cycles.items() if c} for n, ledger in timeline.ledgers.items()}
    work = {name: ledger.work for name, ledger in timeline.ledgers.items()}
    return timeline.cycles, ledgers, work, timeline.spans, timeline.peaks


@law(networks(), quick=20, full=1000)
def test_blocks_that_are_skipped_are_those_that_are_not(network: tuple[Arch, list[Stage]]) -> None:
    arch, stages = network
    fast, slow = Engine(arch).run(stages), Engine(arch, fast_forward=False).run(stages)
    assert told(fast) == told(slow)


def model(depth: int, **more: Any) -> dict[str, Any]:
    """Return the params of a small Llama."""
    small = {"phase": "decode", "depth": depth, "hidden": 64, "heads": 2, "ffn": 160, "vocab": 100, "context": 32}
    return small | more


@pytest.mark.parametrize("arch", ["tpu_v1", "edge_tpu_like_simple", "fusemax"])
@pytest.mark.parametrize("params", [{}, {"experts": 4, "routing": "skewed"}, {"batch": 3}], ids=str)
def test_a_language_model_is_the_same_to_the_byte(arch: str, params: dict[str, Any]) -> None:
    fast, slow = (sim.run(arch, "llama_2_7b", model(9, **params), fast_forward=on) for on in (True, False))
    assert fast.to_json() == slow.to_json()


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["tpu_v1", "edge_tpu_like_simple"])
@pytest.mark.parametrize(("network", "params"), [
    ("gpt2", {}), ("gpt2", {"phase": "decode"}), ("bert_base", {}), ("vit_b", {}), ("llama_2_7b", model(32)),
    ("deepseek_v3", {"phase": "decode", "depth": 20, "hidden": 512, "vocab": 1000, "context": 64}), ("swin_t", {}),
    ("switch_base_8", {}), ("dit_xl_2", {}),
], ids=str)  # fmt: skip
def test_whole_networks_are_the_same_to_the_byte(arch: str, network: str, params: dict[str, Any]) -> None:
    fast, slow = (sim.run(arch, network, params, fast_forward=on) for on in (True, False))
    assert fast.to_json() == slow.to_json()


def test_most_blocks_of_a_deep_network_are_not_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five are, of any number: so many jobs are made for 12 blocks as for 40."""
    made: list[int] = []
    run = Engine.run

    def counted(self: Engine, *args: Any, **more: Any) -> Timeline:
        timeline = run(self, *args, **more)
        made.append(self.sequence)
        return timeline

    monkeypatch.setattr(Engine, "run", counted)
    jobs = {}
    for depth in (12, 40):
        made.clear()
        sim.run("edge_tpu_like_simple", "llama_2_7b", model(depth))
        jobs[depth] = made[-1]
    assert jobs[12] == jobs[40]


@law(networks(), quick=20, full=500)
def test_blocks_are_found_where_stages_repeat(network: tuple[Arch, list[Stage]]) -> None:
    _, stages = network
    for blocks in repeating(stages):
        for index in range(blocks.start, blocks.end - blocks.size):
            here, there = stages[index], stages[index + blocks.size]
            assert there.plan.body is here.plan.body
            assert there.layer == here.layer + blocks.layers
        assert blocks.start == 0 or stages[blocks.start - 1].layer < stages[blocks.start].layer


def test_short_networks_have_no_blocks() -> None:
    assert list(repeating([])) == []
    assert Blocks(3, 5, 4, 2).end == 23
