"""Every mistake in a chip's file, a setting or a mapping is told in full: file, line, key, and the way out.

Mistakes in workloads stand in test_workload_errors.py, those of the command line in test_cli.py, those of energy
tables in test_energy.py.
"""

from __future__ import annotations

import json
import pickle

import pytest

from sim import arch, library
from sim.errors import CapacityError, ConfigError, DeadlockError, Problem, TiletickError, unknown
from sim.result import Result
from sim.simulate import run

CHIP = """\
name: chip
clock: 1 GHz
units:
  array: {kind: systolic, rows: 4, cols: 4}
buffers:
  all: {capacity: 1 KiB, holds: [weight, input, output]}
memory: {kind: simple, bandwidth: 8 GB/s}
"""
ARRAY_KEYS = (
    "buses, cols, convention, count, dataflow, drain, dvfs, flexible, in_place, kind, output_register, pe_pipeline, "
    "rates, rows, scratchpads, sram_read_latency, swap, weight_buffers"
)
ARCH_KEYS = (
    "assign, buffers, clock, description, link, mapping, memory, name, precision, prefetch, source, technology, tiers, "
    "units"
)
SIZES = "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, KB"
TOO_SMALL = "no smaller tile fits; enlarge the buffer or set its buffering to single"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def told(text, workload="gemm:8x8x8", **overrides):
    """Return what is said of a chip with this text."""
    with open("chip.yaml", "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(TiletickError) as error:
        run("chip.yaml", workload, {key.replace("__", "."): value for key, value in overrides.items()})
    return str(error.value)


def refused(name, kind=ConfigError):
    with pytest.raises(kind) as error:
        run(name, "gemm:8x8x8")
    return str(error.value)


# --- one wrong line in a file: (what is replaced, by what, what is said)

ONE_LINE = [
    ("cols: 4", "colums: 4",
     f"4: units.array.colums: unknown key 'colums'; did you mean 'cols'? choose from: {ARRAY_KEYS}"),
    ("clock: 1 GHz", "clock: 1 GHz\nprefech: true",
     f"3: prefech: unknown key 'prefech'; did you mean 'prefetch'? choose from: {ARCH_KEYS}"),
    ("cols: 4", "dataflow: wss",
     "4: units.array.dataflow: unknown dataflow 'wss'; did you mean 'ws'? "
     "choose from: input_stationary, is, os, output_stationary, row_stationary, rs, weight_stationary, ws"),
    ("kind: systolic", "kind: sistolic",
     "4: units.array.kind: unknown kind 'sistolic'; did you mean 'systolic'? "
     "choose from: companion, fabric, pim, systolic, vector"),
    ("kind: systolic, ", "", "4: units.array: missing key 'kind'"),
    ("clock: 1 GHz\n", "", "1: clock: missing key 'clock'"),
    ("{kind: simple, bandwidth: 8 GB/s}", "{kind: simple}", "7: memory.bandwidth: missing key 'bandwidth'"),
    ("{kind: simple, bandwidth: 8 GB/s}", "idela",
     "7: memory: unknown memory 'idela'; did you mean 'ideal'? choose from: banks, ddr4_2400r, ddr4_3200aa, "
     "ddr5_4800bn, dram, gddr6_14000, hbm2_2000, hbm3_6400, ideal, lpddr4_3200, lpddr5_6400, simple"),
    ("{kind: simple, bandwidth: 8 GB/s}", "lpddr5_640",
     "7: memory: unknown memory 'lpddr5_640'; did you mean 'lpddr5_6400'? choose from: banks, ddr4_2400r, ddr4_3200aa, "
     "ddr5_4800bn, dram, gddr6_14000, hbm2_2000, hbm3_6400, ideal, lpddr4_3200, lpddr5_6400, simple"),
    ("cols: 4", "weight_buffers: 3", "4: units.array.weight_buffers: unknown value '3'; choose from: 1, 2"),
    ("clock: 1 GHz", "clock: 1 GHz\nprecision: {weight: int9}",
     "3: precision.weight: unknown value 'int9'; did you mean 'int8'? "
     "choose from: bf16, fp16, fp32, fp4, fp6, fp8, int16, int32, int4, int8, "
     "msfp12, msfp16, mxfp4, mxfp6, mxfp8, mxint8, nvfp4, q4_0, q8_0"),
    # units
    ("1 KiB", "1024", "6: buffers.all.capacity: size 1024 needs a unit, as in '64 KiB'"),
    ("1 KiB", '"1024"', "6: buffers.all.capacity: size 1024 needs a unit, as in '64 KiB'"),
    ("1 KiB", "1 GHz", f"6: buffers.all.capacity: 'GHz' is not a unit of size; choose from: {SIZES}"),
    ("1 KiB", "1 KiQ", "6: buffers.all.capacity: 'KiQ' is not a unit of size; did you mean 'KiB'? "
     f"choose from: {SIZES}"),
    ("1 KiB", "big", "6: buffers.all.capacity: 'big' is not a size; write a number and a unit, as in '64 KiB'"),
    ("1 GHz", "1 ns", "2: clock: 'ns' is not a unit of frequency; choose from: Hz, kHz, MHz, GHz, THz"),
    ("8 GB/s", "8 Gb/s", "7: memory.bandwidth: 'Gb/s' is not a unit of bandwidth; did you mean 'GB/s'? "
     "choose from: B/s, kB/s, MB/s, GB/s, TB/s, KiB/s, MiB/s, GiB/s, TiB/s"),
    # negative, zero, not whole
    ("rows: 4", "rows: -4", "4: units.array.rows: -4 is out of range: greater than 0"),
    ("rows: 4", "rows: 0", "4: units.array.rows: 0 is out of range: greater than 0"),
    ("rows: 4", "rows: 4.5", "4: units.array.rows: expected integer, not 4.5"),
    ("rows: 4", 'rows: "4"', "4: units.array.rows: expected integer, not '4'"),
    ("rows: 4", "rows: true", "4: units.array.rows: expected integer, not true"),
    ("1 KiB", "0 KiB", "6: buffers.all.capacity: size '0 KiB' must be greater than zero"),
    ("1 KiB", "-1 KiB", "6: buffers.all.capacity: size '-1 KiB' must be greater than zero"),
    ("1 KiB", "0.3 B", "6: buffers.all.capacity: size '0.3 B' is not a whole number of base units"),
    ("1 GHz", "0 GHz", "2: clock: frequency '0 GHz' must be greater than zero"),
    ("8 GB/s", "-8 GB/s", "7: memory.bandwidth: bandwidth '-8 GB/s' must be greater than zero"),
    ("8 GB/s", "8 GB/s, latency: -5 ns", "7: memory.latency: time '-5 ns' must not be less than zero"),
    ("[weight, input, output]", "[weight, input, output], bandwidth: 0.5 B/cycle",
     "6: buffers.all.bandwidth: rate '0.5 B/cycle' is not a whole number of base units"),
    # the traps of YAML 1.1
    ("rows: 4", "rows: 1e9", "4: units.array.rows: expected integer, not 1000000000.0"),
    ("1 GHz", "1e9", "2: clock: frequency 1000000000.0 needs a unit, as in '1 GHz'"),
    ("clock: 1 GHz", "clock: 1 GHz\nprefetch: NO", "3: prefetch: expected true or false, not 'NO'"),
    ("clock: 1 GHz", "clock: 1 GHz\nprefetch: yes", "3: prefetch: expected true or false, not 'yes'"),
    ("clock: 1 GHz", "clock: 1 GHz\nclock: 2 GHz", "3: clock: duplicate key 'clock' (first on line 2)"),
    # what does not go together
    (", output]", "]", "5: buffers: no buffer holds the output operand; add it to the holds of one"),
    (", output]", ", outputs]", "6: buffers.all.holds[2]: unknown value 'outputs'; did you mean 'output'? "
     "choose from: input, output, weight"),
    ("[weight, input, output]", "[]", "6: buffers.all.holds: must not be empty"),
    ("memory", "  l2: {capacity: 1 KiB, holds: [weight]}\nmemory",
     "7: buffers.l2.holds: weight is held by more than one buffer: all, l2"),
    ("[weight, input, output]", "[weight, input, output], keep: 1 KiB",
     "6: buffers.all.keep: 1024 B must be less than the capacity (1024 B)"),
    ("cols: 4", "count: 2",
     "4: units.array.count: 2 arrays need a link between them; add link: {bandwidth: 64 B/cycle}"),
    ("units:", "units:\n  other: {kind: systolic}",
     "5: units.array: more than one systolic unit (other, array); use count"),
    ("memory", "  link: {capacity: 1 KiB, holds: [weight]}\nmemory",
     "7: buffers.link: 'link' is taken; units and buffers need names of their own"),
    ("units:", "units:\n  dram: {kind: vector, lanes: 4}",
     "4: units.dram: 'dram' is taken; units and buffers need names of their own"),
    ("{capacity: 1 KiB, holds: [weight, input, output]}",
     "{capacity: 1 KiB, holds: [input, output]}\n  w: {capacity: 1 KiB, holds: [weight], keep: 64 B}",
     "7: buffers.w.keep: keeps activations for the layers that read them, so the buffer that holds input has it"),
    # keys and values where a word stands, and a word where keys and values stand
    ("{capacity: 1 KiB, holds: [weight, input, output]}", "64 KiB",
     "6: buffers.all: expected keys and values, not '64 KiB'"),
    ("{kind: simple, bandwidth: 8 GB/s}", "[simple]", "7: memory: expected keys and values, not a list"),
    ("clock: 1 GHz", "clock: 1 GHz\nlink: 64 B/cycle", "3: link: expected keys and values, not '64 B/cycle'"),
    ("1 GHz", "", "2: clock: frequency is empty; write a number and a unit, as in '1 GHz'"),
    # a mapping that is written wrongly
    ("clock: 1 GHz", "clock: 1 GHz\nmapping: {order: [m, n]}",
     "3: mapping.order: ['m', 'n'] must name each of m, n and k once"),
    ("clock: 1 GHz", "clock: 1 GHz\nmapping: {resident: [weights]}",
     "3: mapping.resident[0]: unknown value 'weights'; did you mean 'weight'? choose from: input, output, weight"),
    ("clock: 1 GHz", "clock: 1 GHz\nmapping: {lowering: im2cool}",
     "3: mapping.lowering: unknown value 'im2cool'; did you mean 'im2col'? choose from: auto, direct, im2col"),
    ("clock: 1 GHz", "clock: 1 GHz\nmapping: {split: g}",
     "3: mapping.split: unknown value 'g'; choose from: auto, k, m, n"),
    ("clock: 1 GHz", 'clock: 1 GHz\nmapping: {layers: {"conv*": {tile: {m: 0}}}}',
     "3: mapping.layers.conv*.tile.m: 0 is out of range: greater than 0"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), ONE_LINE, ids=[f"{new}" for _, new, _ in ONE_LINE])
def test_one_wrong_line(old, new, message):
    assert CHIP.count(old) == 1
    assert told(CHIP.replace(old, new)) == f"chip.yaml:{message}"


def test_two_mistakes_are_told_together_with_their_lines():
    assert told(CHIP.replace("rows: 4", "rows: 0").replace("1 KiB", "1024")) == (
        "chip.yaml:4: units.array.rows: 0 is out of range: greater than 0\n"
        "chip.yaml:6: buffers.all.capacity: size 1024 needs a unit, as in '64 KiB'"
    )


def test_words_and_numbers_are_those_of_yaml_1_2():
    with open("chip.yaml", "w", encoding="utf-8") as file:
        file.write(CHIP.replace("name: chip", "name: NO").replace("rows: 4", "rows: 012"))
    chip = arch.load("chip.yaml")
    assert (chip.name, chip.array.rows) == ("NO", 12)


# --- files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": is empty"),
        ("# only a comment\n", ": is empty"),
        ("hello", ":1: must hold keys and values at its top level"),
        ("- a\n- b\n", ":1: must hold keys and values at its top level"),
        ("a: [1, 2\nb: }", ":2: is not valid YAML: did not find expected ',' or ']'"),
        ("a:\n\tb: 1", ":2: is not valid YAML: found character that cannot start any token"),
        ("a: \0", ": is not valid YAML: control characters are not allowed"),
        ("a: 1\n---\nb: 2\n", ":2: is not valid YAML: but found another document"),
        ("a: &a [*a]", ": is nested too deeply, or holds itself (&anchor, *alias)"),
        ("a: " + "[" * 2000 + "]" * 2000, ": is nested too deeply, or holds itself (&anchor, *alias)"),
        ("extends: 3", ":1: extends: must name one arch file"),
        ("extends: chip.yaml", ":1: extends: extends itself: chip -> chip"),
        ("extends: other.yaml", ":1: extends: other.yaml: no such file"),
    ],
    ids=["empty", "comment", "word", "list", "brackets", "tab", "control", "documents", "itself", "deep", "extends-3",
         "extends-itself", "extends-nothing"],
)  # fmt: skip
def test_a_file_that_is_no_chip(text, message):
    assert told(text) == f"chip.yaml{message}"


