"""What is on the fabric at once: everything (`pipeline`), a layer (`layers`), or what memory holds (`hybrid`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.arch import Arch, Fabric
from sim.errors import MappingError
from sim.fabric.cost import Cost
from sim.fabric.cuts import cuts
from sim.fabric.folding import Folder, Need, Plan
from sim.fabric.stages import Stage

BLOCKS = {"dsp": "multiplier blocks", "lut": "look-up tables", "bram18": "memory blocks of 18 Kib"}


@dataclass(frozen=True)
class Part:
    """Stages that are on the fabric together, and how wide they are."""

    stages: tuple[Stage, ...]
    plan: Plan

    @property
    def names(self) -> frozenset[str]:
        """The stages by name, as their units are called."""
        return frozenset(stage.name for stage in self.stages)


def parts(stages: Sequence[Stage], chip: Arch, fabric: Fabric, images: int = 1) -> list[Part]:
    """Return the parts in order for a run of `images`.

    Raises MappingError where a stage, or the pipeline, does not fit however slow it is.
    """
    folder = Folder(chip, fabric)
    return [Part(tuple(group), fit(group, folder, Cost())) for group in _groups(stages, folder, images)]


def fit(stages: Sequence[Stage], folder: Folder, taken: Cost) -> Plan:
    """Return the widths of stages beside what is `taken`, streaming weights where that is asked for or needed.

    Where weights do not fit, those go off chip first that are read the fewest times an image, the largest first:
    an image brings a matrix once for each of its vectors.
    """
    trained = [stage for stage in stages if stage.matrix]
    mode = folder.fabric.weights
    away = frozenset(stage.name for stage in trained) if mode == "streamed" else frozenset[str]()
    candidates = sorted(trained, key=lambda s: (s.vectors, -s.matrix)) if mode == "auto" else []
    found = folder.choose(stages, away, taken)
    for stage in candidates:
        if not isinstance(found, Need) or found.block != "bram18":
            break
        away |= {stage.name}
        found = folder.choose(stages, away, taken)
    if isinstance(found, Need):
        raise MappingError(_message(stages, found, folder))
    return found


def _message(stages: Sequence[Stage], need: Need, folder: Folder) -> str:
    what = stages[0].name if len(stages) == 1 else f"the pipeline of {len(stages)} layers"
    ways = ["pattern=hybrid"] if folder.fabric.pattern == "pipeline" and len(stages) > 1 else []
    ways += ["weights=streamed"] if need.block == "bram18" and folder.fabric.weights == "on_chip" else []
    return (f"{what} does not fit on {folder.chip.name}: at its narrowest it needs {need.needed:,} "
            f"{BLOCKS[need.block]}, {need.available:,} are there; set "
            f"{' or '.join([*ways, f'{need.block}={need.needed}'])}")  # fmt: skip


def _groups(stages: Sequence[Stage], folder: Folder, images: int) -> list[list[Stage]]:
    """Return the stages of each part."""
    pattern = folder.fabric.pattern
    if pattern == "pipeline":
        return [list(stages)]
    if pattern == "layers":
        return [[stage] for stage in stages]
    return cuts(stages, folder, lambda part: folder.choose(part, _away(part, folder)), images)


def _away(group: Sequence[Stage], folder: Folder) -> frozenset[str]:
    streamed = folder.fabric.weights == "streamed"
    return frozenset(stage.name for stage in group if stage.matrix) if streamed else frozenset()
