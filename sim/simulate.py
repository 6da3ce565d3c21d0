"""Run a network on a chip: lower, map, plan, simulate, account. The short composition of all the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from sim import arch as arch_module
from sim import energy, tiers, workload
from sim.arch import Arch, Simple, Systolic
from sim.engine import Engine
from sim.errors import ConfigError, MissingUnit, Problem, nearest, unknown
from sim.family import Request, family_of
from sim.frontend import Stage
from sim.fusing import Settled, settle
from sim.graph import Graph
from sim.hardware.unit import TooSlow
from sim.layers import Lowered, lower
from sim.mapper import Trials
from sim.notes import notes
from sim.result import Result
from sim.stages import Progress
from sim.timeline import Timeline
from sim.yamlfile import Document


def run(
    arch: str | Arch,
    network: str | Graph,
    overrides: Mapping[str, Any] | None = None,
    *,
    layers: str | None = None,
    strict: bool = False,
    fast_forward: bool = True,
    record: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Return what `network` costs on `arch`.

    `overrides` sets keys of either by dotted path, `layers` picks layers by shell pattern, `strict` makes
    what the cycles leave out an error (what only the energy leaves out stays in `not_modelled`),
    `fast_forward=False` simulates every iteration of every loop (the result is the same), `record` keeps
    who did what when in `Result.timeline`. Raises ConfigError, MappingError or CapacityError, in the
    user's words.
    """
    chip, graph, digests = open_both(arch, network, overrides or {})
    provenance = digests | {"overrides": dict(overrides or {})}
    try:
        return simulate(
            chip, graph, provenance, layers=layers, strict=strict, fast_forward=fast_forward, record=record,
            progress=progress,
        )  # fmt: skip
    except MissingUnit as error:
        if isinstance(arch, str):
            raise arch_module.read_arch(arch).error(("units",), str(error)) from None
        raise


def simulate(
    chip: Arch,
    graph: Graph,
    provenance: Mapping[str, Any],
    *,
    layers: str | None = None,
    strict: bool = False,
    fast_forward: bool = True,
    record: bool = False,
    progress: Progress | None = None,
    trials: Trials | None = None,
) -> Result:
    """Return what `graph` costs on `chip`, with `provenance` (digests, `overrides`) as it is; see `run`.

    `trials` remembers what searches and runs found, for chips to come that differ in capacities alone.
    """
    family = family_of(chip)
    settled = None if family else settle(graph, chip, trials, layers)
    lowered = settled.lowered if settled else lower(graph, chip)
    missing = [*lowered.not_modelled, *graph.not_modelled]
    remarks = notes(chip, lowered, provenance.get("overrides", {}))
    lowered = _pick(lowered, layers)
    if strict:
        _refuse(missing)
    if family is not None:
        found = family(Request(chip, graph, lowered, missing, dict(provenance), progress, record))
        if strict:
            _refuse([entry for entry in found.not_modelled if entry.get("affects") == "cycles"])
        return replace(found, notes=tuple(remarks))
    assert settled is not None  # a chip of no other family has arrays and lanes
    if any(task.contracts for task in lowered.tasks):
        chip.unit_name(Systolic)
    run = _Run(chip, fast_forward, record, trials)
    way = run.fastest(settled, layers, progress)
    settled.book.tiers = way.held
    result = settled.book.result(way.lowered, way.stages, way.timeline, missing, dict(provenance))
    timeline = way.timeline if record else None
    return replace(result, notes=tuple(remarks), chosen=way.chosen, timeline=timeline)


@dataclass(frozen=True)
class _Way:
    """A run of a network with its attentions settled in one way."""

    lowered: Lowered
    stages: list[Stage]
    held: tiers.Schedule | None
    """What slower memories hold of its weights."""
    timeline: Timeline
    chosen: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _Run:
    """How a network is run."""

    chip: Arch
    fast_forward: bool
    record: bool
    trials: Trials | None

    def fastest(self, settled: Settled, layers: str | None, progress: Progress | None) -> _Way:
        """Return the run with attentions as they are faster alone, or layer by layer where that makes all faster."""
        lowered = _pick(settled.lowered, layers)
        way = self._way(lowered, settled.stages_of(lowered, progress), settled.chosen)
        if not settled.fused or not settled.fits_apart:
            return way
        lowered = _pick(settled.apart, layers, settled.parts)
        try:
            other = self._way(lowered, settled.stages_of(lowered, None), (), way.timeline.cycles - 1)
        except TooSlow:
            return way
        if other.timeline.cycles >= way.timeline.cycles:
            return way
        return replace(other, chosen=settled.overruled(other.timeline.cycles, way.timeline.cycles))

    def _way(
        self, lowered: Lowered, stages: list[Stage], chosen: tuple[dict[str, Any], ...], limit: int | None = None
    ) -> _Way:
        """Return the run of these stages; TooSlow where it takes more cycles than `limit`."""
        held = tiers.schedule(self.chip, lowered.tasks, stages)
        if self.trials and not self.record and self.fast_forward and not held:
            timeline = self.trials.network(self.chip, stages)
        else:
            timeline = Engine(self.chip, self.fast_forward, self.record, held).run(stages, limit)
        return _Way(lowered, stages, held, timeline, chosen)