def test_files_that_extend_each_other(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b\n")
    (tmp_path / "b.yaml").write_text("extends: a\n")
    assert refused("./a.yaml") == "b.yaml:1: extends: extends itself: a -> b -> a"


def test_a_mistake_in_a_base_is_told_at_its_own_line(tmp_path):
    (tmp_path / "base.yaml").write_text(CHIP.replace("rows: 4", "rows: 0"))
    assert told("extends: base\nname: chip\nclok: 1 GHz\n") == (
        "base.yaml:4: units.array.rows: 0 is out of range: greater than 0\n"
        f"chip.yaml:3: clok: unknown key 'clok'; did you mean 'clock'? choose from: {ARCH_KEYS}"
    )


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "sub.yaml").mkdir()
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00\x01")
    assert refused("sub.yaml") == "sub.yaml: is a folder, not a file"
    assert refused("./sub.yaml") == "sub.yaml: is a folder, not a file"
    assert refused("bytes.yaml") == "bytes.yaml: is not a text file (UTF-8)"
    assert refused("nothing.yaml") == "nothing.yaml: no such file"


def test_an_unknown_chip_names_the_nearest():
    assert refused("tpu_v2") == (
        f"unknown arch 'tpu_v2'; did you mean 'tpu_v1'? choose from: {', '.join(library.names('arch'))} "
        "(or give the path of a file)"
    )


