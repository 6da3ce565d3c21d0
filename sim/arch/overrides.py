"""Overrides by dotted key: which path of a chip a key means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.arch.chip import Arch, named_memory
from sim.errors import ConfigError, Problem, nearest
from sim.yamlfile import Document, Path_, check, dotted


def override(document: Document, overrides: Mapping[str, Any]) -> Document:
    """Return `document` with `overrides` by dotted key; ConfigError where no key is meant, or more than one.

    Keys mean what they mean in `document`, in whatever order they are set: on the way from one valid chip to
    another there may be chips that are not.
    """
    changed = document
    meant: dict[tuple[str, ...], str] = {}
    for key, value in sorted(overrides.items(), key=lambda pair: pair[0].count(".")):  # wholes before their parts
        path = _one(changed if resolve(changed, key) else document, key)
        if path in meant:
            raise ConfigError(Problem(f"sets {dotted(path)}, which '--set {meant[path]}' sets too", f"--set {key}"))
        meant[path] = key
        changed = _spelled_out(changed, path, key, overrides)
        named = path == ("memory",) and isinstance(value, str)
        changed = changed.with_override(path, named_memory(value) if named else value)
    return changed


def _spelled_out(document: Document, path: tuple[str, ...], key: str, overrides: Mapping[str, Any]) -> Document:
    """Return the document with the name of a memory, of which `key` sets a part, as the keys it stands for."""
    if path[0] != "memory" or len(path) == 1 or {"memory.kind", "arch.memory.kind"} & set(overrides):
        return document
    memory = document.data.get("memory")
    if isinstance(memory, str):
        memory = named_memory(memory)
        document = Document(document.file, {**document.data, "memory": memory}, document.places)
    if memory == {"kind": "ideal"}:
        limits = "'memory={kind: simple, bandwidth: 8 GB/s}'"
        message = f"memory is ideal, without limits; give it some, as in --set {limits}"
        raise ConfigError(Problem(message, f"--set {key}"))
    return document


def _one(document: Document, key: str) -> tuple[str, ...]:
    found = resolve(document, key)
    if len(found) == 1:
        return found[0]
    place = f"--set {key}"
    if found:
        raise ConfigError(Problem(f"'{key}' could be {' or '.join(map(dotted, found))}; write it out", place))
    guess = nearest(key.removeprefix("arch."), keys(document))
    hint = f"; did you mean '{guess}'?" if guess else ""
    raise ConfigError(Problem(f"no key '{key}' in arch '{document.data.get('name', document.file)}'{hint}", place))


def keys(document: Document) -> list[str]:
    """Return every key that the chip has, as a whole path and as its last word."""
    paths = _paths(document)
    return sorted({dotted(path) for path in paths} | {path[-1] for path in paths})


def resolve(document: Document, key: str) -> list[tuple[str, ...]]:
    """Return the paths that a dotted `key` may mean: the whole path, else every path that ends in it.

    What is kept by name (rates, functions, cycles) may get a new one: `array.rates.int4`; the schema judges it.
    """
    wanted = tuple(key.removeprefix("arch.").split("."))
    paths = _paths(document)
    if wanted in paths:
        return [wanted]
    if wanted[0] in Arch.model_fields:
        return [wanted]  # may be new (link, buffers.l2.capacity); the schema judges it
    found = sorted(path for path in paths if path[-len(wanted) :] == wanted)
    return found or _inside(document, paths, wanted)


def _inside(document: Document, paths: set[tuple[str, ...]], wanted: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the paths of what `wanted` names inside of something that a chip keeps by name, of a unit or a part."""
    arch, _ = check(Arch, document)
    for cut in range(1, len(wanted)):
        owner, rest = wanted[:-cut], wanted[-cut:]
        found = [(*path, *rest) for path in sorted(paths) if path[-len(owner) :] == owner and _by_name(arch, path)]
        if found:
            return found
    return []


def _by_name(arch: Arch | None, path: tuple[str, ...]) -> bool:
    """Return whether there stands a mapping whose keys are free."""
    value: Any = arch
    for key in path:
        value = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
    return isinstance(value, dict)


def _paths(document: Document) -> set[tuple[str, ...]]:
    """Return every key path that the chip has, defaults spelled out."""
    arch, _ = check(Arch, document)
    data = arch.model_dump() if arch is not None else document.data
    if arch is not None and arch.pim is not None:
        data = {key: value for key, value in data.items() if key != "mapping"}  # there is nothing to map
    return set(_walk(data, ()))


def _walk(data: Mapping[str, Any], prefix: Path_) -> list[tuple[str, ...]]:
    paths: list[tuple[str, ...]] = []
    for key, value in data.items():
        path = (*(str(p) for p in prefix), key)
        paths.append(path)
        if isinstance(value, dict):
            paths += _walk(value, path)
    return paths
