"""SCALE-Sim's files as this project's own: a topology CSV to a workload, a .cfg to an architecture.

Where its conventions differ from the field's is said in the written file, as comments, and in the report:
output sizes round up, nothing is padded, a layer with "DP" in its name is depthwise, "Total Cycles" are the
sum over folds minus 1 with K + R + C - 2 or 2R + C + T - 2 cycles a fold, and output writes of output
stationary are counted more than once. The CONVENTIONS of scalesim_topology and scalesim_config say it in full.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sim.errors import ConfigError, Problem
from sim.importers.document import Report, read_text, to_yaml, write
from sim.importers.scalesim_config import read_config
from sim.importers.scalesim_topology import read_topology


def import_scalesim(path: str | Path, out: str | Path | None = None) -> Report:
    """Write the SCALE-Sim topology or configuration in `path` to the YAML file `out`, and report on it.

    A configuration is told by its suffix .cfg, or by a section on its first line. Without `out`
    nothing is written, and the report holds the text. Counts of a workload: layers, products, depthwise, rounded_up
    and, but for templates, macs; of an arch: keys, not_modelled. Raises ConfigError with every problem of the file.
    """
    source, target = Path(path), None if out is None else Path(out)
    if target is not None and target.suffix not in (".yaml", ".yml"):
        raise ConfigError(Problem("must end in .yaml", file=str(target)))
    config = _is_config(source)
    read = read_config if config else read_topology
    made = read(source, "" if target is None else target.stem)
    text = to_yaml(made.data, made.notes) if target is None else write(made.data, target, made.notes)
    missing = [f"{entry['what']}: {', '.join(entry['where'])}" for entry in made.data.get("not_modelled", ())]
    missing += [note.removeprefix("Not modelled, of ") for note in made.notes if note.startswith("Not modelled, of ")]
    kind: Literal["arch", "workload"] = "arch" if config else "workload"
    return Report(kind, source, target, text, made.notes, made.counts, tuple(missing))


def _is_config(path: Path) -> bool:
    lines = (line.strip() for line in read_text(path).splitlines())
    first = next((line for line in lines if line and not line.startswith(("#", ";"))), "")
    return first.startswith("[") or path.suffix == ".cfg"
