"""Energy from currents equals DRAMsim3's; energies add up, and the result says which method they are of."""

import pytest

from sim import library
from sim.dram import load
from sim.dram.energy import costs
from sim.dram.serve import run
from tests.dram_cases import rows

CURRENTS = {row["config"]: row for row in rows("idd_energy.csv")}

BURST = {"DDR4": 4, "HBM2": 2}
"""Clocks of a burst in those configurations."""


@pytest.mark.parametrize("name", [name for name in CURRENTS if name.startswith(("DDR4", "HBM2"))])
def test_costs_from_currents_equal_dramsim3(name: str) -> None:
    """One device serves each burst; timing and currents are those of the row."""
    row = CURRENTS[name]
    device = "ddr4_2400r" if name.startswith("DDR4") else "hbm2_2000"
    currents = {key: float(row[key]) for key in ("IDD0", "IDD2N", "IDD3N", "IDD4R", "IDD4W", "IDD5AB")}
    source = {"VDD": f"{row['VDD']} V", "devices": 1.0, "source": "idd"}
    timing = {f"timing.{key}": int(row[key]) for key in ("tRAS", "tRP", "tRFC")}
    timing["timing.tRC"] = timing["timing.tRAS"] + timing["timing.tRP"]
    made = load(device, {"currents": currents | source, "tCK": f"{row['tCK_ns']} ns", "energy": "currents", **timing})
    assert made.timing("BL") == BURST[name[:4]]
    cost, bits = costs(made), int(row["burst_bits"])
    assert cost.activate == pytest.approx(float(row["E_act_pJ_per_device"]), abs=0.06)
    assert cost.read / bits == pytest.approx(float(row["E_read_pJ_per_bit"]), abs=6e-4)
    assert cost.write / bits == pytest.approx(float(row["E_write_pJ_per_bit"]), abs=6e-4)
    assert cost.refresh / 1000 == pytest.approx(float(row["E_ref_nJ_per_device"]), abs=6e-3)
    clock_ns = made.spec.tCK / 1000
    assert cost.open_clock / clock_ns == pytest.approx(float(row["P_act_standby_mW"]), abs=0.06)
    assert cost.closed_clock / clock_ns == pytest.approx(float(row["P_pre_standby_mW"]), abs=0.06)


@pytest.mark.parametrize("name", library.names("dram"))
@pytest.mark.parametrize("method", ["currents", "events"])
def test_energy_adds_up_and_names_its_method(name: str, method: str) -> None:
    if getattr(load(name).spec, method) is None:
        with pytest.raises(Exception, match=f"energy by {method} needs the key {method}; there is: events"):
            load(name, {"energy": method})
        return
    result = run(name, pattern="rndMix3", requests=400, overrides={"energy": method})
    parts = result.energy_pj["by_action"]
    assert result.energy_pj["method"] == method
    assert result.energy_pj["total"] == pytest.approx(sum(parts.values()))
    cost = costs(load(name, {"energy": method}))
    assert parts["read"] == pytest.approx(result.reads * cost.read)
    assert parts["activate"] == pytest.approx(result.activates * cost.activate)


def test_standby_lies_between_all_rows_closed_and_one_open() -> None:
    device = load("ddr4_2400r")
    cost = costs(device)
    result = run("ddr4_2400r", pattern="seqR", requests=2000)
    standby = result.energy_pj["by_action"]["standby"]
    assert result.cycles * cost.closed_clock < standby < result.cycles * cost.open_clock
    alone = run("ddr4_2400r", pattern="seqR", requests=1, overrides={"refresh": "off"})
    expected = (alone.cycles - 1) * cost.open_clock + cost.closed_clock  # the row opens at clock 1 and stays open
    assert alone.energy_pj["by_action"]["standby"] == pytest.approx(expected)