def test_a_name_among_no_choices_offers_none():
    assert unknown("layer", "x", []) == "unknown layer 'x'; there is none to choose from"


# --- what other files have to say


def test_an_unknown_technology():
    assert told(CHIP + "technology: 46nm\n").startswith(
        "chip.yaml:8: technology: unknown energy table '46nm'; did you mean '65nm'? choose from: 22nm, "
    )
    assert told(CHIP, technology="./no.yaml") == "--set technology: ./no.yaml: no such file"
    kinds = "choose from: ddr3, ddr4, gddr5, gddr6, generic, hbm2, lpddr4"
    said = f"arch_configs/energy/45nm.yaml: dram: unknown kind of DRAM 'lpddr9'; did you mean 'lpddr4'? {kinds}"
    assert told(CHIP.replace("8 GB/s", "8 GB/s, technology: lpddr9")) == f"chip.yaml:7: memory.technology: {said}"
    assert told(CHIP, memory__technology="lpddr9") == f"--set memory.technology: {said}"


def test_formats_that_no_table_prices_are_told_of_the_chip():
    said = (
        "precision: arch_configs/energy/45nm.yaml: operations: fp16 products cannot accumulate in int32; "
        "choose from: bf16, fp16, fp32, fp8"
    )
    assert told(CHIP + "precision: {input: fp16}\n") == f"chip.yaml:8: {said}"
    assert told(CHIP, precision__input="fp16") == f"--set precision.input: {said}"


