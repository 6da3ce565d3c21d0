"""SCALE-Sim's topologies and configurations: what they hold is kept, what differs is said, mistakes are told."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim import arch, workload, yamlfile
from sim.arch import Simple
from sim.errors import ConfigError
from sim.importers import document
from sim.importers.scalesim import import_scalesim, read_config, read_topology, write
from sim.importers.scalesim_config import CONVENTIONS as CYCLES
from sim.importers.scalesim_topology import CONVENTIONS, INDEPENDENT
from sim.kernel import Contraction

DATA = Path(__file__).parent / "data" / "scalesim"
TOPOLOGIES = sorted(DATA.glob("*.csv"))
CONFIGS = sorted(DATA.glob("*.cfg"))
CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
GEMM = "Layer, M, N, K,"


def topology(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "net.csv"
    path.write_text(text, encoding="utf-8")
    return read_topology(path).data


def gemms(data: dict[str, Any], folder: Path) -> list[tuple[int, int, int, int]]:
    """Return (groups, M, N, K) of each layer, through the file and the workload loader."""
    path = folder / f"{data['name']}.yaml"
    write(data, path)
    kernels = [kernel for node in workload.load(str(path)).nodes for kernel in node.kernels]
    return [(k.groups, k.m, k.n, k.k) for k in kernels if isinstance(k, Contraction)]


def error(folder: Path, text: str, name: str = "net.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        import_scalesim(path)
    return str(caught.value).replace(f"{folder}/", "")


SHAPES = {
    "batch_untold": {"Embedding_Pooling": ([1, 1, 16, 12], [(1, 16, 24, 12)]), "fc": ([1, 20, 1, 1], [(1, 1, 10, 20)])},
    "by_place": {"A": ([1, 4, 6, 5], [(1, 16, 7, 24)])},
    "conv": {
        "Stem": ([1, 9, 12, 8], [(1, 66, 21, 54)]),
        "Tall": ([1, 2, 6, 8], [(1, 8, 18, 6)]),
        "Wide": ([1, 4, 4, 7], [(1, 9, 13, 12)]),
    },
    "conv_sparse": {"A": ([1, 4, 5, 5], [(1, 9, 6, 36)]), "B": ([1, 4, 5, 5], [(1, 9, 6, 36)])},
    "depthwise": {"ConvDP1": ([1, 6, 8, 8], [(6, 36, 1, 9)]), "ConvDP2": ([1, 6, 8, 8], [(6, 16, 2, 9)])},
    "gemm": {"1": ([9, 2], [(1, 9, 3, 2)]), "2": ([28, 30], [(1, 28, 41, 30)])},
    "gemm_sparse": {
        "Dense_1": ([3, 16], [(1, 3, 5, 16)]),
        "Half": ([3, 16], [(1, 3, 5, 16)]),
        "Also_half": ([4, 16], [(1, 4, 5, 16)]),
        "Quarter": ([1, 16], [(1, 1, 5, 16)]),
    },
    "more_columns": {
        "A": ([1, 2, 9, 9], [(1, 49, 4, 18)]),
        "B": ([1, 4, 5, 5], [(1, 25, 3, 4)]),
        "C": ([1, 4, 5, 5], [(1, 25, 3, 4)]),
        "D": ([1, 1, 1, 1], [(1, 1, 16, 1)]),
    },
    "more_words": {"up": ([13, 35], [(1, 13, 18, 35)]), "E0-FF1": ([5, 8], [(1, 5, 3, 8)]),
                   "down": ([13, 18], [(1, 13, 35, 18)])},
    "no_trailing_comma": {"A": ([1, 8, 16, 16], [(1, 196, 4, 72)]), "B": ([1, 4, 9, 9], [(1, 16, 6, 36)])},
    "odd_rows": {
        "Conv1": ([1, 3, 10, 10], [(1, 25, 8, 27)]),
        "Conv2_dw": ([1, 1, 8, 8], [(1, 36, 1, 9)]),
        "Attn_QxK_": ([1, 1, 1, 6], [(1, 6, 6, 1)]),
        "Conv1_2": ([1, 3, 10, 10], [(1, 25, 8, 27)]),
        "Pool_FC": ([1, 16, 1, 1], [(1, 1, 4, 16)]),
    },
    "slipped_comma": {
        "LSTM2_ptwise3": ([1, 1024, 1, 1], [(1, 1, 1, 1024)]),
        "FC": ([1, 2, 1, 1], [(1, 1, 2, 2)]),
        "Attn_Concat_map": ([1, 512, 1, 1], [(1, 1, 512, 512)]),
    },
    "tabs_batch": {"A": ([2, 2, 14, 14], [(1, 288, 4, 18)]), "B": ([1, 4, 12, 12], [(1, 100, 4, 36)])},
    "two_strides": {"A": ([1, 2, 9, 13], [(1, 20, 4, 18)])},
    "windows_bom": {"A": ([1, 2, 7, 7], [(1, 25, 5, 18)]), "B": ([1, 5, 5, 5], [(1, 25, 3, 5)])},
}  # fmt: skip


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_each_format_of_topology_gives_its_layers_and_products(path: Path, tmp_path: Path) -> None:
    made, wanted = read_topology(path), SHAPES[path.stem]
    assert made.data["inputs"] == {f"{name}.in": shape for name, (shape, _) in wanted.items()}
    assert gemms(made.data, tmp_path) == [product for _, products in wanted.values() for product in products]
    macs = sum(math.prod(product) for _, products in wanted.values() for product in products)
    assert (made.counts["layers"], made.counts["macs"]) == (len(wanted), macs)


PUBLISHED = [
    ((12, 8, 2, 3, 9, 21, 1), (66, 21, 54)),
    ((14, 8, 4, 2, 2, 7, 2), (24, 7, 16)),
    ((6, 8, 3, 1, 2, 18, 3), (8, 18, 6)),
    ((4, 5, 3, 2, 1, 24, 1), (8, 24, 6)),
    ((10, 8, 1, 1, 5, 2, 2), (30, 2, 5)),
    ((4, 7, 1, 3, 4, 13, 2), (9, 13, 12)),
    ((7, 14, 1, 4, 9, 2, 2), (24, 2, 36)),
    ((11, 13, 4, 4, 9, 20, 3), (16, 20, 144)),
]
"""H, W, R, S, channels, filters, stride to M, N, K: what scalesim 3.0.0 simulated for these layers."""


@pytest.mark.parametrize(("sizes", "product"), PUBLISHED)
def test_products_equal_those_that_scalesim_simulates(
    sizes: tuple[int, ...], product: tuple[int, int, int], tmp_path: Path
) -> None:
    data = topology(tmp_path, f"{CONV}\nA,{','.join(map(str, sizes))},\n")
    assert gemms(data, tmp_path) == [(1, *product)]


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[int, ...]:
    taps = draw(st.tuples(*[st.integers(1, 5)] * 2))
    sizes = [r + draw(st.integers(0, 12)) for r in taps]
    counts = [draw(st.integers(1, 4)) for _ in range(2)]
    return (*sizes, *taps, *counts, draw(st.integers(1, 6)), draw(st.integers(1, 6)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(convolutions())
def test_output_sizes_are_rounded_up_as_in_scalesim(tmp_path: Path, layer: tuple[int, ...]) -> None:
    h, w, r, s, channels, filters, down, across = layer
    data = topology(tmp_path, f"{CONV}\nA,{','.join(map(str, layer))}\nB_DP,{','.join(map(str, layer))}\n")
    m = -((r - h - down) // down) * -((s - w - across) // across)  # ceil((H - R + stride) / stride) of each
    assert gemms(data, tmp_path) == [(1, m, filters, r * s * channels), (channels, m, filters, r * s)]
    field = ((h - r) // down + 1) * ((w - s) // across + 1)
    assert ("pad" in data["layers"][0]) == (field != m)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("ab_2 -/'", min_size=1).filter(lambda name: name.strip() and name.strip() != "#"), min_size=1))
def test_every_layer_gets_a_name_of_its_own(tmp_path: Path, names: list[str]) -> None:
    rows = "".join(f"{name},1,1,1\n" for name in names)
    data = topology(tmp_path, f"{GEMM}\n{rows}")
    assert len({layer["name"] for layer in data["layers"]}) == len(names)
    assert len(gemms(data, tmp_path)) == len(names)


def test_a_comma_in_quotes_belongs_to_the_name(tmp_path: Path) -> None:
    data = topology(tmp_path, f'{CONV}\r\n"Conv, first" ,20,20,3,3,8,16,1,\r\n "plain", "9",9,3,3,8,16,1\r\n')
    assert [layer["name"] for layer in data["layers"]] == ["Conv_first", "plain"]
    assert data["inputs"] == {"Conv_first.in": [1, 8, 20, 20], "plain.in": [1, 8, 9, 9]}


def test_depthwise_filters_are_those_of_a_channel() -> None:
    layers = read_topology(DATA / "depthwise.csv").data["layers"]
    assert [(layer["groups"], layer["filters"]) for layer in layers] == [("depthwise", 6), ("depthwise", 12)]


def test_sparsity_stands_in_not_modelled() -> None:
    assert read_topology(DATA / "conv_sparse.csv").data["not_modelled"] == [
        {"what": "N:M sparsity 2:4", "where": ["A"]},
    ]
    assert read_topology(DATA / "gemm_sparse.csv").data["not_modelled"] == [
        {"what": "N:M sparsity 2:4", "where": ["Half", "Also_half"]},
        {"what": "N:M sparsity 1:4", "where": ["Quarter"]},
    ]


def test_notes_of_a_topology_say_what_was_changed_and_passed_over() -> None:
    report = import_scalesim(DATA / "odd_rows.csv")
    assert report.notes == (
        *CONVENTIONS,
        INDEPENDENT,
        "Output size rounded up, by zeros behind the input (2 of 5 layers): Conv1, Conv1_2.",
        "Named as if depthwise but without 'DP', and so an ordinary convolution to SCALE-Sim (1 of 5 layers): "
        "Conv2_dw.",
        "Renamed, as names are of letters, digits, '_' and '-' and each stands for one layer (3 of 5 layers): "
        "'Attn_QxK'' (line 6) to Attn_QxK_, 'Conv1' (line 7) to Conv1_2, 'Pool/FC' (line 8) to Pool_FC.",
        "Columns read by their place: 'IFMAP Width' as IFMAP height.",
        "Rows that are headings and no layers: 'Tiny net' (line 2).",
        "Numbers behind the known columns, read: '2' of 'Conv1' (line 4) as stride width.",
        "Cells behind the known columns, ignored: '#dw' (line 5).",
    )
    assert report.counts == {"layers": 5, "products": 0, "depthwise": 0, "rounded_up": 2, "macs": 11224}
    assert import_scalesim(DATA / "depthwise.csv").notes[-1] == "Depthwise (2 of 2 layers): ConvDP1, ConvDP2."
    assert (
        "With a batch, which SCALE-Sim does not have (1 of 2 layers): A."
        in import_scalesim(DATA / "tabs_batch.csv").notes
    )
    sparse = "Sparse (N:M), which is not modelled: they run dense (1 of 2 layers): A."
    assert sparse in import_scalesim(DATA / "conv_sparse.csv").notes
    behind = "Numbers behind the known columns, read: '1' of 'D' (line 6) as stride width."
    assert behind in import_scalesim(DATA / "more_columns.csv").notes
    assert not any("behind the known" in note for note in import_scalesim(DATA / "two_strides.csv").notes)
    assert import_scalesim(DATA / "gemm.csv").notes == (INDEPENDENT,)


@pytest.mark.parametrize(
    ("titles", "cells", "stride", "note"),
    [
        (" ,Stride width,", "3,2,", [1, 2], "Cells behind the known columns, ignored: '3'"),
        ("Stride width,Stride W,", "2,3,", [1, 2], "Cells behind the known columns, ignored: '3' under 'Stride W'"),
        ("Dilation,", "2,", 1, "Cells behind the known columns, ignored: '2' under 'Dilation'"),
        ("", "2,", [1, 2], "Numbers behind the known columns, read: '2' of 'A' (line 2) as stride width."),
    ],
)  # fmt: skip
def test_numbers_behind_the_known_columns_are_read_by_their_titles(
    titles: str, cells: str, stride: Any, note: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.csv"
    path.write_text(f"{CONV.rstrip(',')},{titles}\nA,9,9,3,3,2,4,1,{cells}\n")
    made = read_topology(path)
    assert made.data["layers"][0]["stride"] == stride
    assert made.notes[-1].removesuffix(" (line 2).") == note


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_written_workload_loads_under_the_name_of_its_file(path: Path, tmp_path: Path) -> None:
    report = import_scalesim(path, tmp_path / "net.yaml")
    graph = workload.load(str(tmp_path / "net.yaml"))
    assert (graph.name, len(graph.nodes)) == ("net", report.counts["layers"])
    assert sum(node.macs for node in graph.nodes) == report.counts["macs"]
    assert (tmp_path / "net.yaml").read_text() == report.text


ARRAYS = {"version1": (32, 16, "os"), "version2": (12, 14, "ws"), "version3": (8, 4, "is")}
BUFFERS = {"version1": (512, 256, 128), "version2": (36, 36, 36), "version3": (64, 32, 16)}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_written_arch_loads_with_the_array_and_buffers_of_the_configuration(path: Path, tmp_path: Path) -> None:
    import_scalesim(path, tmp_path / "chip.yaml")
    chip = arch.load(str(tmp_path / "chip.yaml"))
    assert chip.array is not None
    assert (chip.array.rows, chip.array.cols, chip.array.dataflow) == ARRAYS[path.stem]
    assert chip.array.convention == "scalesim"
    capacities = [chip.buffers[name].capacity // 1024 for name in ("input", "weight", "output")]
    assert tuple(capacities) == BUFFERS[path.stem]
    assert [chip.buffers[name].holds for name in chip.buffers] == [["input"], ["weight"], ["output"]]
    assert {chip.bits(operand) for operand in ("weight", "input", "output", "partial_sum")} == {8}
    assert (chip.mapping.groups, chip.mapping.lowering, chip.name) == ("serial", "im2col", "chip")
    assert chip.bounded == (path.stem == "version3")


def test_user_bandwidth_is_words_a_cycle(tmp_path: Path) -> None:
    import_scalesim(DATA / "version3.cfg", tmp_path / "chip.yaml")
    chip = arch.load(str(tmp_path / "chip.yaml"))
    assert isinstance(chip.memory, Simple)
    assert chip.memory.bandwidth == 12 * chip.clock
    channel = arch.channel(chip)
    assert channel is not None
    assert [channel.cycles(count) for count in (1, 12, 13, 120)] == [1, 1, 2, 10]


def test_notes_of_a_configuration_name_every_key_that_is_not_modelled() -> None:
    assert read_config(DATA / "version1.cfg").notes == (
        *CYCLES,
        "No InterfaceBandwidth, as in version 1 of SCALE-Sim: memory is ideal.",
        "Not modelled, of [architecture_presets]: IfmapOffset = 0, FilterOffset = 10000000, OfmapOffset = 20000000.",
    )
    assert read_config(DATA / "version2.cfg").notes == (
        *CYCLES,
        "InterfaceBandwidth CALC: SCALE-Sim works out the bandwidth at which nothing stalls; memory is ideal, "
        "and Bandwidth is unused.",
        "Not modelled, of [architecture_presets]: IfmapOffset = 0, FilterOffset = 10000000, OfmapOffset = 20000000, "
        "Bandwidth = 10, MemoryBanks = 1.",
    )
    assert read_config(DATA / "version3.cfg").notes == (
        *CYCLES,
        "InterfaceBandwidth USER: one channel of the first Bandwidth, shared by all operands. SCALE-Sim has a channel "
        "for each operand: in version 2 each of this Bandwidth, in version 3 that of inputs and weights is "
        "IfmapSRAMBankBandwidth and FilterSRAMBankBandwidth.",
        "SparsitySupport is on, and sparsity is not modelled: everything runs dense.",
        "Not modelled, of [architecture_presets]: IfmapOffset = 0, FilterOffset = 10000000, OfmapOffset = 20000000, "
        "ReadRequestBuffer = 32, WriteRequestBuffer = 32.",
        "Not modelled, of [layout]: IfmapCustomLayout = False, IfmapSRAMBankBandwidth = 10.",
        "Not modelled, of [sparsity]: SparsitySupport = true, SparseRep = ellpack_block.",
        "Not modelled, of [run_presets]: UseRamulatorTrace = False.",
    )


EARLY = """[architecture_presets]
ArrayHeight: 24
ArrayWidth: 12
IfmapSramSz: 256
FilterSramSz: 256
OfmapSramSz: 128

