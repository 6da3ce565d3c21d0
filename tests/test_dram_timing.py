"""Every gap between commands, of every device: refused one clock before, legal at it."""

from typing import Any

import pytest
from hypothesis import strategies as st

from sim import library
from sim.dram import load
from sim.dram.hierarchy import Hierarchy
from sim.dram.timing import SHIFT, Timing
from tests.dram_oracle import Oracle, tree_of
from tests.laws import law

DEVICES = library.names("dram")


def _target(tree: Hierarchy, scope: str, node: int, level: str, sibling: bool) -> int:
    """Return a node of `scope` within the node of `level`, or within the one beside it."""
    depth = tree.depth[level]
    inside = tree.beside(depth, node)[0] if sibling else node
    deeper = tree.depth[scope]
    return tree.inside(depth, inside, deeper)[-1] if deeper >= depth else tree.above(depth, inside, deeper)


@pytest.mark.parametrize("name", DEVICES)
def test_each_constraint_alone_holds_to_the_clock(name: str) -> None:
    """Two ranks, so that gaps between ranks are there; the preceding command comes as often as its window says."""
    device = load(name, {"organization.Rank": 2} if "Rank" in load(name).spec.levels else {})
    spec, tree = device.spec, tree_of(device)
    for key, gap in spec.constraints.items():
        timing = Timing(tree, spec.commands, [(key, gap, spec.clocks(gap.latency))])
        fresh = list(timing.ready)
        depth = tree.depth[gap.level]
        where = tree.nodes[depth] // 2
        for first in gap.preceding:
            for second in gap.following:
                timing.ready[:] = fresh
                for history in timing._history.values():
                    history.clear()
                for times in range(gap.window):
                    node = _target(tree, spec.commands[first].scope, where, gap.level, False)
                    timing.issue(timing.names.index(first), node, 1000 + times)
                wait = spec.clocks(gap.latency) + spec.commands[first].cycles - spec.commands[second].cycles
                bus = spec.commands[first].cycles if spec.commands[first].bus == spec.commands[second].bus else 0
                node = _target(tree, spec.commands[second].scope, where, gap.level, gap.sibling)
                bound = max(1000 + wait if wait > 0 else 0, 1000 + gap.window - 1 + bus if bus > 1 else 0)
                assert timing.clock(second, node) == bound, (key, first, second)


@law(st.data(), quick=40, full=500)
def test_tables_agree_with_the_history(data: Any) -> None:
    """Any command at any node after any history may come exactly when the constraints, read one by one, allow it."""
    name = data.draw(st.sampled_from(DEVICES))
    device = load(name, {"organization.Rank": 2} if "Rank" in load(name).spec.levels else {})
    spec, oracle = device.spec, Oracle(device)
    gaps = [(key, gap, spec.clocks(gap.latency)) for key, gap in spec.constraints.items()]
    timing, clock = Timing(oracle.tree, spec.commands, gaps), 1
    for _ in range(data.draw(st.integers(1, 25))):
        command = data.draw(st.integers(0, len(timing.names) - 1))
        node = data.draw(st.integers(0, oracle.tree.nodes[timing.scopes[command]] - 1))
        allowed = timing.when(command, node)
        assert allowed >> SHIFT == oracle.earliest(timing.names[command], node)
        clock = max(clock + data.draw(st.sampled_from((0, 0, 1, 3, 40))), allowed >> SHIFT)
        timing.issue(command, node, clock)
        oracle.issue(timing.names[command], node, clock)