def test_a_chip_without_an_array_runs_no_product():
    assert told(CHIP.replace("{kind: systolic, rows: 4, cols: 4}", "{kind: vector, lanes: 4}")) == (
        "chip.yaml:3: units: arch 'chip' has no systolic unit, only array (vector); add one of kind: systolic"
    )


# --- settings


def test_a_setting_of_an_unknown_key():
    assert told(CHIP, units__array__rowz=3) == (
        f"--set units.array.rowz: unknown key 'rowz'; did you mean 'rows'? choose from: {ARRAY_KEYS}"
    )
    assert told(CHIP, arch__rowz=3) == "--set arch.rowz: no key 'arch.rowz' in arch 'chip'; did you mean 'rows'?"


def test_a_setting_that_neither_chip_nor_network_has():
    assert told(CHIP, rowz=3) == (
        "--set rowz: unknown key 'rowz'; did you mean 'rows'? choose from: layers.NAME.KEY, or a key of the chip"
    )
    assert told(CHIP, foo=1) == (
        "--set foo: unknown key 'foo'; choose from: layers.NAME.KEY, or a key of the chip"
    )
    assert told(CHIP, "resnet18", bacth=3) == (
        "--set bacth: unknown key 'bacth'; did you mean 'batch'? choose from: batch, classes, layers.NAME.KEY, size, "
        "or a key of the chip"
    )


