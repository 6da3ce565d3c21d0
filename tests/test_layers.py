"""Layers as a chip sees them: what depends on what, and what stays on chip."""

from __future__ import annotations

import pytest

import sim
from sim.arch import load
from sim.kernel import Contraction
from sim.layers import KeptRoom, lower
from sim.workload import open_workload

BARE = """
name: bare
clock: 100 MHz
units: {array: {kind: systolic, rows: 4, cols: 4}}
buffers:
  inputs: {capacity: 64 KiB, holds: [input], keep: KEEP}
  others: {capacity: 64 KiB, holds: [weight, output]}
memory: {kind: simple, bandwidth: 400 MB/s}
"""
JOINED = """
name: net
inputs: {x: [1, 4, 8, 8]}
layers:
  - {name: a, op: conv2d, in: x, filters: 4, kernel: 1, bias: false}
  - {name: b, op: conv2d, in: x, filters: 12, kernel: 1, bias: false}
  - {name: ab, op: concat, in: [a, b]}
  - {name: c, op: conv2d, in: ab, filters: 4, kernel: 1, bias: false}
"""
PRODUCT = """
name: net
inputs: {x: [8, 4], y: [8, 8]}
layers:
  - {name: a, op: linear, in: x, features: 4, bias: false}
  - {name: b, op: linear, in: x, features: 4, bias: false}
  - {name: ab, op: concat, in: [a, b], axis: 1}
  - {name: c, op: linear, in: y, features: 8, bias: false}
  - {name: product, op: matmul, in: [ab, c]}
"""


@pytest.fixture
def files(tmp_path):
    """Write a chip without a vector unit and a network, and return both paths."""

    def write(network, keep="1 KiB"):
        (tmp_path / "bare.yaml").write_text(BARE.replace("KEEP", keep))
        (tmp_path / "net.yaml").write_text(network)
        return str(tmp_path / "bare.yaml"), str(tmp_path / "net.yaml")

    return write


@pytest.mark.parametrize(("keep", "kept"), [("1 KiB", {"a", "b"}), ("800 B", set()), ("300 B", set())])
def test_what_is_loaded_with_something_else_is_not_kept_without_it(files, keep, kept):
    """The 256 bytes of a find place in all of these, the 768 of b beside them only in the first."""
    chip, net = files(JOINED, keep)
    lowered = lower(open_workload(net), load(chip))
    assert lowered.kept == kept
    layers = {layer.name: layer.traffic_bytes["dram"] for layer in sim.run(chip, net).layers}
    stored = sum(layers[name]["write"].get("output", 0) for name in "ab")
    assert stored == layers["c"]["read"].get("input", 0) == (0 if kept else 1024)


def test_a_product_waits_for_every_source_of_both_operands(files):
    chip, net = files(PRODUCT)
    task = lower(open_workload(net), load(chip)).tasks[-1]
    (kernel,) = task.kernels
    assert isinstance(kernel, Contraction)
    assert task.kernel_reads(kernel) == (("input", "a"), ("input", "b"), ("weight", "c"))


def test_room_is_taken_from_the_maker_to_the_last_reader(files):
    chip, net = files(JOINED)
    arch, tasks = load(chip), lower(open_workload(net), load(chip)).tasks
    place = KeptRoom(tasks, arch)
    assert place.fits(tasks[0], 256) and not place.fits(tasks[0], 255)
    place.keep(tasks[0])
    assert place.live == [256, 256, 256, 0]
    assert place.fits(tasks[1], 1024) and not place.fits(tasks[1], 1023)
