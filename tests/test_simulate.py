"""What a run says of a chip and a network: limits at both ends, fusion, what is kept, settings, several arrays."""

from __future__ import annotations

import pytest

from sim.arch import load
from sim.errors import ConfigError
from sim.simulate import run
from sim.yamlfile import scalar

NET = """\
name: net
inputs: {image: [1, 8, 14, 14]}
layers:
  - {name: conv1, op: conv2d, filters: 24, kernel: 3, pad: 1, bias: false}
"""


@pytest.fixture
def net(tmp_path):
    """Return a function that writes a network of conv1 and more layers, and returns its path."""

    def write(*layers, extra=""):
        path = tmp_path / "net.yaml"
        path.write_text(NET + "".join(f"  - {{{layer}}}\n" for layer in layers) + extra)
        return str(path)

    return write


def off_chip(result):
    moved = result.traffic_bytes.get("dram", {"read": {}, "write": {}})
    return {f"{way}.{operand}": count for way in moved for operand, count in moved[way].items()}


# --- limits


@pytest.mark.parametrize("flow", ["ws", "is", "os"])
@pytest.mark.parametrize("workload", ["gemm:33x17x29", "conv:8,14,14,24,3,3,pad=1", "conv:16,9,9,16,3,3,groups=16"])
@pytest.mark.parametrize("chip", ["gemmini_16x16", "fpga_zcu102_16x16", "tpu_v1"])
def test_with_ideal_memory_a_layer_takes_the_cycles_of_the_bare_array(chip, workload, flow):
    array = load(chip).array
    knobs = {key: getattr(array, key) for key in type(array).model_fields if key not in ("kind", "count")}
    bare = run("array", workload, knobs | {"dataflow": flow})
    bounded = run(chip, workload, {"memory": "ideal", "dataflow": flow, "mapping.groups": "serial"})
    assert bounded.cycles == bare.cycles
    assert bounded.mapping_efficiency == bare.mapping_efficiency


@pytest.mark.parametrize("chip", ["gemmini_16x16", "edge_tpu_like", "tiny_4x4", "scalesim_32x32", "fpga_zcu102_16x16"])
@pytest.mark.parametrize("workload", ["gemm:256x256x256", "conv:32,28,28,64,3,3,pad=1", "gemv:512x512"])
def test_a_starved_channel_takes_bytes_over_bandwidth(chip, workload):
    starved = {"memory": {"kind": "simple", "bandwidth": "1 MB/s", "burst": "1 B"}}
    result = run(chip, workload, starved)
    seconds = sum(off_chip(result).values()) / 1e6
    assert seconds <= result.seconds <= 1.02 * seconds


@pytest.mark.parametrize(
    ("chip", "workload"), [("tpu_v1", "mobilenet_v2"), ("edge_tpu_like", "resnet18"), ("gemmini_16x16", "resnet18")]
)
def test_prefetching_weights_never_costs_cycles(chip, workload):
    size = {"params.size": 32}
    on, off = (run(chip, workload, {**size, "prefetch": choice}) for choice in (True, False))
    assert on.cycles <= off.cycles
    assert off_chip(on) == off_chip(off)


@pytest.mark.parametrize(
    ("network", "layer", "parameters"), [("vgg16", "fc6", 25_088 * 4096 + 4 * 4096), ("gpt2", "layer.0.fc", 4 * 3072)]
)
def test_biases_larger_than_the_buffer_of_the_sums_come_in_tiles(network, layer, parameters):
    """16,384 and 12,288 bytes of biases, a buffer of 8,192 for them and the sums; each is read once at least."""
    result = run("tiny_4x4", network, layers=layer)
    assert 0 < result.buffers["outputs"]["peak_bytes"] <= 8192
    assert off_chip(result)["read.weight"] >= parameters


# --- fusion, and what is kept


def test_elementwise_layers_fuse_and_cost_no_activation_traffic(net):
    fixed = {"mapping.resident": ["weight"], "mapping.tile": {"m": 14}}
    plain = run("gemmini_16x16", net(), fixed)
    fused = run("gemmini_16x16", net("name: bn, op: batchnorm", "name: act, op: relu"), fixed)
    assert [layer.name for layer in fused.layers] == ["conv1"]
    assert fused.layers[0].fused == ("bn", "act")
    more = off_chip(fused)
    assert more.pop("read.weight") - off_chip(plain)["read.weight"] == 2 * 24 * 4  # scale and shift as 32-bit sums
    assert more == {key: count for key, count in off_chip(plain).items() if key != "read.weight"}


def test_a_layer_whose_output_is_read_twice_does_not_fuse(net):
    result = run("gemmini_16x16", net("name: act, op: relu", "name: sum, op: add, in: [conv1, act]"))
    assert [layer.name for layer in result.layers] == ["conv1", "act", "sum"]
    assert off_chip(result)["write.output"] == 3 * 24 * 14 * 14


