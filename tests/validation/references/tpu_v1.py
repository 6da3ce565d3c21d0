"""The first TPU: the share of cycles in which its array is active, simulated for MLP0, bounded for all six."""

from collections.abc import Iterator

from sim import arch
from sim.simulate import run
from tests.validation.reference import Case, Reference, rows

APPLICATIONS = rows("figures", "tpu_v1.csv")

def shares() -> Iterator[Case]:
    """Yield the share in percent for five layers of 2000 x 2000 (20 M weights) at batch 200."""
    result = run("tpu_v1", "tpu_mlp0")
    measured = float(next(row for row in APPLICATIONS if row["app"] == "MLP0")["array_active_pct"])
    compute = result.units["array"]["cycles"]["compute"]
    yield Case("MLP0, percent of cycles with the array active", round(100 * compute / result.cycles, 2), measured)


def bounds() -> Iterator[Case]:
    """Yield the roofline of each application: products a weight byte times bandwidth, over the peak, at most all."""
    chip = arch.load("tpu_v1")
    peak = chip.array.rows * chip.array.cols * chip.clock
    for row in APPLICATIONS:
        share = float(row["macs_per_weight_byte"]) * chip.memory.bandwidth / (peak * float(row["rate"]))
        yield Case(f"{row['app']}, percent at most", round(100 * min(1, share), 1), float(row["array_active_pct"]))


ORIGIN = "counters of the chip, Jouppi et al., ISCA 2017, tables 1 and 3"

REFERENCE = [
    Reference(
        order=8,
        title="TPU v1",
        measures="percent of cycles in which the array is active, MLP0 (20 M weights, batch 200)",
        origin=ORIGIN,
        cases=shares,
        why="the roofline of the weight bandwidth (34 GB/s) is 14.8 %; the model keeps the weight memory busy nearly "
        "all the time, while the chip also waits for its host, its instructions and layers before (raw stalls 3.3 %, "
        "input stalls 6.1 %), none of which is modelled or tuned",
        peers="Google's own performance model is off by 6.8 % in time on this application (table 7)",
        listed=True,
    ),
    Reference(
        order=8,
        title="TPU v1, bounds",
        measures="the roofline of each application, which its share of active cycles must not exceed",
        origin=ORIGIN,
        cases=bounds,
        listed=True,
        bound=True,
    ),
]
