"""Laws of a loop nest and of displays: turns cover the products, loads are the traffic, nothing breaks a notebook."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from math import prod

import pytest
from hypothesis import strategies as st

import sim
from sim import display
from sim.alone import contractions
from sim.cli import main
from sim.nest import nest, reuse
from sim.report.nest import nest_text
from sim.result import Layer
from sim.simulate import open_both
from tests.laws import law

POWERS = st.sampled_from((1, 2, 4, 8, 16, 32))


@law(POWERS, POWERS, POWERS, st.sampled_from(("ws", "is", "os")), quick=15, full=200)
def test_turns_of_all_loops_are_the_macs_where_sizes_divide(m, n, k, dataflow):
    fixed = {"mapping.tile.m": min(m, 8), "mapping.tile.n": min(n, 4), "mapping.tile.k": min(k, 8)}
    result = sim.run("tiny_4x4", f"gemm:{m}x{n}x{k}", {"dataflow": dataflow, **fixed})
    assert prod(line.turns for line in nest(result.layers[0])) == m * n * k


@pytest.mark.parametrize("workload", ["conv:6,9,9,10,3,3,pad=1", "conv:8,9,9,8,3,3,pad=1,groups=8", "gemm:9x7x13"])
@pytest.mark.parametrize("arch", ["tiny_4x4", "eyeriss", "edge_tpu_like"])
def test_turns_of_all_loops_cover_the_macs(arch, workload):
    (layer,) = sim.run(arch, workload).layers
    assert prod(line.turns for line in nest(layer)) >= layer.macs


def test_what_stays_comes_as_often_as_the_traffic_says():
    settings = {"mapping.tile.m": 8, "mapping.tile.n": 8, "mapping.tile.k": 8, "mapping.order": ["m", "n", "k"]}
    (layer,) = sim.run("tiny_4x4", "gemm:32x16x24", settings).layers
    told = " ".join(line.stays for line in nest(layer))
    for operand, tile in (("weight", "8 n x 8 k"), ("input", "8 m x 8 k")):
        times = int(told.split(f"{operand} {tile} stays, comes ")[1].split(" x")[0].replace(",", ""))
        assert layer.traffic_bytes["dram"]["read"][operand] == times * 64


def test_reuse_is_macs_a_byte_of_all_that_moves():
    result = sim.run("tiny_4x4", "gemm:32x16x24")
    found = {(memory, operand): (moved, macs) for memory, operand, moved, macs in reuse(result.layers[0])}
    assert found["dram", "weight"] == (384, result.macs / 384)
    assert sum(moved for (memory, _), (moved, _) in found.items() if memory == "dram") == sum(
        sum(way.values()) for way in result.traffic_bytes["dram"].values()
    )


def test_run_prints_the_nest(capsys):
    assert main(["run", "tiny_4x4", "gemm:32x16x24", "--nest"]) == 0
    assert capsys.readouterr().out.endswith(nest_text(sim.run("tiny_4x4", "gemm:32x16x24").layers[0]))
    assert nest_text(sim.run("tiny_4x4", "gemm:32x16x24").layers[0]).startswith(
        "gemm: M 32 x N 16 x K 24 on 4 x 4 PEs, ws\n  for m: 1 x 32\n    for n: 2 x 8\n"
    )


def test_a_layer_without_a_product_has_no_nest():
    (layer,) = sim.run("edge_tpu_like", "resnet18", layers="maxpool").layers
    assert nest(layer) == ()
    assert nest_text(layer) == "maxpool: maxpool on vector, without loops over tiles of a product\n"


class Balanced(HTMLParser):
    """Fails where an element ends that did not begin."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@cache
def things():
    """Return one of each thing that a notebook may end a cell with."""
    chip, graph, _ = open_both("tiny_4x4", "gemm:8x8x8", {})
    plan = contractions(chip, graph, "*")[0][0][1]
    result = sim.run("tiny_4x4", "mobilenet_v2", {"size": 32}, layers="stage2.*")
    return {"arch": chip, "graph": graph, "plan": plan, "mapping": plan.mapping, "result": result,
            "layer": result.layers[0]}  # fmt: skip


@pytest.mark.parametrize("name", ["arch", "graph", "plan", "mapping", "result", "layer"])
def test_what_ends_a_cell_is_a_table_in_a_notebook_and_a_short_line_elsewhere(name):
    thing = things()[name]
    Balanced(thing._repr_html_())
    assert len(repr(thing)) < 260 and "\n" not in repr(thing)
    assert "<table" in thing._repr_html_() or "<pre" in thing._repr_html_()


def test_short_lines_say_the_most():
    found = things()
    assert repr(found["plan"]) == "<Plan: gemm on array, 18 lines>"
    assert repr(found["arch"]) == "<Arch: tiny_4x4, array (systolic), vector (vector), memory simple, 100 MHz>"
    assert repr(found["graph"]) == "<Graph: gemm:8x8x8, 1 layer, 512 MACs, 64 parameters>"


def test_names_cannot_break_a_display():
    nasty = "<script>alert(1)</script>'\"&"
    layer = Layer(nasty, nasty, nasty, 0, 10, 0, 0.0, 0.0, 0, "idle", {"idle": 10}, {}, 0.0)
    assert "<script" not in layer._repr_html_() and "&lt;script&gt;" in layer._repr_html_()
    assert display.table(("a",), [("<b>",)] * 20).count("<tr>") == 1 + display.MOST_ROWS + 1

