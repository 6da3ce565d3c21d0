"""The figure of bandwidth against stride says what the controllers do."""

import io

import pytest

from sim.dram import load
from sim.dram.serve import run
from sim.plot import bandwidth
from sim.plot.bandwidth import mappings


def test_the_figure_has_a_panel_a_device_and_a_line_a_mapping() -> None:
    devices = ("ddr4_3200aa", "lpddr4_3200", "hbm3_6400")
    figure = bandwidth(devices, strides=(64, 4096), requests=100)
    assert [panel.get_title() for panel in figure.axes] == [
        f"{name}, peak {load(name).peak_bandwidth / 1e9:.4g} GB/s" for name in devices
    ]
    for name, panel in zip(devices, figure.axes, strict=True):
        made = load(name)
        for line, (label, fields) in zip(panel.get_lines(), mappings(made).items(), strict=True):
            assert line.get_label() == label
            found = run(name, pattern="strR", requests=100, stride=4096, per_clock=made.buses,
                        overrides={"mapping": fields})  # fmt: skip
            assert line.get_ydata()[-1] == pytest.approx(100 * found.bandwidth_utilization)  # type: ignore[index]
    with io.BytesIO() as file:
        figure.savefig(file)
        assert file.tell() > 10_000
