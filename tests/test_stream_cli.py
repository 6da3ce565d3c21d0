"""`tiletick stream`: what it prints, the JSON of the contract, and its exit status."""

from __future__ import annotations

import json

import pytest

from sim import cli, library


def stream(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = cli.main(["stream", *words])
    return status, capsys.readouterr().out


def test_json_has_the_keys_of_the_contract(capsys) -> None:
    status, out = stream(capsys, "attention/naive", "--set", "n=32", "--set", "latency=2", "--json", "-")
    result = json.loads(out)
    assert (status, result["cycles"], result["deadlock"]) == (0, 1424, None)
    assert set(result["channels"]) == set("qkvabsdo")
    assert {"depth", "peak_occupancy", "stall_cycles"} <= set(result["channels"]["b"])
    assert result["channels"]["b"]["depth"] == 34
    for channel in result["channels"].values():
        assert channel["stall_cycles"] == channel["full_cycles"] + channel["empty_cycles"]
        assert 0 < channel["peak_occupancy"] <= channel["depth"]
    assert stream(capsys, "attention/naive", "--set", "n=32", "--set", "latency=2", "--json", "-") == (0, out)


def test_a_deadlock_exits_1_and_names_who_waits(capsys) -> None:
    status, out = stream(capsys, "attention/naive", "--set", "long_depth=61", "--json", "-")
    result = json.loads(out)
    assert (status, result["cycles"], result["stopped_at"]) == (1, None, 65)
    waits = {item["unit"]: (item["channel"], item["state"]) for item in result["deadlock"]}
    assert waits == {
        "q": ("q", "full"), "k": ("k", "full"), "v": ("v", "full"), "exp": ("b", "full"), "sum": ("a", "empty"),
        "div": ("s", "empty"), "mv": ("d", "empty"), "sink": ("o", "empty"),
    }  # fmt: skip
    assert [item["unit"] for item in result["explanation"]["waiting_cycle"]] == ["exp", "div", "sum"]
    assert result["explanation"]["smallest_change"] == {"b": 62}


def test_the_ring_counts_what_is_short(capsys) -> None:
    """The sum needs a whole row of 64 scores before it pushes, and what it has is what the long FIFO let through."""
    _, out = stream(capsys, "attention/naive", "--set", "long_depth=40", "--json", "-")
    ring = {item["unit"]: item for item in json.loads(out)["explanation"]["waiting_cycle"]}
    got = json.loads(out)["channels"]["a"]["tokens"]
    assert ring["sum"]["tokens_short"] == 64 - got
    assert ring["div"]["tokens_short"] == ring["exp"]["tokens_short"] == 1
    _, out = stream(capsys, "attention/naive", "--set", "long_depth=40")
    assert f"  sum cannot pop from a: empty until exp pushes {64 - got} times (since cycle " in out


def test_text_tells_units_channels_and_totals(capsys) -> None:
    status, out = stream(capsys, "attention/naive")
    assert status == 0
    assert "  4,163 = 4.163 us at 1 GHz, to the end of the last unit" in out
    assert "b        exp   div    4,096     66    66      0      2\n" in out


def test_text_tells_a_deadlock(capsys) -> None:
    status, out = stream(capsys, "attention/scaled", "--set", "n=16", "--set", "long_depth=13")
    assert status == 1
    assert "nothing moves after cycle" in out
    assert "Deadlock: each of these waits for the next, and the last for the first\n" in out
    assert out.endswith("The smallest change that frees it: --set channels.b.depth=14 --set channels.f.depth=14\n")


def test_sizing_stands_beside_the_result(capsys) -> None:
    status, out = stream(capsys, "attention/naive", "--set", "n=16", "--size-fifos", "--json", "-")
    sizing = json.loads(out)["sizing"]
    assert status == 0
    assert sizing["channels"]["v"] == {"depth": 2, "peak_occupancy": 20}
    assert sizing["cost"]["depth"]["bits"] == 32 * sum(c["depth"] for c in sizing["channels"].values())
    assert sizing["curve"][-1]["cycles"] == sizing["cycles"] == 16 * 16 + 16 + 3
    status, out = stream(capsys, "attention/naive", "--set", "n=16", "--size-fifos")
    assert "Least depths that keep 275 cycles; none can lose a slot, and no depths of fewer bits keep it\n" in out
    assert "\nv            2              20\n" in out


LOOP = """\
name: loop
units:
  a: {kind: map, firings: 3, pop: {back: each}, push: x}
  b: {kind: map, firings: 3, group: 3, pop: x, push: {back: {last: 3}}}
  c: {kind: source, firings: 3, push: y}
  d: {kind: zip, firings: 3, group: 3, pop: {y: each, z: each}, push: w}
  e: {kind: sink, firings: 3, pop: w}
  f: {kind: map, firings: 3, pop: v, push: z}
  g: {kind: zip, firings: 6, group: 6, pop: {u: {first: 3}, t: {first: 3}}, push: {v: {last: 3}, t: {last: 3}}}
  h: {kind: source, firings: 3, push: u}
channels: {back: {initial: 1}, t: {initial: 2}}
"""


def test_a_deadlock_that_no_depth_frees_is_told_and_not_sized(capsys, tmp_path, monkeypatch) -> None:
    """g pops three tokens of its own loop, which holds two, before it pushes any."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.yaml").write_text(LOOP)
    status, out = stream(capsys, "loop.yaml", "--size-fifos")
    assert status == 1
    assert "  g cannot pop from t: empty until g pushes (since cycle " in out
    assert out.endswith("No depth frees it: the loop lacks tokens, not slots.\n")
    assert "Least depths" not in out


def test_graphs_are_listed_and_found_by_name_and_by_path(capsys) -> None:
    assert cli.main(["list", "graphs"]) == 0
    listed = capsys.readouterr().out
    for name in library.names("graph"):
        assert name in listed
    path = library.root() / "workloads" / "graphs" / "attention" / "naive.yaml"
    assert stream(capsys, str(path)) == stream(capsys, "attention/naive")


def test_an_unknown_graph_is_told(capsys) -> None:
    assert cli.main(["stream", "attention/niave"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("unknown graph 'attention/niave'; did you mean 'attention/naive'? choose from: ")


@pytest.mark.parametrize("name", library.names("graph"))
def test_every_bundled_graph_runs(name: str, capsys) -> None:
    assert stream(capsys, name)[0] == 0


def test_show_tells_a_graph(capsys, tmp_path) -> None:
    assert cli.main(["show", "attention/naive", "--set", "n=8"]) == 0
    out = capsys.readouterr().out
    told = [" ".join(line.split()) for line in out.splitlines()]
    assert "exp zip 64 1 1 1 x pop q, k; push a, b | 7 x pop k; push a, b" in told
    assert "b exp div 64 10 32 0 1 1" in told
    copy = tmp_path / "naive.yaml"
    copy.write_text((library.root() / "workloads/graphs/attention/naive.yaml").read_text())
    assert cli.main(["show", str(copy), "--set", "n=8"]) == 0
    assert capsys.readouterr().out == out
    assert cli.main(["show", "attention/niave"]) == 2
    assert capsys.readouterr().err.startswith("unknown graph 'attention/niave'; did you mean 'attention/naive'? ")


@pytest.mark.parametrize("name", library.names("graph"))
def test_every_bundled_graph_can_be_shown(name: str, capsys) -> None:
    assert cli.main(["show", name]) == 0
    assert capsys.readouterr().out.startswith(name)
