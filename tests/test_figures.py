"""Figures that others measured, through the public call: 70 register-transfer runs, 45 layers of SCALE-Sim."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sim.importers.scalesim import import_scalesim
from sim.simulate import run

FIGURES = Path(__file__).parent / "data" / "figures"


def rows(name):
    lines = (FIGURES / name).read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


RTL = rows("rtl_systolic_gemm.csv")
SCALESIM = rows("scale_sim_small_layers.csv")
KNOBS = {
    ("ws", "0"): {"weight_buffers": 1},
    ("ws", "1"): {"weight_buffers": 2, "swap": "wave"},
    ("ws", "2"): {"weight_buffers": 2, "swap": "global"},
    ("os", "0"): {"drain": "serial"},
    ("os", "1"): {"drain": "overlap"},
}
CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
GEMM = "Layer, M, N, K,\n"


def test_all_rows_are_there():
    assert (len(RTL), len(SCALESIM)) == (70, 45)


@pytest.mark.parametrize("row", RTL, ids=lambda r: "-".join(r[k] for k in ("array", "mode", "R", "C", "M", "K", "N")))
def test_cycles_equal_those_of_registers(row):
    knobs = {"rows": int(row["R"]), "cols": int(row["C"]), "dataflow": row["array"], **KNOBS[row["array"], row["mode"]]}
    result = run("array", f"gemm:{row['M']}x{row['N']}x{row['K']}", knobs)
    assert result.cycles == int(row["total_cycles"])
    assert result.macs == int(row["M"]) * int(row["N"]) * int(row["K"])


@pytest.mark.parametrize("row", SCALESIM, ids=lambda r: f"{r['id']}-{r['kind']}-{r['dataflow']}")
def test_layers_equal_those_of_scalesim(row, tmp_path):
    """Cycles, mapping efficiency and operand reads are exact; products that are written are counted once."""
    columns = ("H_or_M", "W_or_N", "R_or_K", "S", "C", "N", "stride")
    sizes = [row[column] for column in (columns if row["kind"] == "conv" else columns[:3])]
    (tmp_path / "net.csv").write_text((CONV if row["kind"] == "conv" else GEMM) + f"layer, {', '.join(sizes)},\n")
    import_scalesim(tmp_path / "net.csv", tmp_path / "net.yaml")
    knobs = {"rows": int(row["array_rows"]), "cols": int(row["array_cols"]), "dataflow": row["dataflow"]}
    result = run("array", str(tmp_path / "net.yaml"), {**knobs, "convention": "scalesim"})
    m, n, k = (int(row[f"gemm_{dim}"]) for dim in "MNK")
    assert result.macs == m * n * k
    assert result.cycles == int(row["total_cycles"]) + 1
    assert 100 * result.mapping_efficiency == pytest.approx(float(row["mapping_eff_pct"]), abs=1e-6)
    sram = result.traffic_bytes["sram"]
    assert sram["read"]["input"] == int(row["sram_ifmap_reads"])
    assert sram["read"]["weight"] == int(row["sram_filter_reads"])
    sums = sram["write"]["output"] // 4  # of 32 bits each
    if row["dataflow"] == "os":
        assert sums == m * n <= int(row["sram_ofmap_writes"])  # it also counts sums that are still in the PEs
    else:
        assert sums == int(row["sram_ofmap_writes"])
