"""A check of registers against prediction as text."""

from __future__ import annotations

from sim.report.table import Column, pairs, table
from sim.rtl.check import Check, LayerCheck

COLUMNS = (
    Column("layer", right=False),
    Column("M", spare=2),
    Column("N", spare=2),
    Column("K", spare=2),
    Column("folds", spare=1),
    Column("RTL"),
    Column("predicted"),
    Column("error"),
    Column("product", right=False),
)


def tell(check: Check, width: int) -> str:
    """Return a line a layer and the totals, in lines of `width` characters."""
    title = f"{check.workload} on the array of {check.arch}, register by register\n"
    text = table(COLUMNS, (_row(layer) for layer in check.layers), width)
    return "\n".join([title, text, pairs(_totals(check), width)])


def _row(layer: LayerCheck) -> list[str]:
    grouped = f" x{layer.groups}" if layer.groups > 1 else ""
    return [
        layer.name + grouped, str(layer.m), str(layer.n), str(layer.k), f"{layer.folds:,}", f"{layer.rtl_cycles:,}",
        f"{layer.predicted_cycles:,}", error(layer.predicted_cycles, layer.rtl_cycles),
        f"{layer.mismatches:,} wrong" if layer.mismatches else "correct",
    ]  # fmt: skip


def error(predicted: int, measured: int) -> str:
    """Write the signed error of a prediction in percent of what was measured; 'exact' where there is none."""
    return "exact" if predicted == measured else f"{(predicted - measured) / measured:+.2%}"


def _totals(check: Check) -> list[tuple[str, str]]:
    array = check.array
    knobs = {
        "ws": ("weight_buffers", "swap"), "is": ("weight_buffers", "swap"), "os": ("drain",),
    }[array["dataflow"]]  # fmt: skip
    named = ", ".join(f"{key} {array[key]}" for key in ("sram_read_latency", "output_register", "pe_pipeline", *knobs))
    lines = [
        ("array", f"{array['rows']} x {array['cols']} {array['dataflow']}: {named}"),
        ("cycles", f"{check.rtl_cycles:,} in registers, {check.predicted_cycles:,} predicted: "
                   f"{error(check.predicted_cycles, check.rtl_cycles)}"),
        ("counted", "from the first accepted word to the last valid output, both at the rising edge, inclusive; "
                    "each layer alone, operands always there"),
    ]  # fmt: skip
    if check.skipped:
        lines.append(("left out", f"{', '.join(check.skipped)}: not on the array"))
    return lines
