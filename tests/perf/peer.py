"""Times SCALE-Sim on one layer after another; run by the peer's own interpreter, which has no `sim`.

    python peer.py FOLDER CONFIG LAYOUT TOPOLOGY...

Prints one JSON line for the import and one for each TOPOLOGY, so that a run cut short still tells something.
"""

import contextlib
import csv
import io
import json
import resource
import sys
import time
from pathlib import Path

START = time.process_time()
from scalesim.scale_sim import scalesim  # noqa: E402  the import is what is timed here

IMPORT = time.process_time() - START


def report(**figures: object) -> None:
    """Print one line of figures, with the most memory held so far in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**figures, "peak_mb": round(peak, 1)}), flush=True)


def cycles(folder: Path) -> dict[str, int]:
    """Return the total and the stall cycles that SCALE-Sim reports for its only layer."""
    with open(next(folder.rglob("COMPUTE_REPORT.csv")), encoding="utf-8") as file:
        row = {key.strip(): value for key, value in next(csv.DictReader(file)).items() if key}
    return {key: int(float(row[f"{key.capitalize()} Cycles"])) for key in ("total", "stall")}


def main(folder: str, config: str, layout: str, *topologies: str) -> None:
    """Simulate each topology, traces off, and report its CPU seconds."""
    report(what="import", cpu_s=IMPORT)
    for topology in topologies:
        out = Path(folder) / Path(topology).stem
        out.mkdir()
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            simulation = scalesim(save_disk_space=True, verbose=False, config=config, topology=topology, layout=layout)
            simulation.run_scale(top_path=str(out))
        report(what=Path(topology).stem, cpu_s=time.process_time() - start, **cycles(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
