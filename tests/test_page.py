"""Laws of the page of a run: its figures are the JSON's, names cannot break it, and it loads nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import sim
from sim.cli import main
from sim.report.page import to_page
from sim.report.windows import by_window, edges_of
from sim.result import Result
from sim.timeline import CAUSES
from tests.laws import law, runs_of_stages

NASTY = "a\"b'c</script><script>alert(1)</script><b onload=x>&amp;\x07" + "long" * 50
VOID = {"meta", "line", "rect", "circle", "path"}


class Reader(HTMLParser):
    """Reads the tables of a page (by id: rows of (text, value)), and that every element ends where it must."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.tags, self.tables, self.attributes = [], [], {}, []
        self.table, self.text = None, ""
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.table = self.tables.setdefault(found["id"], [])
        elif tag == "tr":
            self.table.append([])
        elif tag == "td":
            self.table[-1].append(["", float(found["data-value"]) if "data-value" in found else None])

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "td" in self.open:
            self.table[-1][-1][0] += data

    def column(self, table, index):
        rows = [row for row in self.tables[table] if row]
        return [row[index][1] for row in rows]


@pytest.fixture(scope="module")
def result():
    return sim.run("edge_tpu_like", "mobilenet_v2", layers="stage[23].*", record=True)


@pytest.fixture(scope="module")
def page(result):
    return to_page(result, sim.load_arch("edge_tpu_like"), "tiletick run edge_tpu_like mobilenet_v2")


def test_layers_on_the_page_are_those_of_the_json_and_add_up_to_the_same(result, page):
    data, read = json.loads(result.to_json()), Reader(page)
    rows = [row for row in read.tables["layers"] if row]
    assert [row[1][0] for row in rows[:-1]] == [layer["op"] for layer in data["layers"]]
    for index, key in ((3, "start"), (4, "cycles"), (7, "macs"), (8, "utilization"), (11, "energy_pj")):
        assert [row[index][1] for row in rows[:-1]] == [layer[key] for layer in data["layers"]]
    off_chip = sum(sum(operands.values()) for operands in data["traffic_bytes"]["dram"].values())
    assert rows[-1][7][1] == data["macs"] == sum(row[7][1] for row in rows[:-1])
    assert rows[-1][10][1] == off_chip == sum(row[10][1] for row in rows[:-1])
    assert rows[-1][11][1] == pytest.approx(sum(layer["energy_pj"] for layer in data["layers"]))


def test_units_energy_traffic_and_dram_on_the_page_are_those_of_the_json(result, page):
    data, read = json.loads(result.to_json()), Reader(page)
    units = [row for row in read.tables["units"] if row]
    for row, (name, unit) in zip(units, data["units"].items(), strict=True):
        assert row[0][0] == name and row[-1][1] == data["cycles"]
        assert [cell[1] for cell in row[1:-1]] == [unit["cycles"][cause] for cause in CAUSES]
    parts = read.column("energy", 1)
    assert parts[-1] == data["energy_pj"]["total"] == pytest.approx(sum(parts[:-1]))
    moved = [n for ways in data["traffic_bytes"].values() for operands in ways.values() for n in operands.values()]
    assert read.column("traffic", 3) == moved
    assert read.column("compulsory", 2) == list(data["compulsory_bytes"].values())
    assert read.column("dram", 1) == list(data["dram"]["dram"].values())
    assert data["provenance"]["arch_sha256"] in page and f"{data['cycles']:,}" in page


@law(runs_of_stages(), quick=20, full=500)
def test_windows_hold_the_cycles_of_each_cause_and_are_full(case):
    from sim.engine import Engine

    arch, stages = case
    timeline = Engine(arch, record=True).run(stages)
    edges = edges_of(timeline.cycles, 7)
    for ledger in timeline.ledgers.values():
        found = by_window(ledger, edges)
        for cause, cycles in ledger.by_cause().items():
            assert found[cause].min() >= -1e-6
            assert found[cause].sum() == pytest.approx(cycles, abs=1e-6)
        assert sum(found.values()) == pytest.approx(edges[1] - edges[0], abs=1e-6)


def test_windows_are_the_same_without_fast_forward():
    """Iterations of a settled loop are alike, so windows that hold many of them agree."""
    runs = [sim.run("tiny_4x4", "gemm:96x64x200", record=True, fast_forward=on) for on in (True, False)]
    edges = edges_of(runs[0].cycles, 5)
    for name in runs[0].units:
        one, other = (by_window(run.timeline.ledgers[name], edges) for run in runs)
        for cause in CAUSES:
            assert one[cause] == pytest.approx(other[cause], abs=0.02 * (edges[1] - edges[0]))


