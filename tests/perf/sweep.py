"""What a sweep costs. Prints the tables of reports/sweeps.md (some minutes).

    python tests/perf/sweep.py [SAMPLES]

CPU seconds, which count what was done however busy the machine is. `SAMPLES` groups of alike points of the library's
sweep of ResNet-50 are simulated, one out of each of as many equal parts of its space, chosen by a seed.
"""

import random
import resource
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from time import monotonic, process_time, sleep
from typing import Any

from sim.mapper import Trials
from sim.simulate import simulate
from sim.sweep import Sweep, evaluate, run_sweep
from sim.sweep.batches import alike, alike_together
from sim.sweep.pruning import lower_bounds

SMALL = {
    "name": "small", "arch": "edge_tpu_like_simple", "workloads": ["conv:64,28,28,64,3,3,pad=1", "gemm:512x512x512"],
    "axes": {"array.rows": [32, 64], "array.cols": [32, 64], "array.dataflow": ["ws", "os"],
             "activations.keep": ["64 KiB", "128 KiB", "256 KiB"], "weights.capacity": ["64 KiB", "1 MiB"]},
}  # fmt: skip
SLEEP = 0.2
"""Seconds of a synthetic simulation, which needs no processor: what remains is the sweep's own doing."""


def points(samples: int) -> None:
    """Print what points of ResNet-50 cost, and the memory that they took."""
    sweep = Sweep("resnet50_systolic")
    order, kind = alike_together(sweep.space), alike(sweep.space)
    groups, rng = list(dict.fromkeys(kind[order].tolist())), random.Random(7)
    share = len(groups) // samples
    total, count = 0.0, 0
    print("| rows, cols, dataflow, bandwidth | CPU s a point |\n|---|---|")
    for part in range(samples):
        group = rng.choice(groups[part * share : (part + 1) * share])
        members = [int(point) for point in order if kind[point] == group]
        works = [work for point in members for work in sweep.works(point)]
        start = process_time()
        evaluate.evaluate(works)
        taken, count = process_time() - start, count + len(members)
        total += taken
        where = ", ".join(str(value) for value in list(sweep.space.settings(members[0]).values())[:4])
        print(f"| {where} | {taken / len(members):.3f} |", flush=True)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    minutes = total / count * sweep.space.size / 2 / 60
    print(f"\n{count} points: {total / count:.3f} CPU s a point, {megabytes:.0f} MB;"
          f" {sweep.space.size:,} points on two cores: {minutes:.0f} minutes\n")  # fmt: skip


def bounds() -> None:
    """Print how many designs are bounded in a minute."""
    sides = [8 * i for i in range(1, 33)]
    sweep = Sweep({
        "name": "s", "arch": "edge_tpu_like_simple", "workloads": ["resnet50"],
        "objectives": ["cycles", "energy", "area"],
        "axes": {"array.rows": sides, "array.cols": sides, "array.dataflow": ["ws", "os", "is"],
                 "memory.bandwidth": ["6.4 GB/s", "12.8 GB/s", "25.6 GB/s", "51.2 GB/s"],
                 "activations.capacity": ["2.5 MiB", "4 MiB"], "weights.capacity": ["128 KiB", "512 KiB", "2 MiB"],
                 "accumulators.capacity": ["128 KiB", "512 KiB", "2 MiB"]},
    })  # fmt: skip
    start = process_time()
    lower_bounds(sweep)
    taken = process_time() - start
    print(f"{sweep.space.size:,} designs bounded in {taken:.1f} CPU s: {sweep.space.size / taken * 60:,.0f} a minute\n")


def overhead() -> None:
    """Print the CPU time that a sweep spends around its simulations: once, and for each of them."""
    spent = 0.0

    def timed(*args: Any, **kwargs: Any) -> Any:
        nonlocal spent
        start = process_time()
        try:
            return simulate(*args, **kwargs)
        finally:
            spent += process_time() - start

    start = process_time()
    Sweep(SMALL)
    opening = process_time() - start
    whole = _with(timed, lambda: _cpu(1))
    each = (whole - spent - opening) / 96
    print(f"around a simulation: {1000 * each:.2f} ms (under 5 % of one from {20_000 * each:.0f} ms on);"
          f" to open the sweep: {1000 * opening:.0f} ms\n")  # fmt: skip


def cores() -> None:
    """Print how much faster two processes are: on simulations that only wait, and by the CPU time of true ones."""
    chip_result = list[Any]()

    def waits(*args: Any, **kwargs: Any) -> Any:
        if not chip_result:
            chip_result.append(simulate(*args, **kwargs))
        sleep(SLEEP)
        return chip_result[0]

    one, two = (_with(waits, partial(_wall, jobs)) for jobs in (1, 2))
    print(f"synthetic simulations of {SLEEP} s: two processes are {one / two:.2f} times one")
    before = _cpu(1)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = _cpu(2)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    workers = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    print(f"true ones: {workers + own:.2f} CPU s in two workers ({workers:.2f}) and their parent, {before:.2f} in one:"
          f" at best {2 * before / (workers + own):.2f} times one")  # fmt: skip


def _cpu(jobs: int) -> float:
    """Return the CPU seconds of this process in a small sweep, nothing remembered from the one before."""
    start = process_time()
    _sweep(jobs)
    return process_time() - start


def _wall(jobs: int) -> float:
    start = monotonic()
    _sweep(jobs)
    return monotonic() - start


def _sweep(jobs: int) -> None:
    setattr(evaluate, "_TRIALS", Trials())  # noqa: B010
    with tempfile.TemporaryDirectory() as folder:
        run_sweep(SMALL, out=folder, jobs=jobs)


def _with(stand_in: Callable[..., Any], act: Callable[[], float]) -> float:
    """Return what `act` does with another simulation."""
    setattr(evaluate, "simulate", stand_in)  # noqa: B010
    try:
        return act()
    finally:
        setattr(evaluate, "simulate", simulate)  # noqa: B010


if __name__ == "__main__":
    bounds()
    overhead()
    cores()
    points(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