[network_presets]
TopologyCsvLoc: "./topologies/tiny.csv"
"""


def test_the_first_configurations_have_no_dataflow_and_are_output_stationary(tmp_path: Path) -> None:
    path = tmp_path / "chip.cfg"
    path.write_text(EARLY)
    made = read_config(path)
    assert made.data["units"]["array"]["dataflow"] == "os"
    assert "No Dataflow, as in the first commits of SCALE-Sim: output stationary, the only one they had." in made.notes
    assert made.notes[-1] == "Not modelled, of [network_presets]: TopologyCsvLoc = \"./topologies/tiny.csv\"."
    assert error(tmp_path, EARLY.replace("OfmapSramSz: 128", "OfmapSramSz: 128\nDataflw: ws"), "net.cfg") == (
        "net.cfg: architecture_presets.Dataflow: missing key 'Dataflow'; is it the 'Dataflw' on line 7?"
    )
    assert error(tmp_path, EARLY.partition("\n\n")[0], "net.cfg") == (
        "net.cfg: architecture_presets.Dataflow: missing key 'Dataflow'"
    )


def test_conventions_of_scalesim_are_named() -> None:
    said = " ".join((*CONVENTIONS, *CYCLES))
    for words in (
        "no padding", "rounds output sizes up", "'DP'", "K + R + C - 2", "2R + C + T - 2", "minus 1", "output writes",
    ):  # fmt: skip
        assert words in said


TEMPLATE = f"""{CONV}
LSTM_igate_h, 1, B, 1, 1, H, H, 1,
LSTM_igate_x, 1, B, 1, 1, D, H, 1,
LSTM_ptwise1, 1, B, 1, B, H, 1, 1,
Mix_DP, 5, B, 3, 1, D, 2, 1,
"""
"""The first rows of the kinds in LSTM.csv of SCALE-Sim 1 (topologies/CSV), and a depthwise one."""


def test_letters_of_a_template_are_given_by_each_run(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text(TEMPLATE)
    made = import_scalesim(tmp_path / "net.csv", tmp_path / "lstm.yaml")
    assert "macs" not in made.counts
    told = "A template: B, D, H stand for sizes, and each run gives them, as in --set B=... --set D=... --set H=...."
    assert told in made.notes
    net = workload.load(str(tmp_path / "lstm.yaml"), {"B": 4, "D": 32, "H": 16})
    products = [(k.groups, k.m, k.n, k.k) for node in net.nodes for k in node.kernels if isinstance(k, Contraction)]
    assert products == [(1, 4, 16, 16), (1, 4, 16, 32), (1, 1, 1, 64), (32, 12, 2, 3)]
    with pytest.raises(ConfigError) as caught:
        workload.load(str(tmp_path / "lstm.yaml"), {"B": 4, "H": 16})
    line = made.text.splitlines().index("  D: null") + 1
    assert str(caught.value) == f"{tmp_path}/lstm.yaml:{line}: params.D: has no value: give it one with --set D=..."


def test_letters_of_products_are_params_too(tmp_path: Path) -> None:
    data = topology(tmp_path, f"{GEMM}\nA,M,N,64\n")
    assert data["params"] == {"M": None, "N": None}
    assert (data["inputs"], data["layers"][0]["features"]) == ({"A.in": ["=M", 64]}, "=N")


@pytest.mark.parametrize(
    ("header", "row", "sizes"),
    [
        ("Layers", "A,9,9,3,3,2,4,1,", [1, 2, 9, 9]),
        ("Layer, Y, X, R, S, C, N, U,", "A,9,8,3,3,2,4,1,", [1, 2, 9, 8]),
        ("Layer, rows, cols", "A,5,6,7,", [5, 7]),
        ("Layer, a, b, c, batch, e", "A,5,6,7", [5, 7]),
    ],
)
def test_a_header_of_unknown_words_is_read_by_place_and_says_so(
    tmp_path: Path, header: str, row: str, sizes: list[int]
) -> None:
    path = tmp_path / "net.csv"
    path.write_text(f"{header}\n{row}\n")
    imported = read_topology(path)
    assert imported.data["inputs"] == {"A.in": sizes}
    assert any(note.startswith("Columns read by their place: ") for note in imported.notes)


SIZES = "IFMAP height, IFMAP width, filter height, filter width, channels, filters, stride"
WRONG_TOPOLOGIES = {
    "empty": ("\n \n", "net.csv: is empty"),
    "header only": (CONV, "net.csv: holds no layer"),
    "not a table": (
        "# A report\n\nSome words, and more.\n",
        f"net.csv:1: is no header of a SCALE-Sim topology; expected Layer name, {SIZES}, or Layer name, M, N, K",
    ),
    "no header": (
        "A,5,5,3,3,2,4,1,\n",
        f"net.csv:1: holds a layer where SCALE-Sim skips a header; put a line above it: Layer name, {SIZES}",
    ),
    "no header, product": (
        "A,5,5,3\n",
        "net.csv:1: holds a layer where SCALE-Sim skips a header; put a line above it: Layer name, M, N, K",
    ),
    "layout": (
        "Layer name, IFMAP Height Intraline Factor, IFMAP Width Intraline Factor,\nA, 2, 2,\n",
        "net.csv:1: is the header of a SCALE-Sim layout, not of a topology",
    ),
    "missing column": (
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Num Filter, Strides,\nA,5,5,3,3,4,1,\n",
        f"net.csv:1: missing column 'channels'; expected Layer name, {SIZES}",
    ),
    "missing columns": (
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width,\nA,5,5,3,3,\n",
        f"net.csv:1: missing columns 'channels', 'filters', 'stride'; expected Layer name, {SIZES}",
    ),
    "missing column of a product": (
        "Layer, M, N,\nA,5,5,\n",
        "net.csv:1: missing column 'K'; expected Layer name, M, N, K",
    ),
    "order": (
        "Layer, M, K, N,\nA,5,6,7,\n",
        "net.csv:1: SCALE-Sim reads columns by place: put Layer name, M, N, K, not Layer, M, K, N",
    ),
    "values": (
        f"{CONV}\nA,5,5,3,3,x,0,-1,\n,5,5,3,3,2,4,1.5,\nB,5,5,3\n",
        "net.csv:2: channels: expected a positive integer, not 'x'\n"
        "net.csv:2: filters: expected a positive integer, not '0'\n"
        "net.csv:2: stride: expected a positive integer, not '-1'\n"
        "net.csv:3: layer name: expected a name, not an empty cell\n"
        "net.csv:3: stride: expected a positive integer, not '1.5'\n"
        "net.csv:4: filter width: expected a positive integer, not an empty cell\n"
        "net.csv:4: channels: expected a positive integer, not an empty cell\n"
        "net.csv:4: filters: expected a positive integer, not an empty cell\n"
        "net.csv:4: stride: expected a positive integer, not an empty cell",
    ),
    "a comma too many": (
        f"{CONV}\nA,5,5,3,3,,2 4,-1,\nB,5,5,3,3,,24,1,\n",
        "net.csv:2: channels: expected a positive integer, not an empty cell\n"
        "net.csv:2: filters: expected a positive integer, not '2 4'\n"
        "net.csv:2: stride: expected a positive integer, not '-1'\n"
        "net.csv:3: channels: expected a positive integer, not an empty cell",
    ),
    "a stride beside a letter": (
        f"{CONV}\nA,H,5,3,3,2,4,2,\n",
        "net.csv:2: stride: must be 1 where a size is a letter, not 2: rounding depends on the value",
    ),
    "second stride": (
        f"{CONV}\nA,5,5,3,3,2,4,1,0\n",
        "net.csv:2: stride width: expected a positive integer, not '0'",
    ),
    "batch": (
        f"{CONV} Batch Size,\nA,5,5,3,3,2,4,1,-2\n",
        "net.csv:2: batch: expected a positive integer, not '-2'",
    ),
    "sparsity": (
        f"{CONV} Sparsity,\nA,5,5,3,3,2,4,1,half,\nB,5,5,3,3,2,4,1,0:4,\n",
        "net.csv:2: sparsity: expected N:M, as in '2:4', or 1 for dense, not 'half'\n"
        "net.csv:3: sparsity: expected N:M, as in '2:4', or 1 for dense, not '0:4'",
    ),
    "filter too large": (
        f"{CONV}\nA,3,5,5,7,2,4,1,\n",
        "net.csv:2: filter height: 5 is larger than the IFMAP height, 3; "
        "SCALE-Sim knows no padding, so add it to the IFMAP\n"
        "net.csv:2: filter width: 7 is larger than the IFMAP width, 5; "
        "SCALE-Sim knows no padding, so add it to the IFMAP",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG_TOPOLOGIES.values(), ids=list(WRONG_TOPOLOGIES))
def test_mistakes_in_a_topology_are_told_together(text: str, message: str, tmp_path: Path) -> None:
    assert error(tmp_path, text) == message


GOOD = (DATA / "version3.cfg").read_text()
WRONG_CONFIGS = {
    "dataflow": (
        GOOD.replace("Dataflow : is", "Dataflow : wss"),
        "net.cfg:14: architecture_presets.Dataflow: unknown value 'wss'; did you mean 'ws'? choose from: is, os, ws",
    ),
    "several": (
        GOOD.replace("ArrayHeight:    8", "ArrayHeight: 0")
        .replace("FilterSramSzkB:  32", "FilterSramSzkB:  32 kB")
        .replace("USER", "user"),
        "net.cfg:5: architecture_presets.ArrayHeight: expected a positive integer, not '0'\n"
        "net.cfg:8: architecture_presets.FilterSramSzkB: expected a positive integer, not '32 kB'\n"
        "net.cfg:27: run_presets.InterfaceBandwidth: unknown value 'user'; did you mean 'USER'? "
        "choose from: CALC, USER",
    ),
    "misspelt": (
        GOOD.replace("ArrayWidth", "ArrayWidht").replace("OfmapSramSzkB:   16\n", ""),
        "net.cfg: architecture_presets.ArrayWidth: missing key 'ArrayWidth'; is it the 'ArrayWidht' on line 6?\n"
        "net.cfg: architecture_presets.OfmapSramSzkB: missing key 'OfmapSramSzkB'",
    ),
    "bandwidth": (
        GOOD.replace("12,12,12", "fast, 12"),
        "net.cfg:13: architecture_presets.Bandwidth: expected a positive integer, not 'fast, 12'",
    ),
    "no bandwidth": (
        GOOD.replace("Bandwidth : 12,12,12\n", ""),
        "net.cfg: architecture_presets.Bandwidth: missing key 'Bandwidth'",
    ),
    "no presets": (
        "[general]\nrun_name = x\n[run_presets]\n",
        "net.cfg: has no section [architecture_presets], only [general], [run_presets]",
    ),
    "no sections": (
        "# timing\nstandard = DDR4\n",
        "net.cfg:2: stands under no section; a SCALE-Sim configuration begins with [general]",
    ),
    "no values": (
        "[general]\nrun_name\n[layout]\nmore words\n",
        "net.cfg:2: expected 'Key: value'\nnet.cfg:4: expected 'Key: value'",
    ),
    "duplicate key": (
        "[general]\nrun_name: a\nRUN_NAME: b\n",
        "net.cfg:3: general: duplicate key 'run_name'",
    ),
    "duplicate section": ("[general]\n[general]\n", "net.cfg:2: duplicate section [general]"),
    "empty": ("", "net.cfg: is empty"),
    "only comments": ("# nothing\n", "net.cfg: has no section [architecture_presets], only comments"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG_CONFIGS.values(), ids=list(WRONG_CONFIGS))
def test_mistakes_in_a_configuration_are_told_together(text: str, message: str, tmp_path: Path) -> None:
    assert error(tmp_path, text, "net.cfg") == message


def test_a_configuration_is_known_by_its_section_under_any_suffix(tmp_path: Path) -> None:
    path = tmp_path / "chip.txt"
    path.write_text("; a comment\n\n" + GOOD)
    assert import_scalesim(path).kind == "arch"


def test_files_that_cannot_be_read_are_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_bytes(b"PK\x03\x04\xff\xfe")
    wanted = {".": "is a folder, not a file", "none.csv": "no such file", "sheet.csv": "is not a text file (UTF-8)"}
    for name, message in wanted.items():
        with pytest.raises(ConfigError) as caught:
            import_scalesim(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_an_output_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    source = DATA / "gemm.csv"
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "file").touch()
    wanted = {
        "net.txt": "must end in .yaml",
        "none/net.yaml": "cannot be written: No such file or directory",
        "file/net.yaml": "cannot be written: Not a directory",
        "folder.yaml": "cannot be written: Is a directory",
    }
    for name, message in wanted.items():
        with pytest.raises(ConfigError) as caught:
            import_scalesim(source, tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {message}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.yaml"]


def test_a_failed_import_keeps_the_file_that_was_there(tmp_path: Path) -> None:
    out = tmp_path / "net.yaml"
    out.write_text("name: net\n")
    (tmp_path / "bad.csv").write_text(f"{CONV}\nA,5,5,3\n")
    with pytest.raises(ConfigError):
        import_scalesim(tmp_path / "bad.csv", out)
    assert out.read_text() == "name: net\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "net.yaml"]


words = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.sampled_from(["null", "True", "1e9", "012", "0o7", "NO"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "inputs", "layers"]), values, min_size=1), st.lists(words))
def test_yaml_reads_back_as_the_data_it_was_made_of(data: dict[str, Any], notes: list[str]) -> None:
    assert yamlfile.parse(document.to_yaml(data, notes), "made").data == data


SCALESIM = os.environ.get("TILETICK_SCALESIM", "")


@pytest.mark.skipif(not SCALESIM, reason="TILETICK_SCALESIM names no unpacked source of SCALE-Sim")
def test_every_file_that_scalesim_ships_is_imported(tmp_path: Path) -> None:
    root = Path(SCALESIM)
    files = [*root.glob("**/topologies/**/*.csv"), *root.glob("**/configs/*.cfg")]
    if not files:
        pytest.skip(f"{root} has no topologies and no configs; those on PyPI have none, the repository does")
    for path in sorted(files):
        assert import_scalesim(path, tmp_path / f"{path.stem}.yaml").text