def test_names_cannot_break_the_page(result):
    layers = tuple(replace(layer, name=f"{NASTY}{i}", fused=(NASTY,)) for i, layer in enumerate(result.layers))
    missing = ({"what": NASTY, "where": [NASTY]},)
    nasty = replace(
        result, arch=NASTY, workload=NASTY, layers=layers, not_modelled=missing, notes=missing,
        provenance={**result.provenance, "overrides": {NASTY: NASTY}},
    )  # fmt: skip
    page = to_page(nasty, sim.load_arch("edge_tpu_like").model_copy(update={"name": NASTY}), NASTY)
    read = Reader(page)
    assert read.tags.count("script") == 1
    assert not [key for key, _ in read.attributes if key.startswith("on")]
    assert "\x07" not in page and NASTY.replace("\x07", "\N{REPLACEMENT CHARACTER}") in read.text
    assert next(row[0][0] for row in read.tables["layers"] if row).startswith(NASTY[:20])


def test_a_page_asks_for_nothing_outside_itself(page):
    read = Reader(page)
    assert not {key for key, _ in read.attributes} & {"src", "href", "srcset", "action"}
    assert not re.search(r"url\((?!#)|@import|https?://", page)
    assert any(value.startswith("default-src 'none'") for key, value in read.attributes if key == "content")


def test_a_result_without_layers_time_or_timeline_has_a_page(result):
    empty = replace(
        result, layers=(), cycles=0, seconds=0.0, macs=0, utilization=0.0, units={}, traffic_bytes={}, buffers={},
        energy_pj={"total": 0.0, "by_component": {}, "by_action": {}}, dram={}, compulsory_bytes={}, timeline=None,
    )  # fmt: skip
    assert "No layer loses a cycle." in Reader(to_page(empty)).text
    still = replace(result.layers[0], cycles=0, macs=0, causes={}, traffic_bytes={}, energy_pj=0.0, fused=())
    assert len(Reader(to_page(replace(result, layers=(still,)))).tables["layers"]) == 3


@pytest.mark.parametrize("words", ["array gemv:8x8", "eyeriss_jssc17 eyeriss_layers", "tpu_v1 gemm:300x300x300"])
def test_chips_of_every_kind_have_a_page(words):
    arch, network = words.split()
    read = Reader(to_page(sim.run(arch, network, record=True), sim.load_arch(arch)))
    assert f"The chip: {arch}" in read.text


def test_a_result_that_was_read_has_the_same_page_but_for_the_time(result):
    again = Result.from_dict(json.loads(result.to_json()))
    assert to_page(again) == to_page(replace(result, timeline=None))


def test_run_writes_the_page_and_says_how_to_get_it_again(tmp_path, capsys):
    target = tmp_path / "page.html"
    words = ["run", "tiny_4x4", "gemm:9x9x9", "--set", "array.rows=2", "--layers", "g*", "--report", str(target)]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("gemm:9x9x9 on tiny_4x4")
    assert "tiletick run tiny_4x4 gemm:9x9x9 --set array.rows=2 --layers 'g*'" in Reader(target.read_text()).text


def test_banks_that_multiply_have_a_page_with_their_time(tmp_path):
    target = tmp_path / "page.html"
    assert main(["run", "gddr6_aim", "gemv:1024x1024", "--report", str(target)]) == 0
    read = Reader(target.read_text())
    assert "banks" in [row[0][0] for row in read.tables["units"] if row]
    assert "banks (pim): " in read.text and "gemv:1024x1024 on gddr6_aim" in read.text


def test_a_fabric_has_a_page_without_bands(tmp_path):
    target = tmp_path / "page.html"
    assert main(["run", "streaming_fabric", "attention:1x2x64x16", "--report", str(target)]) == 0
    read = Reader(target.read_text())
    assert "The chip: streaming_fabric" in read.text and "of the time computes" not in read.text


def test_a_page_that_cannot_be_written_is_a_mistake(capsys):
    assert main(["run", "tiny_4x4", "gemm:9x9x9", "--report", "/nowhere/page.html"]) == 2
    assert capsys.readouterr().err == "/nowhere/page.html: cannot be written: No such file or directory\n"


def test_page_and_json_cannot_share_a_target(capsys):
    assert main(["run", "tiny_4x4", "gemm:9x9x9", "--report", "-", "--json", "-"]) == 2
    assert capsys.readouterr().err == "--json and --report cannot both go to '-'\n"


@pytest.mark.parametrize("name", ["edge_tpu_like", "eyeriss", "pim_gpt", "finn_zcu104", "npu_fabric_pim", "array"])
def test_a_chip_shows_its_table_and_its_picture_in_a_notebook(name):
    shown = sim.load_arch(name)._repr_html_()
    assert "<table" in shown and shown.count("<svg") == 1 and "off-chip memory" in shown
    assert not re.search(r"url\(|https?://|<script", shown)
    assert all(unit in shown for unit in sim.load_arch(name).units)
