"""Energy tables equal their sources, the rules between the figures keep their laws, and accounts add up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import energy
from sim.energy.schema import FLOATS, INTEGERS, RECIPES, load_schema
from sim.errors import ConfigError
from sim.kernel import LANE_OPERATIONS

TABLES = {name: energy.load(name) for name in energy.names()}
KIB = 1024
Write = Callable[[str], str]

# Horowitz, ISSCC 2014, 45 nm at 0.9 V, pJ.
HOROWITZ = {
    "add": {"int8": 0.03, "int32": 0.1, "fp16": 0.4, "fp32": 0.9},
    "mul": {"int8": 0.2, "int32": 3.1, "fp16": 1.1, "fp32": 3.7},
}
# Jouppi et al., ISCA 2021, Table 2, 7 nm, pJ.
JOUPPI = {
    "add": {"int8": 0.007, "int32": 0.03, "bf16": 0.11, "fp16": 0.16, "fp32": 0.38},
    "mul": {"int8": 0.07, "int32": 1.48, "bf16": 0.21, "fp16": 0.34, "fp32": 1.31},
}
# CACTI 7, one read-write port, one bank, 300 K: table, KiB, bits, read pJ, write pJ, leakage mW, area mm2.
CACTI = [
    ("45nm", 1, 64, 1.6697, 3.4916, 0.00004, 0.0036),
    ("45nm", 8, 64, 6.137, 7.8781, 0.00026, 0.02627),
    ("45nm", 1024, 64, 93.5192, 76.1829, 0.02496, 3.26283),
    ("45nm", 16384, 64, 351.272, 317.603, 0.39673, 47.4069),
    ("45nm_hp", 1024, 64, 67.6875, 55.8938, 497.338, 3.16951),
    ("22nm", 64, 64, 5.6696, 4.4275, 0.00977, 0.0586),
    ("22nm_hp", 8, 64, 1.504, 1.6859, 0.75716, 0.00627),
    ("32nm", 512, 64, 34.8157, 29.1488, 0.02126, 0.93877),
    ("65nm", 128, 64, 59.3358, 49.595, 0.02161, 0.89644),
]
# The same at 45 nm and other widths: KiB, bits, read pJ, write pJ.
PORTS = [
    (8, 16, 4.7983, 3.2431), (8, 512, 31.896, 46.4716), (64, 128, 39.332, 36.0435), (128, 32, 25.3015, 16.8831),
    (128, 512, 97.7725, 198.375), (1024, 16, 46.0031, 36.361), (1024, 256, 251.863, 245.286),
]  # fmt: skip

sizes = st.floats(min_value=64, max_value=2**28)
widths = st.sampled_from([8, 16, 24, 32, 64, 100, 128, 256, 512, 1024, 4096])
tables = st.sampled_from(sorted(TABLES))


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-9)


def between(a: float, x: float, b: float) -> bool:
    return min(a, b) * (1 - 1e-9) <= x <= max(a, b) * (1 + 1e-9)


def message(error: pytest.ExceptionInfo[ConfigError]) -> str:
    return str(error.value)


@pytest.mark.parametrize(("name", "figures"), [("45nm", HOROWITZ), ("7nm", JOUPPI)])
def test_logic_equals_the_published_figures_and_is_native(name: str, figures: dict[str, dict[str, float]]) -> None:
    for operation, formats in figures.items():
        for number_format, pj in formats.items():
            cost = TABLES[name].lane(operation, number_format)
            assert (cost.pj, cost.derived) == (pj, None)


@pytest.mark.parametrize("row", CACTI, ids=lambda row: f"{row[0]}-{row[1]}KiB")
def test_sram_equals_cacti(row: tuple[str, int, int, float, float, float, float]) -> None:
    name, kib, bits, read, write, milliwatts, area = row
    sram = TABLES[name].sram(kib * KIB, bits)
    assert (sram.read.pj, sram.write.pj, sram.area_mm2) == (near(read), near(write), near(area))
    assert sram.leakage_watts == near(milliwatts / 1000)
    assert sram.read.derived is None


@pytest.mark.parametrize(("kib", "bits", "read", "write"), PORTS)
def test_sram_of_other_widths_equals_cacti(kib: int, bits: int, read: float, write: float) -> None:
    sram = TABLES["45nm"].sram(kib * KIB, bits)
    assert (sram.read.pj, sram.write.pj) == (near(read), near(write))


def test_7nm_sram_equals_jouppi_and_states_neither_leakage_nor_area() -> None:
    for kib, pj in ((8, 7.5), (32, 8.5), (1024, 14)):
        sram = TABLES["7nm"].sram(kib * KIB, 64)
        assert (sram.read.pj, sram.write.pj) == (near(pj), near(pj))
        assert (sram.leakage_watts, sram.area_mm2) == (None, None)


def test_45nm_sram_is_within_a_factor_of_two_of_horowitz() -> None:
    for kib, pj in ((8, 10), (32, 20), (1024, 100)):
        assert pj / 2 < TABLES["45nm"].sram(kib * KIB, 64).read.pj < pj * 2


def test_28nm_sram_stands_where_a_straight_line_from_22_to_32_nm_puts_it() -> None:
    share = math.log(28 / 22) / math.log(32 / 22)
    for kib in (1, 64, 16384):
        low, mid, high = (TABLES[name].sram(kib * KIB, 64) for name in ("22nm", "28nm", "32nm"))
        expected = low.read.pj ** (1 - share) * high.read.pj**share
        assert mid.read.pj == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("node", [22, 28, 32, 65])
def test_logic_of_a_node_without_source_stands_on_the_line_from_45_to_7_nm(node: int) -> None:
    share = math.log(45 / node) / math.log(45 / 7)
    for operation, formats in HOROWITZ.items():
        for number_format, pj in formats.items():
            cost = TABLES[f"{node}nm"].lane(operation, number_format)
            expected = pj * (JOUPPI[operation][number_format] / pj) ** share
            assert cost.pj == pytest.approx(expected, rel=1e-3)
            assert cost.derived and "(ln(45 / " in cost.derived


def test_dram_equals_its_sources() -> None:
    # Accelergy; O'Connor et al., MICRO 2017; Jouppi 2021 (per 64 bits); Horowitz 2014 (per 64 bits, midpoint).
    expected = {"lpddr4": 8, "gddr5": 14, "hbm2": 3.9, "ddr3": 1300 / 64, "ddr4": 1300 / 64,
                "gddr6": (350 + 480) / 2 / 64, "generic": (1300 + 2600) / 2 / 64}  # fmt: skip
    assert TABLES["45nm"].schema.dram.keys() == expected.keys()
    for kind, pj in expected.items():
        reading, writing = TABLES["45nm"].dram(kind)
        assert (reading.pj, writing.pj) == (near(pj), near(pj))
        assert "a write costs what a read costs" in (writing.derived or "")


def test_hbm2_of_two_sources_agrees() -> None:
    # O'Connor et al. give 3.9 pJ per bit, the low end of the 250 to 450 pJ per 64 bits of Jouppi et al.
    assert TABLES["45nm"].dram("hbm2")[0].pj == pytest.approx(250 / 64, rel=0.01)


def test_eyeriss_keeps_the_published_ratios() -> None:
    # Chen et al., ISCA 2016, per 16-bit word: MAC 1, register file 1, inter-PE 2, global buffer 6, DRAM 200.
    table = TABLES["65nm_eyeriss"]
    mac = table.mac("int16", "int16", "int32").pj
    assert table.register(16).pj / mac == near(1)
    assert table.link().pj * 16 / mac == near(2)
    assert table.sram(108 * KIB, 16).read.pj / mac == near(6)
    assert table.sram(4 * KIB, 64).write.pj / mac == near(24)
    assert table.dram("generic")[0].pj * 16 / mac == near(200)


def test_eyeriss_anchor_is_the_multiply_accumulate_of_65nm() -> None:
    anchor = TABLES["65nm_eyeriss"].mac("int16", "int16", "int32")
    assert anchor.pj == pytest.approx(TABLES["65nm"].mac("int16", "int16", "int32").pj, rel=0.01)
    assert anchor.derived and "assumed" in anchor.derived


def test_register_and_link_of_45nm() -> None:
    # Aladdin (ISCA 2014): 7.94 + 1.06 uW a bit at 1 ns. Link: half C V^2 of 5 mm at 0.2 pF/mm and 0.9 V.
    assert TABLES["45nm"].register(16).pj == near(16 * 0.009)
    assert TABLES["45nm"].link().pj == near(0.2 * 5 * 0.9**2 / 2)
    assert "assumption" in TABLES["45nm"].link().source


def test_a_multiply_accumulate_of_native_figures_is_their_sum() -> None:
    cost = TABLES["45nm"].mac("int8", "int8", "int32")
    assert (cost.pj, cost.derived) == (near(0.2 + 0.1), None)
    assert cost.source == "Horowitz, Computing's energy problem, ISSCC 2014"


def test_the_rule_for_missing_floats_predicts_the_measured_bf16() -> None:
    # The line through fp16 and fp32 of the 7 nm table, at the 8 bits of bf16, against Table 2 itself.
    for operation, tolerance in (("mul", 0.07), ("add", 0.03)):
        figures = JOUPPI[operation]
        power = math.log(figures["fp32"] / figures["fp16"]) / math.log(24 / 11)
        assert figures["fp16"] * (8 / 11) ** power == pytest.approx(figures["bf16"], rel=tolerance)


def test_int16_multiplies_stand_between_int8_and_int32_in_log_log() -> None:
    cost = TABLES["45nm"].lane("mul", "int16")
    assert cost.pj == near(math.sqrt(0.2 * 3.1))
    assert cost.derived == "mul int16: log-log in width from int8, int32"


def test_unequal_operands_cost_their_geometric_mean() -> None:
    table = TABLES["45nm"]
    assert table.mac("int4", "int16", "int32").pj == near(table.mac("int8", "int8", "int32").pj)
    assert table.mac("int4", "int8", "int32") == table.mac("int8", "int4", "int32")


def test_an_integer_weight_is_converted_to_the_float_beside_it() -> None:
    cost = TABLES["45nm"].mac("fp16", "int4", "fp32")
    assert (cost.pj, cost.derived) == (near(1.1 + 0.9), "int4 converted to fp16")


@pytest.mark.parametrize(("operation", "muls", "adds"), [(op, m, a) for op, (m, a, _) in RECIPES.items()])
def test_lane_operations_cost_their_steps(operation: str, muls: int, adds: int) -> None:
    cost = TABLES["45nm"].lane(operation, "fp32")
    assert cost.pj == near(muls * 3.7 + adds * 0.9)
    assert cost.derived and cost.derived.startswith(f"{operation} = {muls} mul + {adds} add: ")


def test_composed_recipes_are_the_sum_of_their_parts() -> None:
    exp, div = RECIPES["exp"], RECIPES["div"]
    assert exp[:2] == (6, 6 + 1)
    assert RECIPES["tanh"][:2] == (exp[0] + div[0], exp[1] + div[1] + 2)
    assert RECIPES["erf"][:2] == (5 + 3 + div[0] + exp[0], 5 + 1 + div[1] + exp[1])


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_format_has_a_cost_that_rises_with_its_bits(name: str) -> None:
    for operation in LANE_OPERATIONS:
        for family in (INTEGERS, FLOATS):
            costs = [TABLES[name].lane(operation, number_format).pj for number_format in family]
            assert costs[0] > 0 and costs == sorted(costs)


def test_a_smaller_node_never_costs_more_logic() -> None:
    order = ["65nm", "45nm", "32nm", "28nm", "22nm", "7nm"]
    for operation in LANE_OPERATIONS:
        for number_format in energy.FORMATS:
            costs = [TABLES[name].lane(operation, number_format).pj for name in order]
            assert costs == sorted(costs, reverse=True), (operation, number_format)


@given(tables, sizes, sizes, widths)
def test_a_larger_sram_never_costs_less(name: str, a: float, b: float, bits: int) -> None:
    small, large = (TABLES[name].sram(size, bits) for size in sorted((a, b)))
    assert small.read.pj <= large.read.pj * (1 + 1e-9)
    assert small.write.pj <= large.write.pj * (1 + 1e-9)
    assert (small.area_mm2 or 0) <= (large.area_mm2 or 0) * (1 + 1e-9)


@given(tables, sizes, widths, widths)
def test_a_wider_port_never_costs_less(name: str, size: float, a: int, b: int) -> None:
    narrow, wide = (TABLES[name].sram(size, bits) for bits in sorted((a, b)))
    assert narrow.read.pj <= wide.read.pj * (1 + 1e-9)
    assert narrow.write.pj <= wide.write.pj * (1 + 1e-9)


@given(tables, st.floats(min_value=0, max_value=1), st.data())
def test_sram_stays_between_its_neighbouring_points(name: str, share: float, data: st.DataObject) -> None:
    table = TABLES[name]
    points = table.schema.sram.points
    i = data.draw(st.integers(0, max(0, len(points) - 2)))
    low, high = points[i], points[min(i + 1, len(points) - 1)]
    sram = table.sram(low.capacity ** (1 - share) * high.capacity**share, table.schema.sram.width_bits)
    assert between(low.read, sram.read.pj, high.read)
    assert between(low.write, sram.write.pj, high.write)


def test_beyond_the_ends_the_end_slope_goes_on_and_says_so() -> None:
    table = TABLES["45nm"]
    below, above = table.sram(512, 64), table.sram(32 * KIB * KIB, 64)
    assert below.read.pj == near(1.6697**2 / 2.7557)
    assert above.read.pj == near(351.272**2 / 254.905)
    assert below.read.derived == "extrapolated below 1 KiB by the end slope in log-log"
    assert above.read.derived == "extrapolated above 16 MiB by the end slope in log-log"


def test_ports_beyond_the_widest_stand_side_by_side() -> None:
    sram = TABLES["45nm"].sram(8 * KIB, 2048)
    assert sram.read.pj == near(4 * 31.896)
    assert sram.read.derived and sram.read.derived.endswith("ITRS-LSTP cells, side by side above 512 bits")


def test_derived_figures_say_how() -> None:
    sram = TABLES["22nm"].sram(12 * KIB, 8)
    assert sram.read.derived == (
        "log-log in capacity between 8 KiB and 16 KiB; 8 bits by the ratio to 64 bits of CACTI 7 at 45 nm, "
        "one read-write port, one bank, 300 K, ITRS-LSTP cells, extrapolated below 16 bits"
    )
    eyeriss = TABLES["65nm_eyeriss"].sram(KIB, 64).read.derived
    assert eyeriss and eyeriss.endswith(
        "the one figure there is (108 KiB) for every capacity; 64 bits in proportion to 16"
    )


actions = st.tuples(st.sampled_from(["array", "sram", "dram"]), st.sampled_from(["mac", "read", "write"]))
amounts = st.floats(min_value=0, max_value=1e15)


@given(st.dictionaries(actions, st.tuples(amounts, st.floats(1e-3, 1e4))), st.floats(0, 10), amounts)
def test_an_account_adds_up_three_ways(
    runs: dict[tuple[str, str], tuple[float, float]], watts: float, seconds: float
) -> None:
    counts = {key: count for key, (count, _) in runs.items()}
    costs = {key: energy.Cost(pj, "test") for key, (_, pj) in runs.items()}
    result = energy.account(counts, costs, {"sram": watts}, seconds)
    expected = math.fsum([*(n * pj for n, pj in runs.values()), watts * seconds * 1e12])
    assert result.total_pj == near(expected)
    assert result.total_pj == near(math.fsum(result.by_component.values()))
    assert result.total_pj == near(math.fsum(result.by_action.values()))
    backwards = energy.account(dict(reversed(counts.items())), costs, {"sram": watts}, seconds)
    assert repr(backwards) == repr(result)


def test_an_account_by_hand() -> None:
    counts = {("sram", "read"): 10, ("array", "mac"): 4}
    costs = {("sram", "read"): energy.Cost(2.0, "s"), ("array", "mac"): energy.Cost(0.5, "s")}
    assert energy.account(counts, costs, {"sram": 0.5}, 2e-12) == energy.Energy(
        23.0, {"array": 2.0, "sram": 21.0}, {"array.mac": 2.0, "sram.leakage": 1.0, "sram.read": 20.0}
    )


def test_a_count_without_a_cost_is_an_error() -> None:
    counts = {("dram", "read"): 5, ("array", "mac"): 1, ("acc", "write"): 0}
    with pytest.raises(ConfigError) as error:
        energy.account(counts, {("array", "mac"): energy.Cost(0.5, "s")}, {}, 0)
    assert message(error) == (
        "acc.write: 0 counted, but no energy is given for it; there is energy for: array.mac\n"
        "dram.read: 5 counted, but no energy is given for it; there is energy for: array.mac"
    )


def test_sources_list_every_figure_with_what_it_rests_on() -> None:
    rows = energy.sources(TABLES["45nm"])
    found = {(row.entry, row.format): row for row in rows}
    assert len(found) == len(rows)
    assert found["mul", "int8"] == energy.Row(
        "mul", 0.2, "pJ", 45, 0.9, "int8", "Horowitz, Computing's energy problem, ISSCC 2014", None
    )
    assert found["sram.leakage", "1 MiB x 64 bits"].value == near(24.96e-6)
    assert found["exp", "any"].derived == "6 mul + 7 add"
    assert found["dram.hbm2.write", "1 bit"].derived == "a write costs what a read costs"
    assert all(row.source and row.value > 0 for row in rows)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_loads_in_ten_milliseconds(name: str) -> None:
    spent = []
    for _ in range(5):
        start = time.process_time()
        load_schema(name)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.010


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def save(text: str) -> str:
        (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
        return str(tmp_path / "mine.yaml")

    return save


def failure(path: str) -> str:
    with pytest.raises(ConfigError) as error:
        energy.load(path)
    return message(error).replace(path, "mine.yaml")


def test_a_table_may_extend_another_and_restate_a_figure(write: Write) -> None:
    path = write(
        "extends: 28nm\nabout: ours\nsources: {lab: {text: measured in our lab, node: 28 nm}}\n"
        "operations: {mul: {int8: {value: 0.1 pJ, source: lab}}, exp: {fp16: {value: 3 pJ, source: lab}}}\n"
        "dram: {ddr4: {read: {value: 9 pJ, source: lab}, write: {value: 8 pJ, source: lab}}}\n"
    )
    table = energy.load(path)
    assert table.lane("mul", "int8") == energy.Cost(0.1, "measured in our lab", None)
    assert table.lane("exp", "fp16").pj == 3
    assert table.lane("exp", "fp32").pj == near(3 * (24 / 11) ** 2)
    assert [cost.pj for cost in table.dram("ddr4")] == [9, 8]
    assert table.lane("add", "int8") == TABLES["28nm"].lane("add", "int8")


def test_a_table_that_is_edited_is_read_anew(write: Write, tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("extends: ./mine.yaml\nabout: ours\n", encoding="utf-8")
    for pj in (1, 2):
        figures = f"sources: {{lab: {{text: measured}}}}\nlink: {{value: {pj} pJ, source: lab}}\n"
        write(f"extends: 28nm\nabout: mine\n{figures}")
        assert energy.load(str(tmp_path / "ours.yaml")).link().pj == pj


def test_a_circle_of_tables_is_told_by_whatever_way_it_goes_round(write: Write, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "other.yaml").write_text("extends: ../mine.yaml\nabout: other\n", encoding="utf-8")
    assert "extends this table in turn" in failure(write("extends: below/other.yaml\nabout: mine\n"))


def test_all_problems_of_a_table_are_told_together(write: Write) -> None:
    path = write(
        "extends: 45nm\noperations:\n  mul:\n    int8: {value: 0.2, source: horowitz}\n"
        "    int7: {value: 1 pJ, source: x}\n  ad:\n    int8: {value: 1 pJ, source: horowits}\n"
        "registers: {value: 0 pJ, source: aladdin}\nlink: {value: 3 nm, source: wire}\n"
    )
    formats = "bf16, fp16, fp32, fp4, fp6, fp8, int16, int32, int4, int8"
    cited = "accelergy, aladdin, cacti_45_lstp, horowitz, jouppi_dram, oconnor, wire"
    assert failure(path).splitlines() == [
        "mine.yaml:4: operations.mul.int8.value: energy 0.2 needs a unit, as in '0.9 pJ'",
        f"mine.yaml:5: operations.mul.int7: unknown key 'int7'; did you mean 'int8'? choose from: {formats}",
        f"mine.yaml:5: operations.mul.int7.source: unknown source 'x'; choose from: {cited}",
        "mine.yaml:6: operations.ad: unknown key 'ad'; did you mean 'add'? "
        "choose from: add, div, erf, exp, mac, max, mul, sqrt, tanh",
        "mine.yaml:7: operations.ad.int8.source: unknown source 'horowits'; did you mean 'horowitz'? "
        f"choose from: {cited}",
        "mine.yaml:8: registers.value: energy '0 pJ' must be above zero",
        "mine.yaml:9: link.value: 'nm' is not a unit of energy; did you mean 'nJ'? choose from: J, mJ, uJ, nJ, pJ, fJ",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends: 45mn", "mine.yaml:1: extends: unknown energy table '45mn'; did you mean '45nm'? "
         f"choose from: {', '.join(sorted(TABLES))} (or give the path of a file)"),
        ("extends: [45nm]", "mine.yaml:1: extends: expected the name of a table, not ['45nm']"),
        ("extends: mine", "mine.yaml:1: extends: 'mine' extends this table in turn"),
        ("extends: 45nm\nsram:\n  points:\n    - {capacity: 2 KiB, read: 1 pJ, write: 1 pJ}\n"
         "    - {capacity: 1 KiB, read: 1 pJ, write: 1 pJ}",
         "mine.yaml:2: sram: the points must stand in the order of their capacity, each once"),
        ("extends: 45nm\nsram:\n  ports:\n    points:\n"
         "      - {capacity: 1 KiB, width_bits: 64, read: 1 pJ, write: 1 pJ}\n"
         "      - {capacity: 1 KiB, width_bits: 32, read: 1 pJ, write: 1 pJ}",
         "mine.yaml:2: sram: the ports must stand in the order of capacity, then width, each once"),
        ("extends: 45nm\nsram: {width_bits: 16, ports: {points: "
         "[{capacity: 8 KiB, width_bits: 64, read: 1 pJ, write: 1 pJ}]}}",
         "mine.yaml:2: sram: the ports of 8 KiB lack the width of the points, 16 bits"),
    ],
)  # fmt: skip
def test_a_wrong_table_says_what_and_where(write: Write, text: str, expected: str) -> None:
    assert failure(write(text)) == expected


def test_an_unknown_table_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as error:
        energy.load("45n")
    assert message(error) == (
        f"unknown energy table '45n'; did you mean '45nm'? choose from: {', '.join(sorted(TABLES))} "
        "(or give the path of a file)"
    )


def test_questions_a_table_cannot_answer() -> None:
    table, file = TABLES["45nm"], TABLES["45nm"].file
    formats = "bf16, fp16, fp32, fp4, fp6, fp8, int16, int32, int4, int8"
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: table.mac("int8", "int9", "int32"), f"operations: unknown format 'int9'; "
         f"did you mean 'int8'? choose from: {formats}"),
        (lambda: table.mac("bf16", "bf16", "int32"),
         "operations: bf16 products cannot accumulate in int32; choose from: bf16, fp16, fp32, fp8"),
        (lambda: table.lane("sqr", "fp16"), "operations: unknown operation 'sqr'; did you mean 'sqrt'? "
         "choose from: add, div, erf, exp, max, mul, sqrt, tanh"),
        (lambda: table.lane("exp", "half"), f"operations: unknown format 'half'; choose from: {formats}"),
        (lambda: table.dram("ddr5"), "dram: unknown kind of DRAM 'ddr5'; did you mean 'gddr5'? "
         "choose from: ddr3, ddr4, gddr5, gddr6, generic, hbm2, lpddr4"),
        (lambda: table.sram(0, 64), "sram: capacity and width must be above zero, not 0 bytes and 64 bits"),
    ]  # fmt: skip
    for ask, expected in cases:
        with pytest.raises(ConfigError) as error:
            ask()
        assert message(error) == f"{file}: {expected}"


def test_a_format_without_figure_or_rule_names_those_there_are(write: Write) -> None:
    one = "{value: 1 pJ, source: lab}"
    path = write(
        f"about: integers only\nsources: {{lab: {{text: lab}}}}\n"
        f"operations: {{add: {{int8: {one}, int32: {one}}}, mul: {{int8: {one}}}}}\n"
        "sram: {source: lab, width_bits: 64, points: [{capacity: 1 KiB, read: 1 pJ, write: 1 pJ}]}\n"
        f"registers: {one}\nlink: {one}\ndram: {{}}\n"
    )
    table = energy.load(path)
    assert table.lane("mul", "int32").pj == near(16)
    with pytest.raises(ConfigError) as error:
        table.lane("mul", "fp16")
    assert message(error) == (
        f"{path}: operations.mul: no energy for fp16, nor a format to derive it from; the table has: int8"
    )
