"""Generation: a prompt read at once, then token by token behind a cache that grows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from sim.errors import ConfigError, Problem
from sim.result import Result
from sim.simulate import open_both, run

SCHEMA = "tiletick.generation/1"


@dataclass(frozen=True)
class Generation:
    """What generating `tokens` tokens behind `prompt` ones takes, for each sequence of a batch at the same time.

    The prompt's pass gives the first token (time to first token); each further one takes a step behind the cache.
    Steps are simulated at `contexts` and between them taken as linear in the context; `exact` says that none was.
    """

    arch: str
    workload: str
    batch: int
    prompt: int
    tokens: int
    ttft_seconds: float
    tpot_seconds: float
    """Mean time of a token behind the first; zero where there is one token only."""
    first_step_seconds: float
    last_step_seconds: float
    seconds: float
    tokens_per_second: float
    """New tokens of all sequences by the time of everything."""
    energy_pj: float
    kv_bytes_per_token: int
    """Growth of the cache of one sequence with a token, in the chip's format of keys and values."""
    kv_bytes: int
    """The caches of all sequences at the end."""
    contexts: tuple[int, ...]
    exact: bool
    not_modelled: tuple[dict[str, Any], ...]

    def to_json(self) -> str:
        """Return the figures as JSON text, `schema` first; equal runs give equal bytes."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1) + "\n"


def generate(
    arch: str,
    network: str,
    prompt: int,
    tokens: int,
    overrides: Mapping[str, Any] | None = None,
    samples: int = 4,
    progress: Callable[[int, int, str], None] | None = None,
) -> Generation:
    """Return how long `network` on `arch` takes to read `prompt` tokens and to make `tokens` new ones.

    `samples` steps are simulated, all of them where there are no more. Raises ConfigError where the network has no
    phases, or a count is below one; what `run` raises otherwise.
    """
    for name, count, least in (("prompt", prompt, 1), ("tokens", tokens, 1), ("samples", samples, 2)):
        if count < least:
            raise ConfigError(Problem(f"must be at least {least}, not {count}", key=name))
    settings = dict(overrides or {})
    chip, graph, _ = open_both(arch, network, settings)
    if not {"phase", "context"} <= set(graph.params):
        raise ConfigError(Problem(
            f"'{graph.name}' has no phases: generation needs a network with the params phase and context, as gpt2 has"
        ))  # fmt: skip
    steps = tokens - 1
    contexts = _spread(prompt, steps, samples)
    passes = [("prefill", prompt), *(("decode", context) for context in contexts)]
    results = []
    for index, (phase, context) in enumerate(passes):
        if progress:
            progress(index, len(passes), f"{phase} at {context}")
        results.append(run(arch, network, {**settings, "phase": phase, "context": context}))
    first, others = results[0], results[1:]
    decode = _sum([result.seconds for result in others], contexts)
    energy = first.energy_pj["total"] + _sum([result.energy_pj["total"] for result in others], contexts)
    batch = int(graph.params.get("batch", 1))
    growth = chip.bytes_of("kv", graph.cache_elements)
    seconds = first.seconds + decode
    return Generation(
        arch=first.arch, workload=first.workload, batch=batch, prompt=prompt, tokens=tokens,
        ttft_seconds=first.seconds, tpot_seconds=decode / steps if steps else 0.0,
        first_step_seconds=others[0].seconds if others else 0.0, last_step_seconds=_last(others),
        seconds=seconds, tokens_per_second=batch * tokens / seconds, energy_pj=energy,
        kv_bytes_per_token=growth, kv_bytes=growth * batch * (prompt + steps), contexts=tuple(contexts),
        exact=len(contexts) == steps, not_modelled=first.not_modelled,
    )  # fmt: skip


def _last(results: Sequence[Result]) -> float:
    return results[-1].seconds if results else 0.0


def _spread(prompt: int, steps: int, samples: int) -> list[int]:
    """Return the contexts to simulate: of all steps the first, the last, and others evenly between them."""
    count = min(samples, steps)
    if count < 2:
        return [prompt] * count
    return sorted({prompt + round(i * (steps - 1) / (count - 1)) for i in range(count)})


def _sum(values: Sequence[float], contexts: Sequence[int]) -> float:
    """Return the sum over every context from the first to the last, linear between those that are known."""
    total = values[0] if values else 0.0
    for (a, left), (b, right) in pairwise(zip(contexts, values, strict=True)):
        total += sum(left + (right - left) * (at - a) / (b - a) for at in range(a + 1, b + 1))
    return total
