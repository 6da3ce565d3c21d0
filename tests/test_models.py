"""Language models: published figures, phases, cache and experts, on a chip."""

from __future__ import annotations

import pytest

from sim.errors import ConfigError
from sim.library import names
from sim.simulate import run
from sim.workload import load

KV_BYTES = {
    "deepseek_v3": 70_272, "llama_3_1_405b": 516_096, "qwen2_5_72b": 327_680,  # ISCA 2025, Insights into DeepSeek-V3
    "llama_2_7b": 524_288, "llama_2_70b": 327_680, "llama_3_8b": 131_072, "mixtral_8x7b": 131_072,
    "qwen3_30b_a3b": 98_304, "olmoe_1b_7b": 131_072,
    "gpt2": 36_864, "gpt2_medium": 98_304, "gpt2_large": 184_320, "gpt2_xl": 307_200,
    "gpt3_small": 36_864, "gpt3_medium": 98_304, "gpt3_large": 147_456, "gpt3_xl": 196_608,
}  # fmt: skip
"""Bytes by which the KV cache grows with a token in bf16: 2 x layers x heads of keys x size x 2 B, or as published."""

PARAMETERS = {
    "bert_base": 109_482_240, "deepseek_v3": 671_026_419_200, "deit_t": 5_717_416, "dit_xl_2": 675_129_632,
    "gpt2": 124_439_808, "gpt2_large": 774_030_080, "gpt2_medium": 354_823_168, "gpt2_xl": 1_557_611_200,
    "llama_2_70b": 68_976_648_192, "llama_2_7b": 6_738_415_616, "llama_3_1_405b": 405_853_388_800,
    "llama_3_8b": 8_030_261_248, "mixtral_8x7b": 46_702_792_704, "olmoe_1b_7b": 6_919_161_856,
    "qwen2_5_72b": 72_706_203_648, "qwen3_30b_a3b": 30_532_122_624, "sd15_unet": 859_520_964,
    "swin_t": 28_288_354, "switch_base_8": 619_339_008, "vit_b": 86_567_656,
}  # fmt: skip
"""Trained parameters as the safetensors indices, torchvision, timm and the authors' programs count them."""

DECODERS = sorted(KV_BYTES)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_parameters_equal_the_published_ones(name: str) -> None:
    assert load(name).parameters == PARAMETERS[name]


def test_queries_of_low_rank_with_one_key_head_are_multi_matrix_factorised_attention() -> None:
    """Hu et al., MFA, 2024: queries through a shared rank, keys and values of a single head."""
    sizes = {"hidden": 512, "heads": 16, "kv_heads": 1, "head_dim": 64, "q_rank": 128, "depth": 1}
    network = load("llama_2_7b", {**sizes, "phase": "decode", "context": 9})
    nodes = {node.name: node for node in network.nodes}
    assert nodes["layer.0.q_down"].parameters + nodes["layer.0.q"].parameters == 512 * 128 + 128 * 16 * 64
    assert network.cache_elements == 2 * 64
    assert nodes["layer.0.attn"].macs == 2 * 16 * 10 * 64


def test_the_published_products_of_the_u_net_are_those_of_conv_and_linear_layers() -> None:
    """Kim et al., BK-SDM, 2023, table 1: 339 G; the products of attention are 63 G more."""
    network = load("sd15_unet")
    assert round(sum(node.macs for node in network.nodes if node.op_name != "attention") / 1e9) == 339


@pytest.mark.parametrize("name", DECODERS)
def test_the_cache_grows_by_the_published_bytes_a_token(name: str) -> None:
    network = load(name, {"phase": "decode", "context": 7})
    assert 2 * network.cache_elements == KV_BYTES[name] == network.published.kv_bytes_per_token


@pytest.mark.parametrize(
    ("name", "active", "rows"),
    [("mixtral_8x7b", "12.9", 32000), ("olmoe_1b_7b", "1.3", 50304), ("deepseek_v3", "37", 1)],
)
def test_a_token_needs_the_active_parameters_that_are_published(name: str, active: str, rows: int) -> None:
    """12.9 B (Mistral AI), 1.3 B (OLMoE, table 1), 37 B (DeepSeek-V3), with so many rows of the embedding."""
    network = load(name, {"phase": "decode", "context": 1})
    found = network.active_parameters + (rows - 1) * network.params["hidden"]
    assert f"{found / 1e9:.{len(active.partition('.')[2])}f}" == active


@pytest.mark.parametrize("name", DECODERS)
def test_prefill_makes_the_products_of_decoding_its_tokens_one_by_one(name: str) -> None:
    """Causal attention and linear layers do; latent attention has another form in prefill."""
    small = {"depth": 1, "logits": "all"} | ({"form": "absorbed", "dense_layers": 1} if name == "deepseek_v3" else {})
    steps = [load(name, {**small, "phase": "decode", "context": past}).macs for past in range(3)]
    assert load(name, {**small, "phase": "prefill", "context": 3}).macs == sum(steps)