def _refuse(missing: Sequence[Mapping[str, Any]]) -> None:
    """Raise ConfigError where something is not modelled."""
    if missing:
        raise ConfigError(*(Problem(f"not modelled: {m['what']}: {', '.join(m['where'])}") for m in missing))


def open_both(
    arch: str | Arch, network: str | Graph, overrides: Mapping[str, Any]
) -> tuple[Arch, Graph, dict[str, str]]:
    """Return chip and network with each override given to the one that has its key, and their digests."""
    ours, theirs = dict[str, Any](), dict[str, Any]()
    document = arch_module.read_arch(arch) if isinstance(arch, str) else None
    for key, value in overrides.items():
        workload_only = key.startswith(("workload.", "params.", "layers."))
        (ours if not workload_only and _is_arch_key(document, key) else theirs)[key.removeprefix("workload.")] = value
    if document is None:
        assert isinstance(arch, Arch)  # the other half of the union
        if ours:
            raise ConfigError(Problem(f"{', '.join(ours)}: overrides need the arch by name or path"))
        chip = arch
        digest = ""
    else:
        document = arch_module.override(document, ours)
        chip, digest = arch_module.build(document), document.digest()
        _check_technology(document, chip)
    try:
        graph = network if isinstance(network, Graph) else workload.open_workload(network, theirs)
    except ConfigError as error:
        raise ConfigError(*(_with_chip_key(document, problem) for problem in error.problems)) from None
    return chip, graph, {"arch_sha256": digest, "workload_sha256": graph.digest}


def _check_technology(document: Document, chip: Arch) -> None:
    """Make sure that the energy table has the chip's DRAM and number formats; a ConfigError names the chip's key."""
    table, formats = energy.load(chip.technology), chip.precision
    try:
        if isinstance(chip.memory, Simple):
            table.dram(chip.memory.technology)
    except ConfigError as error:
        raise document.error(("memory", "technology"), str(error)) from None
    try:
        if chip.array or chip.fabric:
            table.mac(formats.input, formats.weight, formats.partial_sum)
    except ConfigError as error:
        about = [("precision", operand) for operand in ("input", "weight", "partial_sum")]
        raise ConfigError(document.problem(("precision",), str(error), about)) from None


def _with_chip_key(document: Document | None, problem: Problem) -> Problem:
    """Return the problem of a setting that neither chip nor network knows with the nearest key of the chip."""
    key, told = problem.file.removeprefix("--set "), problem.message
    if document is None or key == problem.file or not told.startswith("unknown key"):
        return problem
    guess = nearest(key, arch_module.keys(document), likeness=0.6) if "did you" not in told else None
    hint = f"; did you mean '{guess}'? choose" if guess else "; choose"
    return replace(problem, message=f"{told.replace('; choose', hint)}, or a key of the chip")


def _is_arch_key(document: Document | None, key: str) -> bool:
    if key.startswith("arch.") or document is None:
        return key.startswith("arch.")
    return bool(arch_module.resolve(document, key)) or key.split(".")[0] in Arch.model_fields


def _pick(lowered: Lowered, pattern: str | None, beside: frozenset[str] = frozenset()) -> Lowered:
    """Return the layers that a pattern matches, and those named `beside`."""
    if pattern is None:
        return lowered
    tasks = tuple(task for task in lowered.tasks if fnmatchcase(task.name, pattern) or task.name in beside)
    if not tasks:
        raise ConfigError(Problem(unknown("layer", pattern, [t.name for t in lowered.tasks]), "--layers"))
    return replace(lowered, tasks=tasks)