def test_a_part_of_ideal_memory_is_no_setting():
    message = "memory is ideal, without limits; give it some, as in --set 'memory={kind: simple, bandwidth: 8 GB/s}'"
    for settings in ({"memory.bandwidth": "1 GB/s"}, {"memory": "ideal", "memory.latency": "1 ns"}):
        with pytest.raises(ConfigError) as error:
            arch.load("array", settings)
        assert str(error.value) == f"--set {list(settings)[-1]}: {message}"
    changed = arch.load("tiny_4x4", {"memory.bandwidth": "1 GB/s", "memory.kind": "simple"})
    assert changed.memory.bandwidth == 10**9
    assert arch.load("tiny_4x4", {"memory": "ddr4_2400r", "memory.channels": 2}).memory.channels == 2


def test_arch_and_workload_in_the_wrong_order():
    message = "'resnet50' is no arch but workload; the arch goes before the workload"
    with pytest.raises(ConfigError, match=message):
        arch.load("resnet50")


def test_a_setting_with_a_wrong_value():
    assert told(CHIP, rows="x") == "--set units.array.rows: expected integer, not 'x'"
    assert told(CHIP, capacity="3") == "--set buffers.all.capacity: size 3 needs a unit, as in '64 KiB'"


BLAMED = [
    ({"count": 4}, "--set units.array.count: 4 arrays need a link between them; add link: {bandwidth: 64 B/cycle}"),
    ({"order": ["m", "n"]}, "--set mapping.order: ['m', 'n'] must name each of m, n and k once"),
    ({"keep": "2 KiB"}, "--set buffers.all.keep: 2048 B must be less than the capacity (1024 B)"),
    ({"holds": ["weight", "input"]},
     "--set buffers.all.holds: buffers: no buffer holds the output operand; add it to the holds of one"),
    ({"buffers.l2": {"capacity": "1 KiB", "holds": ["input"]}},
     "--set buffers.l2: buffers.l2.holds: input is held by more than one buffer: all, l2"),
    ({"units.other": {"kind": "systolic"}}, "--set units.other: more than one systolic unit (array, other); use count"),
    ({"buffers.dram": {"capacity": "1 KiB", "holds": ["weight"]}},
     "--set buffers.dram: 'dram' is taken; units and buffers need names of their own"),
    ({"memory.kind": "simpel"},
     "--set memory.kind: unknown kind 'simpel'; did you mean 'simple'? choose from: banks, dram, ideal, simple"),
    ({"memory.kind": "ideal"},
     "--set memory.kind: memory.bandwidth: unknown key 'bandwidth'; choose from: kind; "
     "to change the kind, set memory whole"),
    ({"units.array.kind": "vector"},
     "--set units.array.kind: units.array.lanes: missing key 'lanes'; to change the kind, set units.array whole"),
    ({"buffers.all": {"holds": ["weight"]}}, "--set buffers.all: buffers.all.capacity: missing key 'capacity'"),
    ({"buffers": {}}, "--set buffers: no buffer holds the weight operand; add it to the holds of one"),
    ({"prefetch": "yes"}, "--set prefetch: expected true or false, not 'yes'"),
    ({"link": 5}, "--set link: expected keys and values, not 5"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), BLAMED, ids=[", ".join(settings) for settings, _ in BLAMED])
