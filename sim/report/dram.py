"""A run of DRAM controllers as text."""

from __future__ import annotations

from sim.dram.result import DramResult
from sim.report.table import pairs, wrap
from sim.units import show_si

_CAUSES = {
    "data": "data on the bus", "queue": "no request there", "order": "other commands first",
    "refresh": "refresh", "turnaround": "turning between reads and writes", "latency": "latency of the last access",
}  # fmt: skip


def summary(result: DramResult, width: int) -> str:
    """Return the totals, what limits the bandwidth, and the energy, in lines of `width` characters."""
    return wrap(f"{result.device}: {result.description}", width) + "\n" + pairs(_lines(result), width)


def _lines(result: DramResult) -> list[tuple[str, str]]:
    seconds, clock = show_si(result.seconds, "s"), show_si(result.clock_hz, "Hz")
    requests = f"{result.requests:,}: {result.reads:,} reads, {result.writes:,} writes"
    if result.forwarded_reads or result.merged_writes:
        told = f"{result.forwarded_reads:,} reads and {result.merged_writes:,} writes"
        requests += f"; {told} found their burst in the write queue"
    rows = f"{result.row_hits:,} hits ({result.row_hit_rate:.1%}), {result.row_misses:,} misses, "
    commands = f"{result.activates:,} activates, {result.precharges:,} precharges, {result.refreshes:,} refreshes"
    if result.auto_precharges:
        commands += f", {result.auto_precharges:,} precharges with an access"
    bandwidth = f"{result.bandwidth_gbps:.4g} GB/s, {result.bandwidth_utilization:.1%} of {result.peak_gbps:.4g} GB/s"
    lines = [
        ("cycles", f"{result.cycles:,} = {seconds} at {clock}, to the last data"),
        ("requests", requests), ("bandwidth", bandwidth), ("rows", rows + f"{result.row_conflicts:,} conflicts"),
        ("commands", commands), ("data bus", _limiter(result)), ("energy", _energy(result)),
        ("validated", result.validated),
    ]  # fmt: skip
    if result.extrapolated is not None:
        lines.append(("extrapolated", "{after:,} of {requests:,} requests simulated; error at most {bound:.3%}".format(
            requests=result.requests, **result.extrapolated)))  # fmt: skip
    return lines


def _limiter(result: DramResult) -> str:
    shown = [(cause, share) for cause, share in result.limiter.items() if share >= 0.0005]
    return ", ".join(f"{share:.1%} {_CAUSES.get(cause, cause)}" for cause, share in shown)


def _energy(result: DramResult) -> str:
    parts = {name: pj for name, pj in result.energy_pj["by_action"].items() if pj}
    total = result.energy_pj["total"]
    shares = ", ".join(f"{name} {show_si(pj / 1e12, 'J')} ({pj / total:.0%})" for name, pj in parts.items())
    return f"{show_si(total / 1e12, 'J')} by {result.energy_pj['method']}: {shares}"
