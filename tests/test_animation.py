"""Laws of a film: its cycles are the run's, its numbers multiply, what enters next stands before the array."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

import sim
from sim import plot
from sim.alone import contractions
from sim.animation import Film, animate
from sim.animation.gif import to_gif
from sim.animation.page import embedded, to_html
from sim.animation.record import _operands
from sim.cli import main
from sim.errors import ConfigError, MappingError, TiletickError
from sim.simulate import open_both
from tests.laws import law

NASTY = "a\"b'c</script><script>alert(1)</script>&amp;" + "long" * 50


@st.composite
def arrays(draw):
    """Settings of an array: any dataflow, any knobs."""
    found = {
        "rows": draw(st.integers(1, 5)), "cols": draw(st.integers(1, 5)),
        "dataflow": draw(st.sampled_from(("ws", "is", "os", "rs"))), "pe_pipeline": draw(st.integers(1, 3)),
        "sram_read_latency": draw(st.integers(0, 3)), "output_register": draw(st.integers(0, 2)),
    }  # fmt: skip
    if found["dataflow"] == "os":
        found["drain"] = draw(st.sampled_from(("serial", "overlap", "stream")))
    elif found["dataflow"] != "rs":
        found |= {"weight_buffers": draw(st.integers(1, 2)), "swap": draw(st.sampled_from(("wave", "global")))}
    return found


@st.composite
def workloads(draw):
    """A small product or convolution."""
    if draw(st.booleans()):
        return "gemm:" + "x".join(str(draw(st.integers(1, 9))) for _ in range(3))
    groups, side = draw(st.sampled_from((1, 2))), draw(st.integers(3, 6))
    sizes = (2, side, side, 2, draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    options = f",stride={draw(st.integers(1, 2))},pad={draw(st.integers(0, 1))},groups={groups}"
    return f"conv:{','.join(map(str, sizes))}{options}"


def product(workload, settings, seed):
    """Return the product as numpy computes it, rows of all groups below each other."""
    chip, graph, _ = open_both("array", workload, settings)
    ((_, plan),), _ = contractions(chip, graph, "*")
    inputs, numbers = _operands(plan.kernel, seed)
    return plan.kernel.compute(inputs, numbers.right).reshape(-1, plan.kernel.n)


@law(arrays(), workloads(), st.integers(0, 99), quick=40, full=800)
def test_a_film_takes_the_cycles_of_the_run_and_ends_with_the_product_of_numpy(settings, workload, seed):
    film, result = animate("array", workload, settings, seed=seed), sim.run("array", workload, settings)
    assert (film.cycles, film.macs, film.utilization) == (result.cycles, result.macs, result.utilization)
    expected = product(workload, settings, seed)
    assert film.product == expected.shape
    assert film.outputs(film.cycles) == dict(np.ndenumerate(expected))
    arrivals = [(row, col) for frame in film.frames for row, col, _ in frame.outputs]
    assert all(arrivals.count(place) == film.parts for place in np.ndindex(expected.shape))


def film_of(dataflow, **settings) -> Film:
    return animate("array", "gemm:6x5x7", {"rows": 3, "cols": 4, "dataflow": dataflow, **settings})


@pytest.mark.parametrize("settings", [{}, {"weight_buffers": 2}, {"sram_read_latency": 3}])
@pytest.mark.parametrize("dataflow", ["ws", "is", "os"])
def test_the_register_nearest_to_the_array_is_what_enters_it_next(dataflow, settings):
    if dataflow == "os":
        settings = {key: value for key, value in settings.items() if key != "weight_buffers"}
    film = film_of(dataflow, **settings)
    seen = 0
    for frame, after in zip(film.frames, film.frames[1:], strict=False):
        for lane, row, steps in zip(frame.left, after.moving, after.steps, strict=True):
            if lane:
                assert (row[0] if steps[0] >= 0 else None) == (lane[0][0] if lane[0] else None)
                seen += lane[0] is not None
        for col, lane in enumerate(frame.top):
            if lane and lane[0]:
                entered = after.held if settings.get("weight_buffers") else after.resting
                assert entered[0][col] == lane[0][0]
    assert seen >= 3 * 7


def test_useful_pes_add_the_product_of_what_they_show():
    film = film_of("os")
    for before, frame in zip(film.frames, film.frames[1:], strict=False):
        for row, col in np.ndindex(3, 4):
            if frame.useful[row][col]:
                grown = frame.sums[row][col] - (before.sums[row][col] or 0)
                assert grown == frame.moving[row][col] * frame.resting[row][col]
    film = film_of("ws")
    for before, frame in zip(film.frames, film.frames[1:], strict=False):
        for row, col in np.ndindex(3, 4):
            if frame.useful[row][col]:
                above = before.sums[row - 1][col] if row else 0
                assert frame.sums[row][col] == above + frame.moving[row][col] * frame.resting[row][col]


def test_a_wave_is_a_diagonal():
    """What enters at one edge is r + c cycles later in PE (r, c)."""
    film = film_of("os")
    frame = next(frame for frame in film.frames if frame.steps[2][0] == 0)
    assert [row[0] for row in frame.steps] == [2, 1, 0]
    assert list(frame.steps[0]) == [2, 1, 0, -1]


def test_rows_of_a_chain_do_what_the_row_below_did_a_cycle_before():
    film = animate("array", "conv:2,5,5,2,3,3", {"rows": 3, "cols": 3, "dataflow": "rs"})
    for before, frame in zip(film.frames, film.frames[1:], strict=False):
        assert all(above == below for above, below in zip(frame.useful, before.useful[1:], strict=False))
        assert all(set(above) == set(below) for above, below in zip(frame.steps, before.steps[1:], strict=False))


def test_the_page_holds_the_film_and_a_name_cannot_break_it():
    film = film_of("ws")
    page = to_html(film)
    data = json.loads(re.search(r'<script id="film" type="application/json">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["frames"]) == film.cycles and (data["rows"], data["cols"]) == (3, 4)
    assert sum(sum(frame["u"]) for frame in data["frames"]) == film.macs == 210
    assert "src=" not in page and "href=" not in page and "default-src &#x27;none&#x27;" in page
    nasty = Film(NASTY, *[getattr(film, name) for name in list(Film.__dataclass_fields__)[1:]])
    page = to_html(nasty)
    assert "alert(1)</script>" not in page and page.count("<script") == 2
    assert "<script" not in embedded(nasty)  # a frame of its own: all of it is escaped


def test_a_gif_has_a_frame_for_each_cycle():
    film = animate("array", "gemm:2x2x2", {"rows": 2, "cols": 2, "dataflow": "os"})
    with Image.open(io.BytesIO(to_gif(film, 4))) as picture:
        assert (picture.format, picture.n_frames) == ("GIF", film.cycles)
        assert picture.info["duration"] == 250 and picture.info["loop"] == 0


def test_a_snapshot_shows_every_register():
    film = film_of("ws", weight_buffers=2)
    frame = film.frames[12]
    words = [text.get_text() for text in plot.array(film, 12).axes[0].texts]
    cells = [v for grid in (frame.moving, frame.resting, frame.sums, frame.held) for row in grid for v in row]
    slots = [slot[0] for lane in (*frame.left, *frame.top) for slot in lane if slot]
    for value in (*cells, *slots, *film.outputs(12).values()):
        if value is not None:
            words.remove(str(value))


def test_a_film_describes_itself_in_a_line_and_in_a_notebook():
    film = film_of("is")
    assert repr(film) == f"<Film: gemm:6x5x7 on array, 3 x 4 is, {film.cycles} cycles>"
    assert film._repr_html_().startswith("<iframe srcdoc=")


@pytest.mark.parametrize(
    ("arch", "workload", "settings", "error", "message"),
    [
        ("array", "gemm:512x64x64", {}, TiletickError,
         "a film of 8,960 cycles on 16 x 16 PEs is too long: 2,293,760 PE cycles, at most 60,000; take a smaller "
         "layer, or fewer PEs with --set rows=4 --set cols=4"),
        ("edge_tpu_like", "resnet18", {}, ConfigError,
         "--layers: a film shows one layer, these are 21; pick one of: conv1, layer1.0.conv1, layer1.0.conv2, "
         "layer1.1.conv1, layer1.1.conv2, layer2.0.conv1, ..."),
        ("array", "gemm:4x4x4", {"convention": "scalesim", "rows": 4, "cols": 4}, MappingError,
         "convention 'scalesim' counts cycles by formula and has no register-level model; set convention: rtl"),
    ],
)  # fmt: skip
def test_what_cannot_be_filmed_is_told(arch, workload, settings, error, message):
    with pytest.raises(error) as caught:
        animate(arch, workload, settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("out", "more", "message"),
    [
        ("wave.mp4", (), "--out: 'wave.mp4' ends neither in .html nor in .gif"),
        ("no/wave.html", (), "no/wave.html: cannot be written: No such file or directory"),
        ("wave.gif", ("--fps", "0"), "--fps: 0 frames a second is not above 0 and at most 50"),
    ],
)
def test_a_file_that_cannot_be_written_is_told(out, more, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["animate", "tiny_4x4", "gemm:2x2x2", "--out", out, *more]) == 2
    assert capsys.readouterr().err == message + "\n"
    assert not list(tmp_path.iterdir())


def test_the_command_writes_what_python_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["animate", "tiny_4x4", "gemm:4x4x6", "--out", "wave.html", "--set", "dataflow=os"]) == 0
    film = animate("tiny_4x4", "gemm:4x4x6", {"dataflow": "os"})
    assert (tmp_path / "wave.html").read_text(encoding="utf-8") == to_html(film)
    assert capsys.readouterr().out == (
        "gemm:4x4x6 on tiny_4x4: 18 cycles, 96 MACs, 33.3% of the PEs' cycles; wave.html\n"
    )
