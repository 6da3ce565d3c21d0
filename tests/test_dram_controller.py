"""Laws of the controllers: legal commands, every request served, bandwidth bounded, refresh kept, time jumps exact."""

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import library
from sim.dram import Controller, Device, load
from sim.dram.patterns import PATTERNS, Shape
from tests.dram_oracle import accesses, check_log
from tests.laws import law

DEVICES = library.names("dram")
PER_BANK = [name for name in DEVICES if "REFpb" in load(name).spec.commands]


@st.composite
def devices(draw: Any) -> Device:
    """A device with some mapping, policies and queues, and refresh so often that short streams meet it."""
    name = draw(st.sampled_from(DEVICES))
    spec = load(name).spec
    low, high = sorted(draw(st.lists(st.sampled_from((0.1, 0.2, 0.5, 0.8, 1.0)), min_size=2, max_size=2)))
    overrides = {
        "mapping": draw(st.permutations(spec.mapping)), "refresh": draw(st.sampled_from(("all_bank", "off"))),
        "row_policy": draw(st.sampled_from(("open", "closed"))), "row_cap": draw(st.sampled_from((0, 1, 4))),
        "read_queue": draw(st.sampled_from((1, 4, 32))), "write_queue": draw(st.sampled_from((1, 4, 32))),
        "write_low": low, "write_high": high, "channels": draw(st.sampled_from((1, 1, 2))),
    }  # fmt: skip
    if name in PER_BANK and draw(st.booleans()):
        overrides |= {"refresh": "per_bank", "tREFIpb": spec.timing["tRFCpb"].cycles + 20}
    elif overrides["refresh"] == "all_bank":
        overrides["tREFI"] = spec.timing["tRFC"].cycles + draw(st.sampled_from((60, 600)))
    return load(name, overrides)


