"""Five networks on four kinds of chips: every cycle, byte and picojoule is accounted for, nothing is silently free."""

from __future__ import annotations

from typing import Any

import pytest

import sim
from sim.kernel import Contraction

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2 prefill": ("gpt2", {"phase": "prefill"}),
    "gpt2 decode": ("gpt2", {"phase": "decode"}),
    "bert": ("bert_base", {}),
    "vit": ("vit_b", {}),
    "llama layer": ("llama_2_7b", {"phase": "decode", "depth": 1}),
}
CHIPS = ("tpu_v1", "edge_tpu_like", "streaming_fabric", "pim_gpt")
QUICK = {("tpu_v1", "gpt2 decode"), ("tpu_v1", "llama layer"), ("streaming_fabric", "llama layer"),
         *(("pim_gpt", name) for name in NETWORKS)}  # fmt: skip
RUNS = [
    pytest.param(chip, name, marks=() if (chip, name) in QUICK else pytest.mark.slow)
    for chip in CHIPS
    for name in NETWORKS
]
WHERE = {"pim_gpt": ("banks", 2), "streaming_fabric": ("on_chip", 1)}
"""Where weights are read that are not loaded in the run, and the bytes of one."""


@pytest.mark.parametrize(("chip", "name"), RUNS)
def test_all_is_accounted_for(chip: str, name: str) -> None:
    network, params = NETWORKS[name]
    result = sim.run(chip, network, params)
    for unit in result.units.values():
        assert sum(unit["cycles"].values()) == result.cycles
        assert all(cycles >= 0 for cycles in unit["cycles"].values())
    _energy_adds_up(result)
    graph = sim.load_workload(network, params)
    assert result.macs == graph.macs
    _bytes_are_enough(chip, graph, result)
    assert not [entry for entry in result.not_modelled if entry["affects"] != "energy"]


def _energy_adds_up(result: sim.Result) -> None:
    """The total is that of all components, and of all actions; layers have no more of it, each its own parts."""
    energy = result.energy_pj
    assert sum(energy["by_component"].values()) == pytest.approx(energy["total"])
    assert sum(energy["by_action"].values()) == pytest.approx(energy["total"])
    assert sum(layer.energy_pj for layer in result.layers) <= energy["total"] * (1 + 1e-9)
    for layer in result.layers:
        assert sum(layer.energy_by_component.values()) == pytest.approx(layer.energy_pj)


def _bytes_are_enough(chip: str, graph: sim.Graph, result: sim.Result) -> None:
    """Every weight of a product is read once at least; layers have all bytes of the run together."""
    memory, width = WHERE.get(chip, ("dram", 1))
    kernels = [kernel for node in graph.expanded.nodes for kernel in node.kernels]
    weights = sum(k.right_elements for k in kernels if isinstance(k, Contraction) and k.right_is == "weight")
    assert result.traffic_bytes[memory]["read"]["weight"] >= width * weights > 0
    for name, ways in result.traffic_bytes.items():
        for way, operands in ways.items():
            layered = [layer.traffic_bytes.get(name, {}).get(way, {}) for layer in result.layers]
            assert {o: sum(part.get(o, 0) for part in layered) for o in operands} == operands
