"""CPU seconds of `sim.run` for chips and networks of the library, each in a fresh process.

    python tests/perf/presets.py [ARCH,ARCH...] [NETWORK,NETWORK...]
"""

import json
import sys
from pathlib import Path

from child import cost

from sim import library

NETWORKS = "alexnet,resnet50,mobilenet_v2,densenet121,unet"
INSIDE = str(Path(__file__).resolve().parent / "inside.py")


def main(archs: str = "", networks: str = NETWORKS) -> None:
    """Print a row for each chip: seconds of the first call, and the most memory over its networks."""
    names = networks.split(",")
    print("| chip |", " | ".join(names), "| peak MB |\n|" + "---|" * (len(names) + 2))
    for chip in archs.split(",") if archs else library.names("arch"):
        figures = [json.loads(cost([sys.executable, INSIDE, chip, name, "*", "0"]).output) for name in names]
        seconds = " | ".join(f"{each['first_s']:.2f}" for each in figures)
        print(f"| {chip} | {seconds} | {max(each['peak_mb'] for each in figures):.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
