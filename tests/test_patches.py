"""Networks in patches compute what the network computes; what they cost more is the halo, what they save is memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import sim
from sim.errors import ConfigError
from sim.graph import Graph
from sim.op import random_integers
from sim.patches import patched
from sim.workload import load
from tests.laws import law

NETWORK = """\
name: net
inputs: {{image: [2, 3, {height}, {width}]}}
layers:
  - {{name: first, op: conv2d, filters: 4, kernel: {kernel}, stride: {stride}, pad: {pad}}}
  - {{name: norm, op: batchnorm}}
  - {{name: relu, op: relu}}
  - {{name: deep, op: conv2d, groups: depthwise, kernel: 3, pad: [[0, 2], [1, 1]]}}
  - {{name: wide, op: conv2d, filters: 4, kernel: 1}}
  - {{name: same, op: conv2d, filters: 4, kernel: 3, pad: 1, in: wide}}
  - {{name: add, op: add, in: [same, wide]}}
  - {{name: pool, op: global_avgpool}}
  - {{name: fc, op: linear, features: 3}}
"""


@st.composite
def networks(draw: Any) -> str:
    """A network of two spatial axes with strides, uneven padding, a depthwise layer and a residual."""
    kernel = draw(st.integers(1, 4))
    return NETWORK.format(
        height=draw(st.integers(8, 20)), width=draw(st.integers(8, 20)), kernel=kernel,
        stride=draw(st.integers(1, 3)), pad=draw(st.integers(0, min(1, kernel - 1))),
    )  # fmt: skip


def values(graph: Graph, weights: Any, seed: int) -> dict[str, Any]:
    """Return all tensors of a graph for random images."""
    return graph.evaluate({name: random_integers(shape, seed) for name, shape in graph.inputs.items()}, weights)


@law(networks(), st.sampled_from(["first", "relu", "deep", "add"]), st.data(), quick=40, full=1000)
def test_patches_compute_what_the_network_computes(text: str, until: str, data: Any) -> None:
    graph = _read(text)
    height, width = next(node for node in graph.nodes if node.name == until).output_shapes[0][2:]
    rows, columns = data.draw(st.integers(1, min(4, height))), data.draw(st.integers(1, min(4, width)))
    made, weights = patched(graph, until, rows, columns), graph.random_weights()
    theirs = {**weights, **{f"patch.0.0.{name}": each for name, each in weights.items()}}
    whole, parts = values(graph, weights, 5), values(made, theirs, 5)
    assert all(np.array_equal(whole[name], parts[name]) for name in (*graph.outputs, until))
    assert made.parameters == graph.parameters and made.macs >= graph.macs
    assert set(made.random_weights()) == {n for n in theirs if n in {node.name for node in made.nodes}}
    if (rows, columns) == (1, 1):
        assert made.macs == graph.macs


def _read(text: str) -> Graph:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.yaml"
        path.write_text(text, encoding="utf-8")
        return load(str(path))


def test_a_patch_of_padding_alone_is_told() -> None:
    with pytest.raises(ValueError, match=r"^a patch of 'first' would see nothing but padding; choose fewer patches$"):
        patched(_read(NETWORK.format(height=8, width=8, kernel=1, stride=1, pad=1)), "first", 1, 10)


def test_mobilenet_in_patches_costs_a_tenth_more_products() -> None:
    """Lin et al., MCUNetV2, NeurIPS 2021: about 10 % more for 4 x 4 patches of MobileNetV2."""
    plain, mine = load("mobilenet_v2"), load("mobilenet_v2_patches")
    assert 0.08 < mine.macs / plain.macs - 1 < 0.11
    assert mine.parameters == plain.parameters
    assert load("mobilenet_v2_patches", {"down": 1, "across": 1}).macs == plain.macs


def test_a_network_in_patches_runs_layer_by_layer_of_each_patch() -> None:
    found = sim.run("edge_tpu_like_simple", "mobilenet_v2_patches", {"size": 64, "down": 2, "across": 2})
    names = [layer.name for layer in found.layers]
    assert names[0] == "patch.0.0.stem.conv" and "patch.1.1.stage3.0.project" in names
    assert found.macs == load("mobilenet_v2_patches", {"size": 64, "down": 2, "across": 2}).macs


@pytest.mark.parametrize(
    ("until", "rows", "told"),
    [
        ("stage9", 2, "unknown layer 'stage9'"),
        ("stage3.0.bn", 99, "99 rows of patches: 'stage3.0.bn' can be cut into 1 to 28"),
        ("stage3.0.bn", 0, "0 rows of patches: 'stage3.0.bn' can be cut into 1 to 28"),
        ("stage2.1.expand.conv", 2, "'stage2.0.bn' is read behind 'stage2.1.expand.conv' too, by 'stage2.1.add'"),
        ("avgpool", 2, "'avgpool' (global_avgpool) cannot: convolutions over two axes and what works element by"),
    ],
)
def test_what_cannot_be_cut_is_told(until: str, rows: int, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    patches = f"{{until: {until}, rows: {rows}, columns: 2}}"
    path.write_text(f"extends: mobilenet_v2\nname: mine\npatches: {patches}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert told in str(caught.value) and "mine.yaml:3: patches" in str(caught.value)
