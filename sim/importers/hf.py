"""A published model's config.json as a workload: one of the bundled networks with other params.

The file is the user's, nothing is fetched. Each family names the network that it extends, which of its params
each field sets, and what the fields must say for that network to be the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim import workload
from sim.errors import ConfigError, Problem, unknown
from sim.graph import Graph
from sim.importers.document import Report, read_text, to_yaml, write


@dataclass(frozen=True)
class Family:
    """Models of one `model_type`.

    `needs` and `takes` are fields of config.json by the param that they set; what `takes` names may be left out,
    as it may in the file (the default of the model's own configuration class stands beside it). `only` states the
    values with which a field leaves the network what it is, absent meaning the first.
    """

    base: str
    needs: Mapping[str, str]
    takes: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Fields that mean something that no operator expresses where they are not 0, false or null, and what."""


_DECODER = {
    "hidden": "hidden_size", "depth": "num_hidden_layers", "heads": "num_attention_heads", "vocab": "vocab_size",
}  # fmt: skip
_LLAMA = {
    "kv_heads": ("num_key_value_heads", None), "head_dim": ("head_dim", None), "rope_base": ("rope_theta", 10000.0),
    "eps": ("rms_norm_eps", 1e-6), "tied": ("tie_word_embeddings", False),
}  # fmt: skip
_SILU = {"hidden_act": ("silu",)}
_NO_BIAS = {**_SILU, "attention_bias": (False,), "mlp_bias": (False,)}
_FFN = {"ffn": "intermediate_size"}
_SPARSE = {"top_k": "num_experts_per_tok", "expert_ffn": "moe_intermediate_size"}
_EVERY = {"decoder_sparse_step": (1,), "mlp_only_layers": ([],)}

FAMILIES: dict[str, Family] = {
    "llama": Family("llama_2_7b", {**_DECODER, **_FFN}, _LLAMA, _NO_BIAS),
    "mistral": Family("llama_2_7b", {**_DECODER, **_FFN}, {**_LLAMA, "window": ("sliding_window", None)}, _SILU),
    "qwen2": Family("llama_2_7b", {**_DECODER, **_FFN}, _LLAMA, {**_SILU, "use_sliding_window": (False,)},
                    {"qkv_bias": True}),
    "qwen3": Family("llama_2_7b", {**_DECODER, **_FFN}, {**_LLAMA, "head_dim": ("head_dim", 128)},
                    {**_NO_BIAS, "use_sliding_window": (False,)}, {"qk_norm": "head"}),
    "qwen3_moe": Family(
        "llama_2_7b", {**_DECODER, **_SPARSE, "experts": "num_experts"},
        {**_LLAMA, "head_dim": ("head_dim", None), "renormalize": ("norm_topk_prob", False)},
        {**_NO_BIAS, **_EVERY, "use_sliding_window": (False,)}, {"qk_norm": "head"},
    ),
    "mixtral": Family(
        "llama_2_7b", {**_DECODER, **_FFN, "experts": "num_local_experts", "top_k": "num_experts_per_tok"},
        {**_LLAMA, "window": ("sliding_window", None)}, _SILU,
    ),
    "olmoe": Family(
        "llama_2_7b", {**_DECODER, **_FFN, "experts": "num_experts", "top_k": "num_experts_per_tok"},
        {**_LLAMA, "renormalize": ("norm_topk_prob", False)}, {**_SILU, "attention_bias": (False,)},
        {"qk_norm": "all"},
    ),
    "deepseek_v3": Family(
        "deepseek_v3",
        {**_DECODER, **_FFN, **_SPARSE, "kv_rank": "kv_lora_rank", "nope": "qk_nope_head_dim",
         "rope": "qk_rope_head_dim", "value": "v_head_dim", "experts": "n_routed_experts",
         "dense_layers": "first_k_dense_replace"},
        {"q_rank": ("q_lora_rank", None), "rope_base": ("rope_theta", 10000.0), "eps": ("rms_norm_eps", 1e-6)},
        {**_SILU, "attention_bias": (False,), "moe_layer_freq": (1,), "tie_word_embeddings": (False,),
         "scoring_func": ("sigmoid",), "norm_topk_prob": (True,)},
        left_out={"num_nextn_predict_layers": "multi-token prediction"},
    ),
    "deepseek_v2": Family(
        "deepseek_v3",
        {**_DECODER, **_FFN, **_SPARSE, "kv_rank": "kv_lora_rank", "nope": "qk_nope_head_dim",
         "rope": "qk_rope_head_dim", "value": "v_head_dim", "experts": "n_routed_experts",
         "dense_layers": "first_k_dense_replace"},
        {"q_rank": ("q_lora_rank", None), "rope_base": ("rope_theta", 10000.0), "eps": ("rms_norm_eps", 1e-6)},
        {**_SILU, "attention_bias": (False,), "moe_layer_freq": (1,), "tie_word_embeddings": (False,),
         "scoring_func": ("softmax",), "norm_topk_prob": (False,)},
        {"score": "softmax", "gate_bias": False, "renormalize": False},
    ),
    "gpt2": Family(
        "gpt2", {"hidden": "n_embd", "depth": "n_layer", "heads": "n_head", "vocab": "vocab_size",
                 "positions": "n_positions"},
        {"ffn": ("n_inner", None), "tied": ("tie_word_embeddings", True)},
        {"activation_function": ("gelu_new", "gelu")},
    ),
    "bert": Family(
        "bert_base", {**_DECODER, **_FFN, "positions": "max_position_embeddings", "segments": "type_vocab_size"},
        {}, {"hidden_act": ("gelu",), "position_embedding_type": ("absolute",)},
    ),
    "vit": Family(
        "vit_b", {"hidden": "hidden_size", "depth": "num_hidden_layers", "heads": "num_attention_heads",
                  **_FFN, "size": "image_size", "patch": "patch_size"},
        {}, {"hidden_act": ("gelu",), "num_channels": (3,), "qkv_bias": (True,)},
    ),
}  # fmt: skip
"""What each `model_type` is. Defaults are those of the configuration classes of transformers 4.57."""


def import_hf(path: str | Path, out: str | Path | None = None) -> Report:
    """Write the model that a config.json describes as a workload to the YAML file `out`, and report on it.

    Without `out` nothing is written, and the report holds the text. Raises ConfigError where the file is no
    config.json, its model type is unknown, a field is missing or says what the family does not have.
    """
    source, target = Path(path), None if out is None else Path(out)
    if target is not None and target.suffix not in (".yaml", ".yml"):
        raise ConfigError(Problem("must end in .yaml", file=str(target)))
    config = _read(source)
    family = _family(config, str(source))
    problems = _unfit(config, family, str(source))
    if problems:
        raise ConfigError(*problems)
    data, notes = _workload(config, family, "model" if target is None else target.stem)
    text = to_yaml(data, notes)
    graph = _check(data, family, str(source))
    if target is not None:
        text = write(data, target, notes)
    counts = {"layers": len(graph.nodes), "parameters": graph.parameters}
    if graph.cache_elements:
        counts["bytes_of_KV_cache_a_token_in_bf16"] = 2 * graph.cache_elements
    missing = tuple(entry["what"] for entry in data.get("not_modelled", ()))
    return Report("workload", source, target, text, tuple(notes), counts, missing)


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ConfigError(Problem(f"is not valid JSON: {error.msg}", str(path), error.lineno)) from None
    if not isinstance(config, dict):
        raise ConfigError(Problem("must hold keys and values, as a config.json does", str(path)))
    return config


def _family(config: dict[str, Any], file: str) -> Family:
    kind = config.get("model_type")
    if kind is None:
        raise ConfigError(Problem(f"missing field 'model_type'; choose from: {', '.join(sorted(FAMILIES))}", file))
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ConfigError(Problem(unknown("model type", kind, FAMILIES), file, key="model_type"))
    return FAMILIES[kind]


def _unfit(config: dict[str, Any], family: Family, file: str) -> list[Problem]:
    """Return what is missing, of the wrong kind, or what the family's network cannot say."""
    problems = []
    for name in family.needs.values():
        if name not in config:
            problems.append(Problem(f"missing field '{name}', which a {config['model_type']} needs", file))
        elif not _fits(int, config[name], least=int(name not in _MAY_BE_NONE)):
            problems.append(_wrong("a whole number", config[name], file, name))
    for param, (name, default) in family.takes.items():
        kind = next((k for k, params in _KINDS.items() if param in params), int)
        if config.get(name, default) is not None and not _fits(kind, config.get(name, default), least=1):
            problems.append(_wrong(_CALLED[kind], config[name], file, name))
    for name, allowed in family.only.items():
        if config.get(name, allowed[0]) not in allowed:
            said, fit = json.dumps(config[name]), " or ".join(map(json.dumps, allowed))
            problems.append(Problem(f"{said} is not modelled for a {config['model_type']}, only {fit}", file, key=name))
    return problems


_MAY_BE_NONE = frozenset({"first_k_dense_replace", "type_vocab_size"})
"""Counts that may be zero."""
_KINDS: dict[type, tuple[str, ...]] = {bool: ("tied", "renormalize"), float: ("rope_base", "eps")}
"""Kinds of optional params; all others are whole numbers."""
_CALLED: dict[type, str] = {bool: "true or false", float: "a number", int: "a whole number"}


def _fits(kind: type, value: Any, least: int) -> bool:
    """Return whether a value is of its kind, and no number of too little."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int | float if kind is float else int) and (value > 0 if kind is float else value >= least)


def _wrong(wanted: str, value: Any, file: str, field_name: str) -> Problem:
    above = " above zero" if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0 else ""
    return Problem(f"expected {wanted}{above}, not {json.dumps(value)}", file, key=field_name)


def _workload(config: dict[str, Any], family: Family, name: str) -> tuple[dict[str, Any], list[str]]:
    params = {param: config[key] for param, key in family.needs.items()}
    for param, (key, default) in family.takes.items():
        value = config.get(key, default)
        if value is not None:
            params[param] = float(value) if param in ("rope_base", "eps") else value
        elif param == "q_rank":
            params[param] = 0
    title = config.get("_name_or_path") or config["model_type"]
    data: dict[str, Any] = {
        "name": name, "extends": family.base, "title": str(title), "source": "config.json of a published model",
        "params": params | dict(family.fixed),
    }  # fmt: skip
    if "n_shared_experts" in config and family.base == "deepseek_v3":
        params = data["params"]
        params["shared_ffn"] = config.get("n_shared_experts", 0) * config["moe_intermediate_size"]
    left_out = [what for key, what in family.left_out.items() if config.get(key)]
    if left_out:
        data["not_modelled"] = [{"what": what, "where": ["the whole network"]} for what in left_out]
    notes = [f"Made from a config.json of model type {config['model_type']}; the layers are those of {family.base}."]
    return data, notes + [f"Not modelled: {what}." for what in left_out]


def _check(data: dict[str, Any], family: Family, file: str) -> Graph:
    """Return the network; ConfigError where the sizes do not fit together, as heads that do not divide."""
    try:
        return workload.load(family.base, dict(data["params"]))
    except ConfigError as error:
        raise ConfigError(*(Problem(problem.message, file) for problem in error.problems)) from None
