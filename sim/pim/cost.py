"""What work in the banks takes, each piece a program of its own on closed banks: cycles, commands, where time goes.

    gemv(device, 4096, 1024).cycles

A piece is simulated command by command once and remembered by what it depends on; the device is part of it, so that
every chip with the same device and settings profits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sim.errors import ConfigError, Problem
from sim.pim.channel import Channel
from sim.pim.device import Device
from sim.pim.gemv import Layout, program, reads
from sim.pim.heads import Cached, Keys
from sim.pim.program import Instruction


@dataclass(frozen=True)
class Cost:
    """What a program takes. `commands` are those of all channels, `clocks` lie on the channel that ends last.

    `chunks` is in how many reads the results come, evenly over the time; `rows` of every unit hold its operand;
    `closing` clocks behind the end all banks are closed again.
    """

    cycles: int
    commands: Mapping[str, int]
    clocks: Mapping[str, int]
    refreshes: int
    chunks: int = 1
    rows: int = 0
    closing: int = 0


def gemv(device: Device, outputs: int, inputs: int, order: str | None = None) -> Cost:
    """Return what a matrix of `outputs` by `inputs` times a vector takes; `order` as in the device where left out.

    Whether it fits is for `Layout.check` to say.
    """
    layout = Layout(device, outputs, inputs, order)
    return _known(device, ("gemv", outputs, inputs, layout.order), lambda: _cost(
        device, [(program(layout), device.spec.channels)], layout.rows
    ))  # fmt: skip


def scores(device: Device, heads: int, size: int, keys: int) -> Cost:
    """Return what one query of each head times `keys` keys of `size` elements takes."""
    if size * device.element > device.spec.buffer:
        return repeated(gemv(device, keys, size), heads)
    layout = Keys(device, heads, size, keys)
    return _known(device, ("keys", heads, size, layout.groups), lambda: _cost(
        device, [(layout.program(), device.spec.channels)], layout.rows
    ))  # fmt: skip


def weighted(device: Device, heads: int, size: int, keys: int) -> Cost:
    """Return what the sum of `keys` values of `size` elements with the weights of one query of each head takes."""
    return _weighted(spread(device, heads, size, keys))


def spread(device: Device, heads: int, size: int, keys: int) -> Cached:
    """Return the values with each head spread over as many channels as take the least time, few before many.

    What decides is the time with a full global buffer, so that values stay where they are while the cache grows.
    """
    one = Cached(device, heads, size, 1)
    choices = range(1, min(one.needed, device.spec.channels) + 1)
    best = min((Cached(device, heads, size, one.length, each) for each in choices), key=lambda c: _weighted(c).cycles)
    return Cached(device, heads, size, keys, best.spread)


def _weighted(layout: Cached) -> Cost:
    device, bursts = layout.device, tuple(-(-part // layout.device.lanes) for part in layout.parts)
    return _known(device, ("values", layout.heads, layout.size, bursts, layout.spread), lambda: _cost(
        device, [(layout.program(), device.spec.channels)], layout.rows
    ))  # fmt: skip


def append(device: Device, what: str, heads: int, size: int, past: int, new: int) -> Cost:
    """Return what writing `new` tokens behind `past` takes; `what`: "scores" for keys, "values" for values."""
    if what == "scores" and size * device.element <= device.spec.buffer:
        keys = Keys(device, heads, size, past + new)
        return _known(device, ("append keys", heads, size, past, new), lambda: _cost(device, keys.append(past)))
    if what == "scores":
        return moved(device, heads * size * new * device.element, "write")
    values = spread(device, heads, size, past + new)
    return _known(device, ("append values", heads, size, past, new), lambda: _cost(device, values.append(past)))


def moved(device: Device, count: int, does: str) -> Cost:
    """Return what reading or writing ("read", "write") `count` bytes, spread over all channels, takes."""
    bursts = -(-count // (device.spec.burst * device.spec.channels))
    return _known(device, (does, bursts), lambda: _cost(
        device, [(_stream(device, bursts, does), device.spec.channels)]
    ))  # fmt: skip


def _stream(device: Device, bursts: int, does: str) -> Iterator[Instruction]:
    """Yield what goes over the pins of a channel: rows behind each other, bank after bank."""
    operation, row = access(device, does), device.spec.organization["Column"]
    for index, start in enumerate(range(0, bursts, row)):
        place, bank = divmod(index, device.banks)
        row_number = place % device.spec.organization["Row"]
        yield Instruction(operation, min(row, bursts - start), row_number, bank=bank)


def access(device: Device, does: str) -> str:
    """Return the operation that reads or writes a bank; ConfigError where the device has none."""
    found = next((name for name in device.spec.operations if device.does(name).does == does), None)
    if found is None:
        told = f"PIM device '{device.name}' has no operation that does {does} to a bank, which a network needs"
        raise ConfigError(Problem(f"{told}; add a command and an operation for it"))
    return found


def repeated(cost: Cost, times: int) -> Cost:
    """Return what a piece takes `times` times, one after the other, rows closed in between."""
    if times == 1:
        return cost
    between = cost.closing * (times - 1)
    clocks = {cause: clocks * times for cause, clocks in cost.clocks.items()}
    return Cost(
        cost.cycles * times + between, {name: count * times for name, count in cost.commands.items()},
        clocks | {"row_switch": clocks.get("row_switch", 0) + between}, cost.refreshes * times,
        cost.chunks * times, cost.rows * times, cost.closing,
    )  # fmt: skip


def _known(device: Device, key: tuple[object, ...], make: Callable[[], Cost]) -> Cost:
    if key not in device.known:
        device.known[key] = make()
    found: Cost = device.known[key]
    return found


def _cost(device: Device, programs: Iterable[tuple[Iterable[Instruction], int]], rows: int = 0) -> Cost:
    """Return what programs on different channels, side by side, take together."""
    commands, slowest = Counter[str](), Channel(device)
    for each, count in programs:
        channel = Channel(device)
        channel.run(each)
        commands.update({name: issued * count for name, issued in channel.counts.items()})
        slowest = max(slowest, channel, key=lambda one: one.end)
    read = slowest.counts[device.command("read_registers")] // reads(device)
    refreshes = slowest.counts[device.command("refresh")]
    return Cost(
        slowest.end, dict(commands), dict(slowest.clocks), refreshes, max(1, read), rows, slowest.closing
    )
