"""A model's config.json as a workload: the published totals come out, and what is wrong with the file is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim.cli import main
from sim.errors import ConfigError
from sim.importers.hf import FAMILIES, import_hf
from sim.workload import load


def decoder(kind: str, hidden: int, depth: int, heads: int, kv_heads: int, vocab: int, **more: Any) -> dict[str, Any]:
    return {
        "model_type": kind, "hidden_size": hidden, "num_hidden_layers": depth, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "vocab_size": vocab, "hidden_act": "silu", **more,
    }  # fmt: skip


LLAMA_2_70B = decoder("llama", 8192, 80, 64, 8, 32000, intermediate_size=28672, rms_norm_eps=1e-5)
CONFIGS: dict[str, tuple[dict[str, Any], int, int]] = {
    "llama": (LLAMA_2_70B, 68_976_648_192, 327_680),
    "mistral": (decoder("mistral", 4096, 32, 32, 8, 32000, intermediate_size=14336, sliding_window=4096),
                7_241_732_096, 131_072),
    "qwen2": (decoder("qwen2", 8192, 80, 64, 8, 152064, intermediate_size=29568, use_sliding_window=False),
              72_706_203_648, 327_680),
    "qwen3": (decoder("qwen3", 4096, 36, 32, 8, 151936, intermediate_size=12288, head_dim=128), 8_190_735_360, 147_456),
    "qwen3_moe": (decoder("qwen3_moe", 2048, 48, 32, 4, 151936, head_dim=128, num_experts=128, num_experts_per_tok=8,
                          moe_intermediate_size=768, norm_topk_prob=True, mlp_only_layers=[]), 30_532_122_624, 98_304),
    "mixtral": (decoder("mixtral", 4096, 32, 32, 8, 32000, intermediate_size=14336, num_local_experts=8,
                        num_experts_per_tok=2, sliding_window=None), 46_702_792_704, 131_072),
    "olmoe": (decoder("olmoe", 2048, 16, 16, 16, 50304, intermediate_size=1024, num_experts=64,
                      num_experts_per_tok=8), 6_919_161_856, 131_072),
    "deepseek_v3": (decoder("deepseek_v3", 7168, 61, 128, 128, 129280, intermediate_size=18432, q_lora_rank=1536,
                            kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128,
                            n_routed_experts=256, n_shared_experts=1, num_experts_per_tok=8, first_k_dense_replace=3,
                            moe_intermediate_size=2048, num_nextn_predict_layers=1), 671_026_419_200, 70_272),
    "deepseek_v2": (decoder("deepseek_v2", 2048, 27, 16, 16, 102400, intermediate_size=10944, q_lora_rank=None,
                            kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128,
                            n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6, first_k_dense_replace=1,
                            moe_intermediate_size=1408), 15_706_484_224, 31_104),
    "gpt2": ({"model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25, "vocab_size": 50257,
              "n_positions": 1024, "activation_function": "gelu_new"}, 1_557_611_200, 307_200),
    "bert": ({"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
              "intermediate_size": 3072, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
              "hidden_act": "gelu"}, 109_482_240, 0),
    "vit": ({"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
             "intermediate_size": 3072, "image_size": 224, "patch_size": 16}, 86_567_656, 0),
}  # fmt: skip
"""Fields of the published config.json, and the parameters and KV bytes a token in bf16 that the model has."""


def test_every_family_is_tested() -> None:
    assert set(CONFIGS) == set(FAMILIES)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_a_published_config_gives_the_published_totals(kind: str, tmp_path: Path) -> None:
    config, parameters, kv_bytes = CONFIGS[kind]
    (tmp_path / "config.json").write_text(json.dumps(config | {"torch_dtype": "bfloat16"}))
    out = tmp_path / "mine.yaml"
    report = import_hf(tmp_path / "config.json", out)
    network = load(str(out))
    assert network.parameters == report.counts["parameters"] == parameters
    assert 2 * network.cache_elements == kv_bytes


def test_a_sliding_window_reaches_the_attention_layers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["mistral"][0]))
    import_hf(tmp_path / "config.json", tmp_path / "mine.yaml")
    network = load(str(tmp_path / "mine.yaml"), {"phase": "decode", "context": 10000, "depth": 1})
    assert next(node.macs for node in network.nodes if node.op_name == "attention") == 2 * 32 * 128 * 4096


def test_what_the_network_leaves_out_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["deepseek_v3"][0]))
    import_hf(tmp_path / "config.json", tmp_path / "mine.yaml")
    assert [entry["what"] for entry in load(str(tmp_path / "mine.yaml")).not_modelled] == ["multi-token prediction"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "lama"}, "model_type: unknown model type 'lama'; did you mean 'llama'? choose from: "
         + ", ".join(sorted(FAMILIES))),
        ({"model_type": None}, "missing field 'model_type'; choose from: " + ", ".join(sorted(FAMILIES))),
        ({"intermediate_size": None}, "missing field 'intermediate_size', which a llama needs"),
        ({"vocab_size": "many"}, 'vocab_size: expected a whole number, not "many"'),
        ({"num_hidden_layers": 0}, "num_hidden_layers: expected a whole number above zero, not 0"),
        ({"hidden_size": True}, "hidden_size: expected a whole number, not true"),
        ({"head_dim": "wide"}, 'head_dim: expected a whole number, not "wide"'),
        ({"num_key_value_heads": 0}, "num_key_value_heads: expected a whole number above zero, not 0"),
        ({"rope_theta": -1}, "rope_theta: expected a number above zero, not -1"),
        ({"tie_word_embeddings": "yes"}, 'tie_word_embeddings: expected true or false, not "yes"'),
        ({"hidden_act": "gelu"}, 'hidden_act: "gelu" is not modelled for a llama, only "silu"'),
        ({"num_key_value_heads": 7}, "layer 'layer.0.attn' (attention): 7 key and value heads do not divide 64 heads"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_config_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    config = {key: value for key, value in (LLAMA_2_70B | change).items() if value is not None}
    path.write_text(json.dumps(config))
    with pytest.raises(ConfigError) as error:
        import_hf(path)
    first = str(error.value).splitlines()[0]
    assert first.startswith(f"{path}: {message}")


def test_a_file_that_is_no_json_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{\n"model_type": llama}\n')
    with pytest.raises(ConfigError) as error:
        import_hf(path)
    assert str(error.value) == f"{path}:2: is not valid JSON: Expecting value"
    path.write_text("[1]")
    with pytest.raises(ConfigError) as error:
        import_hf(path)
    assert str(error.value) == f"{path}: must hold keys and values, as a config.json does"


def test_the_command_writes_the_workload_and_says_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["gpt2"][0]))
    assert main(["import", "hf", str(tmp_path / "config.json"), "-o", str(tmp_path / "xl.yaml")]) == 0
    said = capsys.readouterr().out
    assert "1,557,611,200 parameters, 307,200 bytes of KV cache a token in bf16" in said


def test_strict_refuses_what_is_not_modelled_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "config.json", tmp_path / "mine.yaml"
    source.write_text(json.dumps(CONFIGS["deepseek_v3"][0]))
    assert main(["import", "hf", str(source), "-o", str(out), "--strict"]) == 2
    assert capsys.readouterr().err == f"{source}: not modelled: multi-token prediction\n"
    assert not out.exists()
    source.write_text(json.dumps(CONFIGS["deepseek_v2"][0]))
    assert main(["import", "hf", str(source), "-o", str(out), "--strict"]) == 0
    assert out.exists()