def test_decoding_reads_every_weight_and_the_cache_once() -> None:
    """Llama-2-7B in int8 behind 2048 tokens: all weights but the embedding's other rows, and 2 x 32 x 4096 a token."""
    result = run("edge_tpu_like", "llama_2_7b", {"phase": "decode", "context": 2048, "depth": 4})
    network = load("llama_2_7b", {"phase": "decode", "depth": 4})
    table = 2 * 4 * 64 * 2
    read = result.traffic_bytes["dram"]["read"]
    assert read["weight"] - network.active_parameters in range(table + 1)
    assert read["kv"] == 2 * 4 * 4096 * 2049
    assert result.traffic_bytes["dram"]["write"]["kv"] == 2 * 4 * 4096
    assert read["index"] == 4


@pytest.mark.parametrize(("number_format", "bits"), [("bf16", 16), ("int4", 4), ("mxfp8", 8.25), ("q4_0", 4.5)])
def test_weights_and_the_cache_take_the_bytes_of_their_formats_with_scales(number_format: str, bits: float) -> None:
    formats = {"precision.weight": number_format, "precision.kv": number_format, "precision.input": "bf16",
               "precision.partial_sum": "fp32"}  # fmt: skip
    overrides = {"context": 31, "phase": "decode", "depth": 1, "vocab": 64}
    traffic = run("edge_tpu_like", "gpt2", overrides | formats).traffic_bytes["dram"]
    assert traffic["read"]["kv"] == 2 * 32 * 768 * bits / 8
    assert traffic["write"]["kv"] == 2 * 768 * bits / 8
    matrices = 12 * 768 * 768 + 64 * 768
    assert 0 <= traffic["read"]["weight"] - matrices * bits / 8 < 100_000  # norms, biases, rows of tables


def test_keys_and_values_of_a_prefill_are_written_to_the_cache() -> None:
    result = run("edge_tpu_like", "gpt2", {"context": 32, "depth": 2})
    assert result.traffic_bytes["dram"]["write"]["kv"] == 2 * 2 * 768 * 32


def test_half_the_attention_layers_of_llama_2_70b_save_little_by_weight_bytes() -> None:
    """A paper measured 48 % on GPUs; by the bytes that decoding moves at short context it is about 1.1 times."""
    network = load("llama_2_70b", {"phase": "decode", "context": 256})
    attention = ("q", "k", "v", "o", "norm1")
    moved = dict.fromkeys(("all", "attention"), 0)
    for node in network.nodes:
        size = node.op.active_parameters(node.input_shapes)
        cached = node.op.cache_elements(node.input_shapes) * 257
        part = node.name.rpartition(".")[2]
        moved["all"] += size + cached
        moved["attention"] += size + cached if part in (*attention, "attn") else 0
    gain = moved["all"] / (moved["all"] - moved["attention"] / 2)
    assert 1.05 < gain < 1.15


@pytest.mark.parametrize("chip", ["tpu_v1", "fusemax"])
def test_half_the_attention_layers_of_llama_2_70b_save_little_of_a_simulated_run(chip: str) -> None:
    """The same in cycles: 80 blocks and the head, against 40 blocks of which the attention part is dropped."""
    settings = {"phase": "decode", "context": 256, "depth": 1}
    parts = ("layer.0.*", "layer.0.[gudsn]*", "head")  # a block; gate, up, down, swiglu, norms; the head
    block, rest, head = (run(chip, "llama_2_70b", settings, layers=part).cycles for part in parts)
    gain = (80 * block + head) / (40 * block + 40 * rest + head)
    assert 1.05 < gain < 1.15


def test_every_language_model_refuses_a_phase_that_is_none() -> None:
    with pytest.raises(ConfigError) as error:
        load("llama_3_8b", {"phase": "prefil"})
    assert str(error.value) == "--set params.phase: unknown value 'prefil'; did you mean 'prefill'? " \
        "choose from: decode, prefill"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"kv_heads": 5}, "5 key and value heads do not divide 32 heads"),
        ({"top_k": 9}, "top_k 9 is more than the 8 experts"),
        ({"routing": "histogram", "histogram": [1, 1, 1, 1, 1, 1, 1, 1]},
         "the histogram adds up to 8 tokens, not to 2048 x top_k 2 = 4096"),
        ({"routing": "histogram", "histogram": "mixtral_b64_008_010"},
         "the histogram 'mixtral_b64_008_010' (64 tokens, top_k 2) adds up to 128 tokens, not to 2048 x top_k 2 "),
        ({"routing": "histogram", "histogram": [4096, 0, 0, 0, 0, 0, 0, 0]},
         "the histogram gives an expert 4096 of 2048 tokens, but a token goes there once"),
        ({"routing": "histogram", "histogram": [1, 2]}, "the histogram has 2 experts, not 8"),
        ({"routing": "trace", "trace": "nowhere.csv"}, "trace 'nowhere.csv' cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load("mixtral_8x7b", {"depth": 1, **overrides})
    assert message in str(error.value)


def test_every_model_is_among_the_bundled_networks() -> None:
    assert set(PARAMETERS) | set(KV_BYTES) <= set(names("workload"))
