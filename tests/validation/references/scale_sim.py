"""Small layers on SCALE-Sim v3, under its way of counting."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from sim.importers.scalesim import import_scalesim
from sim.simulate import run
from tests.validation.reference import Case, Reference, rows

HEADS = {
    "conv": "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n",
    "gemm": "Layer, M, N, K,\n",
}
COLUMNS = {"conv": ("H_or_M", "W_or_N", "R_or_K", "S", "C", "N", "stride"), "gemm": ("H_or_M", "W_or_N", "R_or_K")}


def cases() -> Iterator[Case]:
    """Yield the cycles of layers that its importer reads; it prints the index of the last cycle, one less."""
    with tempfile.TemporaryDirectory() as folder:
        sheet, network = Path(folder) / "net.csv", Path(folder) / "net.yaml"
        for row in rows("figures", "scale_sim_small_layers.csv"):
            sizes = ", ".join(row[column] for column in COLUMNS[row["kind"]])
            sheet.write_text(f"{HEADS[row['kind']]}layer, {sizes},\n")
            import_scalesim(sheet, network)
            knobs = {"rows": int(row["array_rows"]), "cols": int(row["array_cols"]), "dataflow": row["dataflow"]}
            result = run("array", str(network), {**knobs, "convention": "scalesim"})
            yield Case(f"{row['kind']} {sizes} {knobs}", result.cycles, int(row["total_cycles"]) + 1)


REFERENCE = Reference(
    order=3,
    title="SCALE-Sim v3",
    measures="cycles of small convolutions and products, output, weight and input stationary",
    origin="scalesim 3.0.0, ideal memory; `convention: scalesim`",
    cases=cases,
)
