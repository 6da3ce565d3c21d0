"""What was set and has no effect: named in the result, so that nobody believes it had one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from sim.arch import Arch, Dram, Systolic
from sim.arch.assignment import Assignment
from sim.dataflow import DATAFLOWS
from sim.errors import ConfigError, Problem, unknown
from sim.kernel import Contraction
from sim.layers import Lowered, Task
from sim.mapper.candidates import packs
from sim.tiers.uses import holds

Note = dict[str, Any]
"""`what` has no effect and why, and `where` it was set: keys, or layers that it does not reach."""


def notes(chip: Arch, lowered: Lowered, overrides: Mapping[str, Any]) -> list[Note]:
    """Return what is set on `chip` and has no effect on the layers of `lowered`.

    ConfigError where a pattern that matches no layer was set by one of the `overrides`.
    """
    return [*_patterns(chip, lowered, overrides), *_knobs(chip), *_arrays(chip), *_passes(chip), *_unlimited(chip),
            *_attention(chip, lowered), *_groups(chip, lowered),
            *_unmapped(chip), *_on_banks(chip), *_bursts(chip), *_rules(chip, lowered),
            *_tiers(chip, lowered)]  # fmt: skip


def _patterns(chip: Arch, lowered: Lowered, overrides: Mapping[str, Any]) -> Iterator[Note]:
    names = [task.name for task in lowered.tasks]
    products = [task.name for task in lowered.tasks if task.contracts]
    idle = [pattern for pattern in chip.mapping.layers if not _match(names, pattern)]
    if idle and any(key.removeprefix("arch.").startswith("mapping") for key in overrides):
        raise ConfigError(*(Problem(unknown("layer", pattern, names), "--set mapping.layers") for pattern in idle))
    if idle:
        yield _note("mapping.layers: no layer of the network has such a name", idle)
    unmapped = [pattern for pattern in chip.mapping.layers if pattern not in idle and not _match(products, pattern)]
    if unmapped:
        yield _note("mapping.layers: these layers run on no array, there is nothing to map", unmapped)


def _match(names: list[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _knobs(chip: Arch) -> Iterator[Note]:
    """Yield a note on the keys of the array that its dataflow does not look at, as the others stand."""
    array = chip.array
    if array is None:
        return
    known = DATAFLOWS[array.dataflow]
    unread = known.knobs() - known.reads(array)
    given = {knob: getattr(array, knob) for knob in sorted(unread)}
    idle = [f"{knob}: {v}" for knob, v in given.items() if v != Systolic.model_fields[knob].default]
    if idle:
        why = [f"{key} {getattr(array, key)}" for key in ("dataflow", "convention", "weight_buffers")
               if key not in unread - {"convention"}]  # fmt: skip
        yield _note(f"keys of '{chip.unit_name(Systolic)}' that play no part with {', '.join(why)}", idle)


def _arrays(chip: Arch) -> Iterator[Note]:
    if chip.array is None or chip.array.count > 1:
        return
    choices = {"mapping": chip.mapping, **{f"mapping.layers.{name}": c for name, c in chip.mapping.layers.items()}}
    split = [f"{key}.split: {choice.split}" for key, choice in choices.items() if choice.split != "auto"]
    if split:
        yield _note("one array has nothing to split", split)
    if chip.link is not None:
        yield _note("one array has no other to link with", ["link"])


def _passes(chip: Arch) -> Iterator[Note]:
    """Yield a note on what is fixed of folds where the array works in passes, and the other way round."""
    if chip.array is None:
        return
    by_pass = DATAFLOWS[chip.array.dataflow].passes
    words = ("tile", "order", "resident") if by_pass else ("passes",)
    choices = {"mapping": chip.mapping, **{f"mapping.layers.{name}": c for name, c in chip.mapping.layers.items()}}
    given = [
        f"{key}.{word}"
        for key, choice in choices.items()
        for word in words
        if (value := getattr(choice, word)) != type(choice).model_fields[word].default and value is not None
    ]
    if not by_pass and chip.array.scratchpads != Systolic.model_fields["scratchpads"].default:
        given.append(f"{chip.unit_name(Systolic)}.scratchpads")
    if by_pass:
        given += [f"buffers.{name}.interleave" for name, buffer in chip.buffers.items() if buffer.interleave]
    if given:
        yield _note(f"dataflow {chip.array.dataflow} works in {'passes' if by_pass else 'folds'}", given)


def _unlimited(chip: Arch) -> Iterator[Note]:
    choice = chip.mapping
    by_pass = chip.array is not None and DATAFLOWS[chip.array.dataflow].passes
    if chip.bounded or by_pass:
        return
    given = [f"mapping.resident: {', '.join(choice.resident)}"] if choice.resident else []
    whole = not any((choice.tile.m, choice.tile.n, choice.tile.k))
    given += [f"mapping.order: {', '.join(choice.order)}"] if choice.order and whole else []
    if given:
        yield _note("memory is ideal, and one tile holds all", given)


def _attention(chip: Arch, lowered: Lowered) -> Iterator[Note]:
    """Yield a note on attentions that were to be fused and are not, and on keys that only fused ones have."""
    apart = [task.name.removesuffix(".scores") for task in lowered.tasks if task.op == "scores"]
    asked = [name for name in apart if chip.mapping.of(name).attention not in ("auto", "layers")]
    if asked:
        yield _note(
            "mapping.attention: with position biases, windows along several axes or work fused behind it, attention "
            "runs layer by layer", asked,
        )  # fmt: skip
    fused = any(task.op == "attention" for task in lowered.tasks)
    choices = {"mapping": chip.mapping, **{f"mapping.layers.{name}": c for name, c in chip.mapping.layers.items()}}
    given = [f"{key}.interleave: {c.interleave}" for key, c in choices.items() if c.interleave is not None]
    if given and not fused:
        yield _note("no attention is fused, there is nothing to interleave", given)


def _groups(chip: Arch, lowered: Lowered) -> Iterator[Note]:
    alone = [task.name for task in lowered.tasks if _is_alone(chip, task)]
    if alone:
        yield _note("mapping.groups: packed, but a group leaves no room on the array for another", alone)


def _unmapped(chip: Arch) -> Iterator[Note]:
    if chip.families == {"fabric"} and (chip.mapping != type(chip.mapping)() or not chip.prefetch):
        given = ["mapping"] if chip.mapping != type(chip.mapping)() else ["prefetch"]
        yield _note("a fabric has a stage for each layer, and nothing to map", given)


def _on_banks(chip: Arch) -> Iterator[Note]:
    if chip.families != {"pim"}:
        return
    if chip.mapping != type(chip.mapping)() or not chip.prefetch:
        given = ["mapping"] if chip.mapping != type(chip.mapping)() else ["prefetch"]
        yield _note("matrices lie in the banks, where order says how they are multiplied", given)
    unread = ("bandwidth", "banks", "keep", "granule")
    idle = [f"{name}.{key}" for name, buffer in chip.buffers.items() for key in unread
            if getattr(buffer, key) != type(buffer).model_fields[key].default]  # fmt: skip
    if idle:
        yield _note("the SRAM of a companion has no ports that are waited for, and keeps what it has room for", idle)


def _rules(chip: Arch, lowered: Lowered) -> Iterator[Note]:
    """Yield a note on the rules that send no layer anywhere; parts of a fused attention are no layers any more."""
    fused = any(task.op == "attention" for task in lowered.tasks)
    idle = [f"assign[{index}]: {rule.unit}" for index, rule in enumerate(chip.assign)
            if not any(_sent(rule, task) for task in lowered.tasks)
            and not (fused and chip.units[rule.unit].family == "array")]  # fmt: skip
    if idle:
        yield _note("assign: no layer of the network fits, or the unit does not compute those that do", idle)


def _sent(rule: Assignment, task: Task) -> bool:
    """Return whether a layer, or what is fused behind it, is where a rule sends it."""
    rows = max((kernel.m for kernel in task.kernels if isinstance(kernel, Contraction)), default=None)
    behind = any(fnmatchcase(name, rule.layers) for name in task.fused)
    return task.unit == rule.unit and (rule.holds(task.name, task.op, rows) or behind)


def _bursts(chip: Arch) -> Iterator[Note]:
    given = [f"{name}.granule" for name, buffer in chip.buffers.items() if buffer.granule is not None]
    if isinstance(chip.memory, Dram) and given:
        yield _note("DRAM brings the bursts that a load touches, and no whole granules", given)


def _tiers(chip: Arch, lowered: Lowered) -> Iterator[Note]:
    """Yield a note on the tiers that hold nothing, as others come first or no layer has such weights."""
    left = list(lowered.tasks)
    idle = []
    for name, tier in chip.tiers.items():
        found = [task for task in left if holds(tier, task)]
        left = [task for task in left if not holds(tier, task)]
        idle += [] if found else [f"tiers.{name}"]
    if chip.tiers and not chip.bounded:
        yield _note("memory is ideal, and holds all weights", [f"tiers.{name}" for name in chip.tiers])
    elif idle:
        yield _note("a tier holds no weights of this network", idle)


def _is_alone(chip: Arch, task: Task) -> bool:
    """Return whether the groups of a layer are to be packed and each lies on the array by itself."""
    wish, array = chip.mapping.of(task.name), chip.array
    if wish.groups != "packed" or array is None or DATAFLOWS[array.dataflow].passes:
        return False
    grouped = [kernel for kernel in task.kernels if isinstance(kernel, Contraction) and kernel.groups > 1]
    return any(packs(kernel, chip.seen(kernel.right_is), wish) == [1] for kernel in grouped)


def _note(what: str, where: list[str]) -> Note:
    return {"what": what, "where": where}
