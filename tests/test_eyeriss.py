"""Eyeriss: the latencies, PEs and traffic that the chip's mappings predict, beside those measured on silicon."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from statistics import mean

import pytest

from sim.arch import load
from sim.passes import Passes, Planes, check
from sim.simulate import run
from sim.workload import open_workload

MEASURED = Path(__file__).parent / "data" / "eyeriss" / "jssc17.csv"
OWN = ("fill", "compute", "drain", "wait_port")
"""What the paper calls processing: the array and the port of its buffer. The other causes wait for DRAM."""


@cache
def layers():
    """Return (published row, predicted layer) of all layers."""
    rows = csv.DictReader(line for line in MEASURED.read_text(encoding="utf-8").splitlines() if line[0] != "#")
    return list(zip(rows, run("eyeriss_jssc17", "eyeriss_layers").layers, strict=True))


def processing(layer):
    """Return milliseconds at 200 MHz."""
    return sum(layer.causes.get(cause, 0) for cause in OWN) / 200e3


def buffer_bytes(layer):
    """Return the bytes between buffer and PEs: what passes the buffer, less what comes from and goes to DRAM."""
    moved = {m: sum(sum(o.values()) for o in ways.values()) for m, ways in layer.traffic_bytes.items()}
    return moved["glb"] - moved["dram"]


def test_the_layers_are_those_that_were_measured():
    for row, layer in layers():
        assert layer.name == f"{row['network'].upper()}-{row['layer']}"
        assert layer.macs == int(row["macs_batch"])


def test_processing_latency_is_within_5_percent_on_average_and_15_for_every_layer():
    errors = [abs(processing(layer) / float(row["processing_latency_ms"]) - 1) for row, layer in layers()]
    assert len(errors) == 18
    assert mean(errors) <= 0.05
    assert max(errors) <= 0.15


def test_active_pes_are_those_of_the_chip():
    for row, layer in layers():
        passes = layer.mapping["passes"]
        assert passes["rows"] * passes["e"] * passes["r"] * passes["t"] == int(row["active_PEs"]), layer.name


def test_buffer_traffic_is_that_of_the_chip_but_for_two_layers():
    """CONV1 +7 %; CONV3 +35 %, where the recalled mapping and the published traffic contradict each other."""
    for row, layer in layers():
        error = buffer_bytes(layer) / 2**20 / float(row["glb_MB"]) - 1
        assert abs(error) <= {"ALEXNET-CONV1": 0.07, "ALEXNET-CONV3": 0.36}.get(layer.name, 0.02), layer.name


def test_layers_with_few_channels_a_pass_are_bound_by_the_port():
    bound = {layer.name for _, layer in layers() if layer.causes.get("wait_port", 0)}
    assert bound == {"ALEXNET-CONV3"} | {
        f"VGG16-CONV{block}" for block in ("1-1", "1-2", "2-1", "2-2", "3-1", "3-2", "3-3", "4-1", "4-2", "4-3")
    }


@pytest.mark.parametrize("wider", ["32 B/cycle", "1 KiB/cycle"])
def test_the_port_is_what_binds_them(wider):
    """With a wider port the same layer is bound by the buses of sums, which are as wide as the chip's port."""
    name = "VGG16-CONV3-2"
    layer = run("eyeriss_jssc17", "eyeriss_layers", {"glb.bandwidth": wider}, layers=name).layers[0]
    chip = next(found for _, found in layers() if found.name == name)
    assert 0.9 * processing(chip) < processing(layer) < processing(chip)


def test_the_mappings_of_the_chip_fit_it():
    chip, network = load("eyeriss_jssc17"), open_workload("eyeriss_layers", {})
    for node in network.nodes:
        planes, wish = Planes(node.kernels[0]), chip.mapping.of(node.name).passes
        rows, columns = planes.axes
        fixed = {key: getattr(wish, key) for key in type(wish).model_fields}
        assert all(fixed.values())
        check(planes, Passes(**fixed, rows=rows.kernel, taps=columns.kernel), chip)


def test_the_chip_has_faster_mappings_for_what_its_port_binds():
    """Eight channels a pass instead of one or two: the mapper finds what the chip did not use."""
    own = run("eyeriss", "conv:256,58,58,256,3,3,batch=3").layers[0]
    chip = next(layer for _, layer in layers() if layer.name == "VGG16-CONV3-2")
    assert own.macs == chip.macs
    assert processing(own) < processing(chip) / 2
