"""What generating text takes, as text."""

from __future__ import annotations

from sim.generation import Generation
from sim.report.table import pairs
from sim.units import show_bytes, show_si


def generation_text(found: Generation, width: int) -> str:
    """Return what `generate` prints, in lines of `width` characters."""
    sequences = f"{found.batch:,} sequences at once" if found.batch > 1 else "one sequence"
    steps = "every step simulated" if found.exact else (
        f"steps simulated behind {', '.join(f'{context:,}' for context in found.contexts)} tokens, linear between them"
    )  # fmt: skip
    first, last = (show_si(seconds, "s") for seconds in (found.first_step_seconds, found.last_step_seconds))
    lines = [
        ("first token", f"{show_si(found.ttft_seconds, 's')} (TTFT), the whole prompt of {found.prompt:,} tokens"),
        ("a token", f"{show_si(found.tpot_seconds, 's')} on average (TPOT), from {first} to {last}; {steps}"),
        ("throughput", f"{found.tokens_per_second:,.2f} tokens a second with the prompt's time, {sequences}"),
        ("all", f"{show_si(found.seconds, 's')} for {found.tokens:,} new tokens"),
        ("energy", f"{show_si(found.energy_pj * 1e-12, 'J')}, of which a token "
         f"{show_si(found.energy_pj * 1e-12 / (found.tokens * found.batch), 'J')}"),
        ("KV cache", f"{show_bytes(found.kv_bytes)} at the end, {found.kv_bytes_per_token:,} B a token"),
    ]  # fmt: skip
    if found.tokens == 1:
        del lines[1]
    return f"{found.workload} on {found.arch}\n\n" + pairs(lines, width)
