"""Workloads in one line: gemm:MxNxK, gemv:OUTxIN, conv:C,H,W,K,R,S[,option=value], attention:BxHxNxE[,...]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.errors import ConfigError, Problem, unknown
from sim.yamlfile import Document

_CONV_FORM = "conv:C,H,W,K,R,S[,stride=2][,pad=1][,groups=g][,dilation=1][,batch=1]"
_ATTENTION_FORM = "attention:BxHxNxE[,kv=M][,causal]"
FORMS = {"gemm": "gemm:MxNxK", "gemv": "gemv:OUTxIN", "conv": _CONV_FORM, "attention": _ATTENTION_FORM}
_CONV_DEFAULTS = {"stride": 1, "pad": 0, "groups": 1, "dilation": 1, "batch": 1}


def is_inline(text: str) -> bool:
    """Return whether `text` is meant as an inline workload: a word, a colon and no path."""
    kind, colon, _ = text.partition(":")
    return bool(colon) and kind.isidentifier()


def document(text: str) -> Document:
    """Return the workload document that the inline form `text` stands for; ConfigError where it is malformed."""
    kind, _, sizes = text.partition(":")
    if kind not in _READERS:
        forms = ", ".join(FORMS.values())
        raise ConfigError(Problem(f"{unknown('inline workload', kind, FORMS)}; the forms are {forms}", text))
    try:
        data = _READERS[kind](sizes)
    except ValueError as error:
        raise ConfigError(Problem(f"{error}; write {FORMS[kind]}", text)) from None
    return Document(text, {"name": text, **data})


def _gemm(sizes: str) -> dict[str, Any]:
    m, n, k = _product(sizes, "MNK")
    return _linear("gemm", [1, m, k], n)


def _gemv(sizes: str) -> dict[str, Any]:
    features, length = _product(sizes, ("OUT", "IN"))
    return _linear("gemv", [1, length], features)


def _linear(name: str, shape: list[int], features: int) -> dict[str, Any]:
    layer = {"name": name, "op": "linear", "in": "input", "features": features, "bias": False}
    return {"inputs": {"input": shape}, "layers": [layer]}


def _conv(sizes: str) -> dict[str, Any]:
    words = sizes.split(",")
    plain = [word for word in words if "=" not in word]
    names = ("C", "H", "W", "K", "R", "S")
    if len(plain) != len(names) or any("=" in word for word in words[: len(names)]):
        raise ValueError(f"needs the 6 sizes {', '.join(names)} and then the options, not '{sizes}'")
    c, h, w, k, r, s = (_size(word, name) for word, name in zip(plain, names, strict=True))
    params = dict(_CONV_DEFAULTS)
    for word in words[len(names) :]:
        key, _, value = word.partition("=")
        if key not in params:
            raise ValueError(unknown("option", key, params))
        params[key] = _size(value, key, least=0 if key == "pad" else 1)
    computed = {key: f"={key}" for key in params if key != "batch"}
    layer = {"name": "conv", "op": "conv2d", "in": "input", "filters": k, "kernel": [r, s], "bias": False}
    return {"params": params, "inputs": {"input": ["=batch", c, h, w]}, "layers": [layer | computed]}


def _attention(sizes: str) -> dict[str, Any]:
    product, *words = sizes.split(",")
    batch, heads, queries, size = _product(product, "BHNE")
    keys, causal = queries, False
    for word in words:
        key, equals, value = word.partition("=")
        if key == "causal" and not equals:
            causal = True
        elif key == "kv" and equals:
            keys = _size(value, key)
        else:
            raise ValueError(unknown("option", word if key == "causal" else key, ("kv=M", "causal")))
    layer = {"name": "attention", "op": "attention", "in": ["q", "k", "v"], "heads": heads, "causal": causal}
    lengths = {"q": queries, "k": keys, "v": keys}
    shapes = {name: [batch, length, heads * size] for name, length in lengths.items()}
    return {"inputs": shapes, "layers": [layer]}


def _product(sizes: str, names: str | tuple[str, ...]) -> list[int]:
    words = sizes.split("x")
    if len(words) != len(names):
        raise ValueError(f"needs {len(names)} sizes, {' x '.join(names)}, not '{sizes}'")
    return [_size(word, name) for word, name in zip(words, names, strict=True)]


def _size(word: str, name: str, least: int = 1) -> int:
    text = word.strip()
    value = int(text) if text.removeprefix("-").isdecimal() else least - 1
    if value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not '{text}'")
    return value


_READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "gemm": _gemm, "gemv": _gemv, "conv": _conv, "attention": _attention
}  # fmt: skip