def test_kept_activations_leave_no_traffic(net):
    path = net("name: conv2, op: conv2d, filters: 24, kernel: 1, bias: false", "name: pool, op: maxpool, kernel: 2")
    buffer = "buffers.scratchpad_inputs"
    away = run("gemmini_16x16", path, {})
    kept = run("gemmini_16x16", path, {f"{buffer}.keep": "64 KiB", f"{buffer}.capacity": "192 KiB"})
    assert off_chip(kept)["write.output"] == 24 * 7 * 7
    conv1, conv2, pool = kept.layers
    assert conv1.traffic_bytes["dram"]["read"]["input"] >= 8 * 14 * 14
    assert "input" not in conv2.traffic_bytes["dram"]["read"] and pool.traffic_bytes["dram"]["read"] == {}
    assert off_chip(away)["write.output"] == 24 * (2 * 14 * 14 + 7 * 7)
    assert kept.buffers["scratchpad_inputs"]["peak_bytes"] >= 2 * 24 * 14 * 14
    assert kept.cycles < away.cycles


# --- settings


def test_settings_reach_the_chip_and_the_network():
    result = run("tiny_4x4", "resnet18", {"params.size": 32, "array.rows": 8, "arch.technology": "22nm", "batch": 2})
    assert result.units["array"]["kind"] == "systolic"
    assert result.macs == 2 * run("tiny_4x4", "resnet18", {"size": 32}).macs
    assert result.provenance["overrides"] == {
        "params.size": 32, "array.rows": 8, "arch.technology": "22nm", "batch": 2,
    }  # fmt: skip


def test_settings_change_the_digest_of_what_they_change():
    plain, chip, net = (
        run("array", "conv:3,8,8,4,3,3", overrides).provenance
        for overrides in ({}, {"rows": 8}, {"workload.stride": 2})
    )
    assert chip["workload_sha256"] == plain["workload_sha256"] != net["workload_sha256"]
    assert net["arch_sha256"] == plain["arch_sha256"] != chip["arch_sha256"]


def test_layers_are_picked_by_pattern():
    result = run("array", "alexnet", {"size": 96}, layers="conv*")
    assert [layer.name for layer in result.layers] == [f"conv{i}" for i in range(1, 6)]
    assert result.macs == sum(layer.macs for layer in result.layers)


# --- what is not modelled


def test_what_a_chip_without_vector_unit_leaves_out_is_named(net):
    path = net("name: act, op: relu", "name: pool, op: maxpool, kernel: 2")
    missing = [entry for entry in run("array", path).not_modelled if "vector" in entry["what"]]
    assert missing == [
        {"what": "relu (the chip has no vector unit)", "where": ["act"], "affects": "cycles"},
        {"what": "maxpool (the chip has no vector unit)", "where": ["pool"], "affects": "cycles"},
    ]
    with pytest.raises(ConfigError) as error:
        run("array", path, strict=True)
    assert str(error.value) == (
        "not modelled: relu (the chip has no vector unit): act\n"
        "not modelled: maxpool (the chip has no vector unit): pool"
    )
    assert run("tiny_4x4", path, strict=True).cycles


def test_what_a_network_says_that_no_operator_expresses_is_named(net):
    path = net(extra="not_modelled: [{what: sparsity 2:4, where: [conv1]}]\n".replace("2:4", "of half"))
    gap = {"what": "sparsity of half", "where": ["conv1"], "affects": "cycles"}
    assert gap in run("tiny_4x4", path).not_modelled
    with pytest.raises(ConfigError, match=r"^not modelled: sparsity of half: conv1$"):
        run("tiny_4x4", path, strict=True)


# --- several arrays


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("split", ["m", "n", "k"])
@pytest.mark.parametrize("chip", ["array", "gemmini_16x16"])
def test_several_arrays_divide_a_layer(chip, split, count):
    link = {"bandwidth": "64 B/cycle"}
    overrides = {"array.count": count, "link": link, "mapping.split": split}
    one, more = run(chip, "gemm:64x64x64"), run(chip, "gemm:64x64x64", overrides)
    assert more.macs == one.macs
    assert chip != "array" or more.cycles < one.cycles  # where memory has limits, ports may be what limits
    assert more.layers[0].mapping["split"] == split
    others = count - 1
    shared = {"m": 64 * 64, "n": 64 * 64, "k": 64 * 64 * 4}[split] * others
    assert more.energy_pj["by_action"]["link.bit"] > 0
    assert sum(more.units["link"]["cycles"].values()) == more.cycles
    assert more.units["link"]["cycles"]["compute"] >= shared / 64


