"""What lanes do for a layer at least: operations, cycles, and bytes on chip and off it."""

from __future__ import annotations

from sim.arch import Arch
from sim.bounds.ports import Passed
from sim.kernel import Contraction, VectorWork
from sim.layers import Lowered, Task
from sim.planner import input_bytes


def lane_operations(task: Task, arch: Arch) -> dict[str, float]:
    """Return the operations of the lanes for a layer at least, by kind: its own, and those fused behind it."""
    found: dict[str, float] = {}
    if arch.vector is None:
        return found
    outputs = sum(k.output_elements for k in task.kernels if isinstance(k, Contraction))
    works = [(work, min(1.0, outputs / max(1, work.outputs)) if task.contracts else 1.0) for work in task.epilogue]
    works += [(k, 1.0) for k in task.kernels if isinstance(k, VectorWork)]
    for work, share in works:
        for kind, count in work.operations:
            found[kind] = found.get(kind, 0.0) + count * share
    return found


def lane_cycles(task: Task, arch: Arch) -> float:
    """Return the cycles that all lanes together are busy with a layer."""
    if arch.vector is None:
        return 0.0
    vector, each = arch.vector, float(arch.vector.pace(arch.clock)) / arch.lanes
    return sum(count * vector.cycles(kind) for kind, count in lane_operations(task, arch).items()) * each


def lane_bytes(task: Task, lowered: Lowered, arch: Arch) -> int:
    """Return the bytes of a layer that is no product: inputs where none of them stays on chip, and its output."""
    works = [k for k in task.kernels if isinstance(k, VectorWork)]
    held = any(tensor in lowered.kept for _, tensor in task.reads)
    inputs = 0 if held or len(works) != 1 else arch.bytes_of("input", sum(works[0].inputs))
    stays = task.writes in lowered.kept or len(works) != 1
    return inputs + (0 if stays else arch.seen(result=task.result).bytes_of("output", works[0].outputs))


def lanes_pass(task: Task, lowered: Lowered, arch: Arch) -> Passed:
    """Return the bytes on chip of a layer's lane work, and those of its transfers where it is no product."""
    sums = arch.bits("partial_sum") / 8
    if arch.vector is None:
        return {}
    if task.contracts:
        outputs = sum(k.output_elements for k in task.kernels if isinstance(k, Contraction))
        through = outputs * sums if task.epilogue else 0.0
        return {("output", "read"): through, ("output", "write"): through}
    works = [k for k in task.kernels if isinstance(k, VectorWork)]
    chip = arch.seen(result=task.result)
    inputs = sum(sum(input_bytes(work, arch)) for work in works)
    outputs = sum(chip.bytes_of("output", work.outputs) for work in works)
    moved = lane_bytes(task, lowered, arch) if arch.bounded else 0
    stored = outputs if arch.bounded and len(works) == 1 and task.writes not in lowered.kept else 0
    return {("input", "read"): inputs, ("output", "write"): outputs, ("output", "read"): stored,
            ("input", "write"): moved - stored}  # fmt: skip


def kept_bytes(lowered: Lowered, arch: Arch) -> Passed:
    """Return the bytes on chip of outputs on their way to where the layers behind find them as inputs."""
    total = sum(arch.bytes_of("output", task.elements) for task in lowered.tasks if task.writes in lowered.kept)
    return {("output", "read"): total, ("input", "write"): total}