def test_a_setting_is_blamed_for_what_it_breaks_and_not_the_file(settings, message):
    assert told(CHIP, **settings).split("\n")[0] == message


def test_a_setting_that_leaves_the_mistake_of_a_file_is_not_blamed():
    assert told(CHIP.replace("cols: 4", "count: 2"), rows=8) == (
        "chip.yaml:4: units.array.count: 2 arrays need a link between them; add link: {bandwidth: 64 B/cycle}"
    )


def test_a_setting_that_could_mean_two_keys():
    assert told(CHIP, bandwidth="1 GB/s") == (
        "--set bandwidth: 'bandwidth' could be buffers.all.bandwidth or memory.bandwidth; write it out"
    )


def test_a_setting_of_a_layer_that_is_not_there():
    assert told(CHIP, layers__gem__features=3) == (
        "--set layers.gem.features: unknown layer 'gem'; did you mean 'gemm'? choose from: gemm"
    )


def test_settings_may_pass_through_a_chip_that_is_not_whole():
    count, link = ("count", 2), ("link", {"bandwidth": "8 B/cycle"})
    settings = (dict(order) for order in ((count, link, ("swap", "global")), (("swap", "global"), link, count)))
    first, second = (arch.load("tiny_4x4", each) for each in settings)
    assert first == second and first.array.swap == "global" and first.link.bandwidth == 8


# --- mappings that cannot be executed


def test_a_buffer_too_small_for_any_tile():
    assert told(CHIP.replace("1 KiB", "11 B")) == (
        "gemm: tile 1x1x1 (weight 2, input 2, output 8 bytes) does not fit in buffer 'all': needs 12 bytes, "
        f"11 are available; {TOO_SMALL}"
    )


def test_a_tile_that_is_too_large():
    tile = {"mapping__tile__m": 64, "mapping__tile__n": 64, "mapping__tile__k": 64}
    assert told(CHIP, "gemm:64x64x64", **tile) == (
        "gemm: tile 64x64x64 (weight 4096, input 4096, output 16384 bytes) does not fit in buffer 'all': "
        "needs 24576 bytes, 1024 are available; the nearest that fits is tile m: 8, n: 8, k: 16"
    )


def test_the_nearest_tile_that_is_named_runs():
    text = CHIP + "mapping: {tile: {m: 8, n: 8, k: 16}}\n"
    with open("chip.yaml", "w", encoding="utf-8") as file:
        file.write(text)
    (layer,) = run("chip.yaml", "gemm:64x64x64").layers
    assert layer.mapping["tile"] == {"g": 1, "m": 8, "n": 8, "k": 16}


def test_a_tile_that_cuts_a_channel():
    assert told(CHIP, "conv:8,8,8,4,3,3", mapping__tile__k=20) == (
        "conv: tile.k 20 cuts a channel of 9 taps; nearest is 18"
    )


def test_an_operand_that_cannot_be_resident():
    with pytest.raises(CapacityError) as error:
        run(arch.build(arch.read_arch("tiny_4x4").with_override(("mapping",), {"resident": ["weight"]})),
            "gemm:8x128x128")  # fmt: skip
    assert str(error.value) == (
        "gemm: tile 1x1x1 (weight 16384 bytes) does not fit in buffer 'weights': needs 16384 bytes, 4096 are "
        f"available; {TOO_SMALL}"
    )


