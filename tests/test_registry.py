"""Names to things: taken names, aliases, scanning, and a notebook cell that is run twice."""

from __future__ import annotations

import pytest

from sim.arch import MEMORIES, UNITS
from sim.dataflow import DATAFLOWS
from sim.errors import TiletickError
from sim.reference.grid import GRIDS
from sim.registry import Registry


def test_what_is_registered_is_found_under_its_name_and_its_aliases() -> None:
    things: Registry[int] = Registry("thing")
    assert things.register("one", "uno", "un")(1) == 1
    assert (things["one"], things["uno"], things.canonical("un")) == (1, 1, "one")
    assert "uno" in things and "two" not in things and list(things) == ["one"]


def test_a_name_that_is_taken_is_refused_and_nothing_changes() -> None:
    things: Registry[int] = Registry("thing")
    things.register("one", "uno")(1)
    for names in (("one",), ("uno",), ("two", "uno")):
        with pytest.raises(TiletickError) as caught:
            things.register(*names)(2)
        assert str(caught.value) == f"thing '{names[-1]}' is registered already"
    assert list(things) == ["one"] and things["uno"] == 1


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    things: Registry[int] = Registry("thing")
    things.register("one", "uno")(1)
    with pytest.raises(TiletickError) as caught:
        things["onne"]
    assert str(caught.value) == "unknown thing 'onne'; did you mean 'one'? choose from: one, uno"


def test_what_is_unregistered_leaves_no_alias_and_may_come_again() -> None:
    things: Registry[int] = Registry("thing")
    things.register("one", "uno")(1)
    things.register("two", "due")(2)
    things.unregister("one")
    assert "one" not in things and "uno" not in things and things["due"] == 2
    things.register("one", "uno")(3)  # the cell is run once more
    assert things["uno"] == 3
    things.unregister("nothing")  # the first run of such a cell
    assert list(things) == ["one", "two"]


def test_an_alias_cannot_be_unregistered_by_itself() -> None:
    things: Registry[int] = Registry("thing")
    things.register("one", "uno")(1)
    things.unregister("uno")
    assert things["uno"] == 1


def test_the_folder_is_scanned_at_the_first_look() -> None:
    """Dataflows, units, memories and register-level models are each one file that nobody lists."""
    assert {"os", "ws", "is"} <= set(DATAFLOWS) and {"os", "ws", "is"} <= set(GRIDS)
    assert {"systolic", "vector"} <= set(UNITS) and {"ideal", "simple"} <= set(MEMORIES)
