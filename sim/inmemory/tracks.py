"""Who did what when: a track for the banks and one for the companion, from what became of the jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.inmemory.account import BUFFER, WORDS, Account
from sim.inmemory.schedule import Turn
from sim.timeline import Ledger, Timeline

FINEST = 1000
"""Parts of a run: a program that reads its results more often is cut no finer."""


def timeline(account: Account) -> Timeline:
    """Return the timeline of a run: a program of the banks in as many like parts as it reads results.

    Within a part causes lie behind each other; the commands of a part take turns many times.
    """
    ledgers = {account.banks: _ledger([done.banks for done in account.done], account.cycles)}
    if account.companion:
        ledgers[account.companion] = _ledger([done.lanes for done in account.done], account.cycles)
    found = account.buffers()
    kept = {account.banks: [found[account.banks]["peak_bytes"]] * len(account.done),
            BUFFER: [account.widest(done) for done in account.done], account.sram: _live(account)}  # fmt: skip
    spans, peaks = [(d.start, d.end) for d in account.done], {name: each["peak_bytes"] for name, each in found.items()}
    return Timeline(account.cycles, ledgers, spans, peaks, kept=kept)


def _ledger(jobs: Sequence[Sequence[Turn]], total: int) -> Ledger:
    """Return the ledger of a unit whose turns are given job by job; what lies behind the end is left out."""
    ledger = Ledger(slices=[])
    for index, turns in enumerate(jobs):
        for turn in turns:
            for clocks, cause in _parts(turn, total):
                ledger.advance(min(total, ledger.until + clocks), index, WORDS[cause])
    ledger.advance(total, -1, "idle")
    return ledger


def _parts(turn: Turn, total: int) -> Iterator[tuple[int, str]]:
    """Yield the clocks of a turn and what they go to, part by part."""
    clocks, parts = turn
    parts = max(1, min(parts, FINEST * sum(clocks.values()) // max(1, total)))
    for part in range(parts):
        yield from ((count * (part + 1) // parts - count * part // parts, cause) for cause, count in clocks.items())


def _live(account: Account) -> list[int]:
    """Return the bytes that the SRAM keeps while each job runs."""
    live = account.schedule.live
    return [max((live.get(tensor, 0) for tensor in done.job.writes), default=0) for done in account.done]