@st.composite
def batches(draw: Any, device: Device) -> tuple[list[int], list[bool], int]:
    """Addresses that meet in rows and banks, whether each is a write, and the clock from which they arrive."""
    near = draw(st.sampled_from((64, 4096, device.capacity // device.burst)))
    bursts = draw(st.lists(st.integers(0, near - 1), min_size=1, max_size=60))
    writes = draw(st.lists(st.booleans(), min_size=len(bursts), max_size=len(bursts)))
    return [burst * device.burst for burst in bursts], writes, draw(st.sampled_from((0, 0, 50, 3000)))


def serve(device: Device, batches: list[tuple[list[int], list[bool], int]], ticks: bool = False) -> Controller:
    """Return a controller that has served the batches, one clock at a time with `ticks`."""
    controller = Controller(device, per_clock=2, log=True)
    transfers = [controller.submit(np.array(a), np.array(w), since) for a, w, since in batches]
    for transfer in transfers:
        while ticks and not transfer.done:
            for part in controller.parts:
                part.step(part.clock + 1)
        assert controller.finish(transfer) == transfer.last
        assert transfer.done
    controller.advance(max(part.clock for part in controller.parts))
    return controller


@law(st.data(), quick=30, full=400)
def test_commands_are_legal_and_every_request_is_served(data: Any) -> None:
    device = data.draw(devices())
    work = [data.draw(batches(device)) for _ in range(data.draw(st.integers(1, 3)))]
    controller = serve(device, work)
    counters = controller.counters
    answered = counters.reads + counters.writes + counters.forwarded + counters.merged
    assert answered == sum(len(addresses) for addresses, _, _ in work)
    needed = counters.reads + counters.writes
    assert counters.row_hits + counters.row_misses + counters.row_conflicts == needed
    for channel in range(device.channels):
        check_log(controller, channel)
    moved = sum(len(accesses(controller, channel)) for channel in range(device.channels))
    assert moved == counters.reads + counters.writes


@law(st.data(), quick=25, full=300)
def test_time_jumps_change_nothing(data: Any) -> None:
    """Going clock by clock issues the same commands at the same clocks as jumping from command to command."""
    device = data.draw(devices())
    work = [data.draw(batches(device))]
    assert serve(device, work, ticks=True).logs == serve(device, work).logs


@law(st.data(), quick=20, full=250)
def test_peak_bandwidth_is_never_exceeded(data: Any) -> None:
    """On every data bus, accesses of one direction are a burst apart, and all together fit in the clocks."""
    device = data.draw(devices())
    controller = serve(device, [data.draw(batches(device))])
    burst, level = device.timing("BL"), "PseudoChannel" if device.buses > 1 else "Channel"
    for channel, part in enumerate(controller.parts):
        tree, latency = part.tree, (device.read_latency, device.write_latency)
        data_at = dict[int, list[int]]()
        for clock, command, bank, _, _ in accesses(controller, channel):
            bus = tree.above(tree.depth["Bank"], bank, tree.depth[level])
            writes = device.spec.commands[part.timing.names[command]].does == "write"
            data_at.setdefault(bus, []).append(clock + latency[writes])
        for clocks in data_at.values():
            gaps = np.diff(np.sort(clocks))
            assert not gaps.size or int(gaps.min()) >= burst


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("refresh", ["all_bank", "per_bank"])
def test_every_interval_has_its_refresh(name: str, refresh: str) -> None:
    """Idle or busy: one refresh a rank (one of a bank) in each interval, as many as intervals passed."""
    if refresh == "per_bank" and name not in PER_BANK:
        with pytest.raises(Exception, match="has no refresh by bank here; choose from: all_bank, off"):
            load(name, {"refresh": refresh})
        return
    device = load(name, {"refresh": refresh})
    interval = device.timing("tREFI" if refresh == "all_bank" else "tREFIpb")
    controller = Controller(device, log=True)
    shape = Shape(300, device.burst, device.capacity, device.burst)
    controller.submit(*PATTERNS["rndR"](shape), since=2 * interval + interval // 2)
    controller.advance(7 * interval - 1)
    part = controller.parts[0]
    ranks = device.ranks if refresh == "all_bank" else 1
    clocks = [c for c, command, *_ in controller.logs[0] if part.timing.names[command].startswith("REF")]
    assert len(clocks) == 6 * ranks == controller.counters.refreshes
    assert [clock // interval for clock in clocks] == [1 + i // ranks for i in range(6 * ranks)]


@pytest.mark.parametrize("name", DEVICES)
def test_channels_interleave(name: str) -> None:
    """Twice the channels, each with half of the requests, take half of the time; reads of one burst go to one."""
    spans = []
    for channels in (1, 2):
        device = load(name, {"channels": channels})
        controller = Controller(device, per_clock=4)
        stream = np.arange(1500 * channels, dtype=np.int64) * device.burst
        spans.append(controller.finish(controller.submit(stream, False)))
        assert {part.counters.reads for part in controller.parts} == {1500}
    assert spans[0] == spans[1]


@pytest.mark.parametrize("name", DEVICES)
def test_a_closed_page_closes_its_rows(name: str) -> None:
    """With row_cap 0 every access of a lone stream closes its row, and no request ever meets another row."""
    device = load(name, {"row_policy": "closed", "row_cap": 0, "refresh": "off"})
    shape = Shape(300, device.burst, device.capacity, device.burst)
    controller = Controller(device)
    controller.finish(controller.submit(*PATTERNS["rndR"](shape)))
    counters = controller.counters
    assert counters.activates == counters.auto_precharges == 300
    assert counters.row_conflicts == counters.row_hits == 0


STREAMS = [("seqR", 1), ("strR", 129), ("strR", 2048)]


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("parameter", ["tRCD", "tRP", "tFAW"])
def test_slower_parameters_are_never_faster_for_one_stream(name: str, parameter: str) -> None:
    """Raising a parameter by a half never lowers the cycles of a stream of reads from one requester.

    One clock of rounding a command is allowed, since first-ready scheduling may take another order. For mixes of
    reads and writes no such law holds: first-ready is a greedy list schedule, and those have anomalies
    (Graham, Bounds on multiprocessing timing anomalies, 1969).
    """
    plain = load(name)
    names = [each for each in (parameter, f"{parameter}RD") if each in plain.spec.timing]
    slower = {f"timing.{each}": plain.timing(each) * 3 // 2 for each in names}
    base = {"tRAS": plain.timing("tRAS") * 2, "tRC": plain.timing("tRC") * 3}  # room for what is raised
    slower |= base
    for pattern, stride in STREAMS:
        shape = Shape(300, stride * plain.burst, plain.capacity, plain.burst)
        cycles = []
        for overrides in (base, slower):
            controller = Controller(load(name, overrides))
            cycles.append(controller.finish(controller.submit(*PATTERNS[pattern](shape))))
            commands = controller.counters.activates + controller.counters.precharges + controller.counters.reads
        assert cycles[1] >= cycles[0] - commands, (pattern, stride, cycles)


@pytest.mark.parametrize("name", DEVICES)
def test_a_slower_clock_is_never_faster_for_one_stream(name: str) -> None:
    """A clock slower by a quarter, all parameters the same times in ns rounded up, never lowers the nanoseconds."""
    plain = load(name)
    slow = {f"timing.{key}": -(-each.cycles * 4 // 5) for key, each in plain.spec.timing.items()}
    kept = {f"timing.{key}": plain.timing(key) for key in ("BL", "tCCD_S", "tCCD", "BLmax") if key in plain.spec.timing}
    slow |= kept | {"tCK": f"{plain.spec.tCK * 5 / 4} ps", "rounding": 1}
    if "tCCD_L" in plain.spec.timing:
        slow["timing.tCCD_L"] = max(slow["timing.tCCD_L"], plain.timing("tCCD_S"))
    for pattern, stride in STREAMS:
        shape = Shape(500, stride * plain.burst, plain.capacity, plain.burst)
        seconds = []
        for overrides in ({}, slow):
            device = load(name, overrides)
            controller = Controller(device)
            last = controller.finish(controller.submit(*PATTERNS[pattern](shape)))
            seconds.append((last * device.clock_seconds, controller.counters))
        commands = seconds[1][1].activates + seconds[1][1].precharges + seconds[1][1].reads
        assert seconds[1][0] >= seconds[0][0] - commands * plain.clock_seconds * 5 / 4


@law(st.data(), quick=15, full=150)
def test_equal_states_go_on_equally(data: Any) -> None:
    """The same work later leaves the same state, counted from then, and what follows takes as long."""
    plain = data.draw(devices())
    device = Device(plain.spec.model_copy(update={"refresh": "off"}))
    first, second, later = Controller(device), Controller(device), 2 * data.draw(st.integers(1, 5000))
    addresses, writes, _ = data.draw(batches(device))
    ends = []
    for controller, since in ((first, 0), (second, later)):
        controller.finish(controller.submit(np.array(addresses), np.array(writes), since))
        ends.append(max(part.clock for part in controller.parts))
        controller.advance(ends[-1])
    assert ends[1] - ends[0] == later
    assert first.state(ends[0]) == second.state(ends[1])
    more, also, _ = data.draw(batches(device))
    spans = [c.finish(c.submit(np.array(more), np.array(also), end)) - end
             for c, end in zip((first, second), ends, strict=True)]  # fmt: skip
    assert spans[0] == spans[1]
