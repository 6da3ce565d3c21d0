"""Laws of the pictures: they hold the numbers of the result, every axis has a unit, nothing is drawn outside."""

from __future__ import annotations

from dataclasses import replace

import pytest

import sim
from sim import dram, plot, sweep
from sim.errors import ConfigError

OF_A_RESULT = sorted(set(plot.__all__) - {"array", "bandwidth", "banks", "commands", "fifos", "pareto"})


@pytest.fixture(scope="module")
def result():
    return sim.run("tiny_4x4", "mobilenet_v2", {"size": 32}, layers="stage2.*", record=True)


@pytest.mark.parametrize("name", OF_A_RESULT)
def test_every_picture_takes_an_axis_or_makes_a_figure_and_names_run_and_units(result, name, tmp_path):
    figure = getattr(plot, name)(result)
    axis = figure.axes[0]
    assert f"{result.workload} on {result.arch}" in axis.get_title(loc="left")
    assert axis.get_xlabel() or axis.get_ylabel()
    figure.savefig(tmp_path / "picture.png")
    assert getattr(plot, name)(result, axis) is figure


@pytest.mark.parametrize("name", OF_A_RESULT)
def test_no_picture_leaves_its_frame(result, name):
    """What a reader sees: titles, labels and legends within the figure, and no legend over another text."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = getattr(plot, name)(result)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axis, renderer = figure.axes[0], canvas.get_renderer()
    frame = figure.get_tightbbox(renderer)
    assert frame.x0 >= -0.01 and frame.x1 <= figure.get_figwidth() + 0.01
    assert frame.y0 >= -0.01 and frame.y1 <= figure.get_figheight() + 0.01
    legend, title = axis.get_legend(), axis._left_title
    if legend is not None:
        assert not legend.get_window_extent(renderer).overlaps(title.get_window_extent(renderer))
        assert not legend.get_window_extent(renderer).overlaps(axis.patch.get_window_extent(renderer).padded(-2))


def test_bars_of_cycles_add_up_to_the_cycles_of_the_layers(result):
    axis = plot.cycles(result).axes[0]
    scale = {"cycles": 1, "10³ cycles": 1e3, "10⁶ cycles": 1e6}[axis.get_ylabel()]
    drawn = sum(patch.get_height() for patch in axis.patches) * scale
    assert drawn == pytest.approx(sum(sum(layer.causes.values()) for layer in result.layers))


def test_bars_of_traffic_add_up_to_the_bytes_of_the_result(result):
    axis = plot.traffic(result).axes[0]
    drawn = sum(patch.get_height() for patch in axis.patches) * {"kB": 1e3, "MB": 1e6}[axis.get_ylabel()]
    assert drawn == pytest.approx(sum(sum(operands.values()) for operands in result.traffic_bytes["dram"].values()))


def test_bars_of_energy_add_up_to_the_total(result):
    axis = plot.energy(result).axes[0]
    drawn = sum(p.get_width() for p in axis.patches) * {"mJ": 1e9, "µJ": 1e6, "nJ": 1e3}[axis.get_xlabel()]
    assert drawn == pytest.approx(result.energy_pj["total"])


def test_points_of_the_roofline_lie_below_the_roofs(result):
    axis = plot.roofline(result).axes[0]
    (line,) = axis.lines
    peak = max(line.get_ydata())
    points = [point for group in axis.collections for point in group.get_offsets().tolist()]
    slope = line.get_ydata()[0] / line.get_xdata()[0]
    assert points and all(rate <= min(peak, intensity * slope) * 1.0001 for intensity, rate in points)


def test_a_gantt_needs_a_recorded_run():
    with pytest.raises(ConfigError, match=r"the result has no timeline; run it with record=True"):
        plot.gantt(sim.run("tiny_4x4", "gemm:8x8x8"))


def test_pictures_of_a_result_without_memory_and_without_layers():
    ideal = sim.run("array", "gemm:8x8x8")
    for name in ("cycles", "traffic", "energy", "efficiency", "roofline"):
        assert getattr(plot, name)(ideal).axes


def test_the_waterline_has_the_macs_as_its_area(result):
    axis = plot.waterline(result).axes[0]
    area = sum(patch.get_width() * patch.get_height() for patch in axis.patches) / 1e4
    whole = sum(layer.cycles for layer in result.layers)
    assert area == pytest.approx(sum(layer.utilization * layer.cycles for layer in result.layers) / whole)


def test_every_command_of_a_trace_is_a_mark(tmp_path):
    path = tmp_path / "commands.csv"
    dram.run("ddr4_3200aa", pattern="rndR", requests=60, commands=path)
    axis = plot.commands(path).axes[0]
    marks = sum(len(group.get_offsets()) for group in axis.collections)
    assert marks == len(path.read_text().splitlines()) - 1
    some = plot.commands(path, 100, 200).axes[0]
    assert all(100 <= clock <= 200 for group in some.collections for clock, _ in group.get_offsets().tolist())


@pytest.mark.parametrize(
    ("text", "first", "message"),
    [
        ("a,b\n1,2\n", 0, "trace.csv: is no command trace: it lacks clock, command and bank"),
        ("clock,command,bank\n1,ACT,0\n", 5, "trace.csv: holds no command from clock 5 to its end"),
    ],
)
def test_what_is_no_trace_of_commands_is_told(text, first, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(ConfigError) as caught:
        plot.commands("trace.csv", first)
    assert str(caught.value) == message


def test_a_map_of_banks_has_every_row_that_is_taken():
    axis = plot.banks("gddr6_aim", "gpt2", {"phase": "decode"}).axes[0]
    bars = [patch for patch in axis.patches if patch.get_width()]
    assert sum(patch.get_width() for patch in bars) == 10878  # rows that `tiletick show gddr6_aim gpt2` tells
    assert all(0 < patch.get_height() <= 100 for patch in bars)


SWEEP = {
    "name": "tiny", "arch": "tiny_4x4", "workloads": "gemm:16x16x16",
    "axes": {"array.rows": [2, 4, 8], "array.dataflow": ["ws", "os"]}, "objectives": ["cycles", "area"],
}  # fmt: skip


def test_the_front_is_that_of_the_sweep_and_all_designs_are_drawn(tmp_path):
    report = sweep.run_sweep(SWEEP, out=tmp_path / "tiny.sweep", jobs=1)
    axis = plot.pareto(report).axes[0]
    assert len(axis.collections[0].get_offsets()) == 6
    (line,) = axis.lines
    best = {(row.figures["cycles"], row.figures["area_mm2"]) for row in report.front()}
    assert {(float(a), float(b)) for a, b in line.get_xydata()} == {(float(a), float(b)) for a, b in best}
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("cycles", "area, mm²")
    with pytest.raises(ConfigError, match=r"^tiny: has one objective; a front needs designs and two objectives$"):
        plot.pareto(replace(report, objectives=report.objectives[:1]))


@pytest.mark.parametrize("devices", [["ddr4_3200aa"], ["ddr4_3200aa", "lpddr5_6400", "hbm2_2000"]])
def test_the_legend_of_bandwidths_covers_no_data_and_everything_is_in_the_frame(devices):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = plot.bandwidth(devices, [64, 256], 40)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, (legend,) = canvas.get_renderer(), figure.legends
    box = legend.get_window_extent(renderer)
    assert not any(box.overlaps(panel.patch.get_window_extent(renderer)) for panel in figure.axes)
    frame = figure.get_tightbbox(renderer)
    assert frame.x0 >= -0.01 and frame.x1 <= figure.get_figwidth() + 0.01