def test_a_pattern_that_picks_no_layer():
    with pytest.raises(ConfigError) as error:
        run("array", "gemm:8x8x8", layers="conv*")
    assert str(error.value) == "--layers: unknown layer 'conv*'; choose from: gemm"


# --- results from files

RESULT = json.loads(run("tiny_4x4", "gemm:4x4x4").to_json())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "x"}, "r.json: is no tiletick result (schema 'x', not 'tiletick.result/1')"),
        ({"layers": 3}, "r.json: layers: is not a list"),
        ({"not_modelled": 3}, "r.json: not_modelled: is not a list"),
        ({"notes": 3}, "r.json: notes: is not a list"),
        ({"layers": [3]}, "r.json: layers[0]: does not hold keys and values"),
        ({"layers": [{"name": "a"}]},
         "r.json: layers[0]: lacks bound, causes, compute_cycles, cycles, energy_pj, macs, "
         "mapping_efficiency, op, start, traffic_bytes, unit, utilization"),
    ],
)  # fmt: skip
def test_a_result_that_is_malformed(change, message):
    with pytest.raises(ConfigError) as error:
        Result.from_dict({**RESULT, **change}, "r.json")
    assert str(error.value) == message


def test_a_result_that_lacks_keys():
    with pytest.raises(ConfigError) as error:
        Result.from_dict({"schema": RESULT["schema"], "layers": []}, "r.json")
    assert str(error.value) == (
        "r.json: lacks arch, buffers, clock_hz, cycles, dram, energy_pj, macs, "
        "mapping_efficiency, not_modelled, provenance, seconds, traffic_bytes, units, utilization, workload"
    )


def test_a_result_comes_back_as_it_was_written():
    result = run("tiny_4x4", "conv:4,8,8,4,3,3")
    assert Result.from_dict(json.loads(result.to_json())).to_json() == result.to_json()
    assert Result.from_dict(result.to_dict()) == result


def test_a_lane_operation_that_there_is_not(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(CHIP.replace("cols: 4}", "cols: 4}\n  lanes: {kind: vector, lanes: 4, cycles_per: {expp: 4}}"))
    with pytest.raises(ConfigError) as caught:
        arch.load(str(path))
    assert str(caught.value) == (
        f"{path}:5: units.lanes.cycles_per: unknown lane operation 'expp'; did you mean 'exp'? "
        "choose from: add, div, erf, exp, max, mul, sqrt, tanh"
    )


@pytest.mark.parametrize(
    "error",
    [
        ConfigError(Problem("is empty", "chip.yaml", 1, "units"), Problem("is odd", "chip.yaml")),
        CapacityError("a tile", "buffer 'all'", 9, 8, "use a smaller one"),
        DeadlockError(["array: Compute wait_input"]),
    ],
)
def test_an_error_says_the_same_in_another_process(error):
    """Pools pickle errors, and the event kernel rebuilds them from their arguments."""
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (type(error), str(error))
    assert str(type(error)(*error.args)) == str(error)


@pytest.mark.parametrize(("old", "new", "name"), [("all:", "array:", "array"), ("all:", "dram:", "dram")])
def test_names_that_a_result_could_not_tell_apart(tmp_path, old, new, name):
    path = tmp_path / "chip.yaml"
    path.write_text(CHIP.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        arch.load(str(path))
    assert str(caught.value) == (
        f"{path}:6: buffers.{name}: '{name}' is taken; units and buffers need names of their own"
    )


def test_vector_work_needs_buffers_too(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text("name: c\nclock: 1 GHz\nunits: {v: {kind: vector, lanes: 4}}\n"
                    "memory: {kind: simple, bandwidth: 8 GB/s}\n")  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        arch.load(str(path))
    assert str(caught.value) == f"{path}:1: buffers: no buffer holds the input operand; add it to the holds of one"
