"""Pages in a real browser, headless: they load without an error; tables sort, films play and step, print fits A4."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

import sim
from sim.animation import animate
from sim.animation.page import to_html as to_film
from sim.report.page import to_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=3000")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH (Debian: apt-get install chromium)")

WATCH = """<script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => errors.push(event.blockedURI));
</script>"""

PROBE = """<script>
const heads = [...document.querySelectorAll("#layers th")];
const head = heads.find((one) => one.textContent === "cycles");
const column = () => [...document.querySelectorAll("#layers tbody tr")]
  .map((row) => Number(row.cells[head.cellIndex].dataset.value));
const before = column();
head.firstChild.click();
const down = column(), marked = head.getAttribute("aria-sort");
head.firstChild.click();
const up = column();
const names = heads[0];
names.firstChild.click();
const first = document.querySelector("#layers tbody tr").cells[0].textContent;
const over = document.querySelector("svg .hit");
over.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 90, clientY: 90 }));
const shown = document.querySelector("#tip").textContent, hidden = document.querySelector("#tip").hidden;
const wide = [document.documentElement.scrollWidth, innerWidth];
const found = { before, down, up, marked, first, shown, hidden, wide, errors };
document.body.innerHTML = "<pre id=found></pre>";
document.querySelector("#found").textContent = JSON.stringify(found);
</script>"""


FILM_PROBE = """<script>
(() => {
const text = (id) => document.querySelector(id).textContent;
const sums = () => [...document.querySelectorAll("svg .sum")].map((one) => one.textContent).join(" ");
const told = () => [text("#count"), sums()];
const found = { start: told() };
document.querySelector("#step").click();
document.querySelector("#step").click();
found.stepped = told();
document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
found.back = told();
const scrub = document.querySelector("input[type=range]");
scrub.value = 4;
scrub.dispatchEvent(new Event("input"));
found.scrubbed = told();
const speed = document.querySelector("select");
speed.value = "16";
document.querySelector("#play").click();
found.playing = text("#play");
setTimeout(() => {
  found.played = told();
  document.querySelector("#play").click();
  found.paused = text("#play");
  found.wide = [document.documentElement.scrollWidth, innerWidth];
  document.body.innerHTML = "<pre id=found></pre>";
  document.querySelector("#found").textContent = JSON.stringify({ ...found, errors });
}, 350);
})();
</script>"""


def browse(page, folder, *flags):
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def probe(page, folder, *flags, script=PROBE):
    watched = page.replace("<head>", "<head>" + WATCH, 1).replace("</body>", script + "</body>", 1)
    dom = browse(watched, folder, "--dump-dom", *flags)
    return json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL).group(1)))


@pytest.fixture(scope="module")
def page():
    result = sim.run("edge_tpu_like", "mobilenet_v2", layers="stage[23].*", record=True)
    return to_page(result, sim.load_arch("edge_tpu_like"), "tiletick run edge_tpu_like mobilenet_v2")


def test_the_page_loads_without_an_error_sorts_and_shows_values(page, tmp_path):
    found = probe(page, tmp_path, "--window-size=1200,900")
    assert found["errors"] == []
    assert found["down"] == sorted(found["before"], reverse=True) != found["before"]
    assert found["up"] == sorted(found["before"])
    assert found["marked"] == "descending"
    assert found["first"].startswith("stage2.0.")
    assert not found["hidden"] and re.search(r"\d+ cycles\ncompute", found["shown"])


@pytest.mark.parametrize("width", [500, 794, 1200])
def test_the_page_is_no_wider_than_its_window(page, tmp_path, width):
    wide, inner = probe(page, tmp_path, f"--window-size={width},900")["wide"]
    assert wide <= inner


def paper(page, folder):
    """Return the sheets of the printed page, in points."""
    browse(page, folder, "--no-pdf-header-footer", f"--print-to-pdf={folder / 'page.pdf'}")
    boxes = re.findall(rb"/MediaBox ?\[ ?0 0 ([\d.]+) ([\d.]+)", (folder / "page.pdf").read_bytes())
    return [(round(float(w)), round(float(h))) for w, h in boxes]


def test_the_print_view_is_a4_and_its_tables_fit(page, tmp_path):
    """The text of A4 inside its margins is 182 mm wide: 688 of the browser's pixels."""
    assert set(paper(page, tmp_path)) == {(595, 842)}
    on_paper = page.replace("@media print", "@media all")
    wide, inner = probe(on_paper, tmp_path, "--window-size=688,900")["wide"]
    assert (wide, inner) == (688, 688)


@pytest.fixture(scope="module")
def film():
    return animate("tiny_4x4", "gemm:4x4x6", {"dataflow": "os"})


def test_a_film_plays_steps_and_scrubs(film, tmp_path):
    found = probe(to_film(film), tmp_path, "--window-size=1000,900", script=FILM_PROBE)
    assert found["errors"] == []

    def shown(cycle):
        sums = [value for row in film.frames[cycle].sums for value in row]
        return [f"cycle {cycle} (0 to {film.cycles - 1})", " ".join("" if v is None else str(v) for v in sums) + " c"]

    assert (found["start"], found["stepped"], found["back"]) == (shown(0), shown(2), shown(1))
    assert found["scrubbed"] == shown(4)
    assert found["playing"] == "⏸ pause" and found["paused"] == "▶ play"
    assert found["played"] in [shown(cycle) for cycle in range(5, film.cycles - 1)]
    assert found["wide"][0] <= found["wide"][1]


def test_a_film_prints_on_one_sheet_of_a4(film, tmp_path):
    assert paper(to_film(film), tmp_path) == [(595, 842)]
