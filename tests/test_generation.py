"""Generation: phases add up, the cache grows as it must, and what has no phases is told."""

from __future__ import annotations

import json

import pytest

from sim.cli import main
from sim.errors import ConfigError
from sim.generation import generate
from sim.simulate import run

SMALL = {"depth": 1, "hidden": 64, "heads": 4, "vocab": 100}


def test_generation_is_a_prefill_and_its_decode_steps() -> None:
    found = generate("edge_tpu_like", "gpt2", 16, 4, SMALL)
    steps = [run("edge_tpu_like", "gpt2", {**SMALL, "phase": "decode", "context": c}) for c in (16, 17, 18)]
    prefill = run("edge_tpu_like", "gpt2", {**SMALL, "context": 16})
    assert found.exact and found.contexts == (16, 17, 18)
    assert found.ttft_seconds == prefill.seconds
    assert found.seconds == pytest.approx(prefill.seconds + sum(step.seconds for step in steps))
    assert found.tpot_seconds == pytest.approx(sum(step.seconds for step in steps) / 3)
    assert found.tokens_per_second == pytest.approx(4 / found.seconds)
    assert found.energy_pj == pytest.approx(sum(r.energy_pj["total"] for r in (prefill, *steps)))


def test_steps_between_the_simulated_ones_are_linear_in_the_context() -> None:
    exact = generate("edge_tpu_like", "gpt2", 100, 13, SMALL, samples=12)
    few = generate("edge_tpu_like", "gpt2", 100, 13, SMALL, samples=2)
    assert exact.exact and not few.exact and few.contexts == (100, 111)
    assert few.first_step_seconds == exact.first_step_seconds and few.last_step_seconds == exact.last_step_seconds
    assert few.tpot_seconds == pytest.approx((few.first_step_seconds + few.last_step_seconds) / 2)
    assert few.seconds == pytest.approx(exact.seconds, rel=0.02)


def test_the_cache_grows_with_tokens_and_batch_in_its_format() -> None:
    narrow = generate("edge_tpu_like", "gpt2", 8, 3, SMALL)
    wide = generate("edge_tpu_like", "gpt2", 8, 3, SMALL | {"precision.kv": "bf16", "batch": 4})
    assert narrow.kv_bytes_per_token == 2 * 64
    assert narrow.kv_bytes == 2 * 64 * (8 + 2)
    assert wide.kv_bytes == 4 * 2 * narrow.kv_bytes


def test_one_token_needs_the_prompt_alone() -> None:
    found = generate("edge_tpu_like", "gpt2", 8, 1, SMALL)
    assert found.seconds == found.ttft_seconds and found.tpot_seconds == 0 and found.exact


@pytest.mark.parametrize(
    ("network", "tokens", "message"),
    [
        ("resnet18", 2, "'resnet18' has no phases: generation needs a network with the params phase and context, as "
         "gpt2 has"),
        ("gpt2", 0, "tokens: must be at least 1, not 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_generated_is_told(network: str, tokens: int, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        generate("edge_tpu_like", network, 8, tokens)
    assert str(error.value) == message


def test_the_command_prints_the_figures_or_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", "edge_tpu_like", "gpt2", "--prompt", "8", "--tokens", "3"]
    words += [f"--set={key}={value}" for key, value in SMALL.items()]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "(TTFT), the whole prompt of 8 tokens" in printed
    assert "(TPOT)" in printed and "every step simulated" in printed
    assert main([*words, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["kv_bytes"] == 2 * 64 * 10