@pytest.mark.parametrize("count", [2, 4])
def test_the_choice_of_a_split_is_the_best_of_all(count):
    base = {"array.count": count, "link": {"bandwidth": "16 B/cycle"}}
    for workload in ("gemm:128x16x16", "gemm:16x128x16", "gemm:16x16x256"):
        each = [run("gemmini_16x16", workload, base | {"mapping.split": split}).cycles for split in "mnk"]
        assert run("gemmini_16x16", workload, base).cycles == min(each)


# --- groups


@pytest.mark.parametrize(("groups", "packed", "folds"), [("serial", 1, 16), ("packed", 4, 4)])
def test_groups_lie_one_by_one_or_block_diagonally(groups, packed, folds):
    """Sixteen groups of K = 3, N = 2 on 12x12: alone each uses 6 of 144 PEs, four at a time 24."""
    overrides = {"rows": 12, "cols": 12, "mapping.groups": groups}
    result = run("array", "conv:16,10,1,32,3,1,groups=16", overrides)
    assert result.layers[0].mapping["packed"] == packed
    assert result.mapping_efficiency == pytest.approx(packed * 3 * 2 / 144)
    assert result.macs == 16 * 8 * 3 * 2
    assert result.cycles == folds * (2 * 12 + 12 + 8)


def test_a_value_on_the_command_line_is_that_of_a_file():
    assert [scalar(text) for text in ("16", "ws", "[1, 2]", "true", "NO", "1e3")] == [16, "ws", [1, 2], True, "NO", 1e3]


def test_a_tensor_that_is_also_read_raw_through_a_view_is_not_fused_away(tmp_path):
    path = tmp_path / "views.yaml"
    path.write_text(
        """
name: views
inputs: {x: [1, 4, 8, 8]}
layers:
  - {name: c, op: conv2d, in: x, filters: 8, kernel: 1, bias: false}
  - {name: f, op: identity, in: c}
  - {name: r, op: relu, in: f}
  - {name: d, op: conv2d, in: r, filters: 8, kernel: 1, bias: false}
  - {name: e, op: conv2d, in: c, filters: 8, kernel: 1, bias: false}
"""
    )
    result = run("tiny_4x4", str(path))
    assert [layer.name for layer in result.layers] == ["c", "r", "d", "e"]
    assert [layer.traffic_bytes["dram"]["write"]["output"] for layer in result.layers[:2]] == [512, 512]


def test_a_mapping_for_a_layer_that_is_not_there_is_told():
    with pytest.raises(ConfigError) as caught:
        run("tiny_4x4", "gemm:8x8x8", {"mapping.layers": {"gem": {"tile": {"m": 4}}}})
    assert str(caught.value) == (
        "--set mapping.layers: unknown layer 'gem'; did you mean 'gemm'? choose from: gemm"
    )


def test_a_chip_s_mapping_for_layers_of_other_networks_is_named(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text("extends: tiny_4x4\nname: chip\nmapping: {layers: {conv9: {tile: {m: 4}}}}\n")
    result = run(str(path), "gemm:8x8x8")
    assert result.notes == ({"what": "mapping.layers: no layer of the network has such a name", "where": ["conv9"]},)


@pytest.mark.parametrize("chip", ["gemmini_16x16", "edge_tpu_like", "scalesim_32x32"])
def test_layers_behind_each_other_cost_no_more_than_each_alone(chip):
    """What a layer waits for from the one before must not slow the rest of it."""
    network = {"size": 64}
    whole = run(chip, "resnet18", network)
    alone = [run(chip, "resnet18", network, layers=layer.name).cycles for layer in whole.layers]
    assert whole.cycles <= sum(alone)


def test_what_is_kept_on_chip_is_still_moved_there_and_read_there(tmp_path):
    path = tmp_path / "kept.yaml"
    path.write_text(
        """
name: kept
inputs: {x: [1, 4, 8, 8]}
layers:
  - {name: c, op: conv2d, in: x, filters: 4, kernel: 1, bias: false}
  - {name: p, op: maxpool, kernel: 2}
  - {name: d, op: conv2d, filters: 8, kernel: 1, bias: false}
"""
    )
    changes = {"inputs.capacity": "64 KiB", "inputs.keep": "32 KiB"}
    c, p, d = run("tiny_4x4", str(path), changes).layers
    assert c.traffic_bytes["inputs"]["write"]["output"] == 256
    assert not c.traffic_bytes["dram"]["write"]
    assert p.traffic_bytes["inputs"]["read"]["input"] == 256
    assert p.traffic_bytes["inputs"]["write"]["output"] == 64
    assert d.traffic_bytes["dram"]["write"]["output"] == 128
