"""Times `sim.run` inside one process: the import, the first call, and the median of those that follow.

    python tests/perf/inside.py ARCH WORKLOAD [LAYERS]

Prints one JSON line. Every call reads the YAML, searches the mappings and simulates anew: nothing is kept
between calls but loaded modules and the small tables that any second call in a notebook or a sweep finds.
"""

import json
import resource
import sys
import time
from statistics import median

START = time.process_time()
from sim.simulate import run  # noqa: E402  the import is what is timed here

IMPORT = time.process_time() - START


def main(arch: str, network: str, layers: str | None = None, again: int = 3) -> None:
    """Run `again` times more after the first time, and print the CPU seconds."""
    seconds = []
    for _ in range(1 + again):
        start = time.process_time()
        result = run(arch, network, layers=layers)
        seconds.append(time.process_time() - start)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kibibytes
    figures = {
        "import_s": IMPORT, "first_s": seconds[0], "again_s": median(seconds[1:]) if again else None,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
        "cycles": result.cycles, "layers": {layer.name: layer.cycles for layer in result.layers},
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:5]))
