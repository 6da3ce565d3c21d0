"""How large and how smooth pages are: `python tests/perf/page.py` prints the table of `reports/speed.md`.

Headless Chromium is driven over its debugging port, and counts the CPU time of the page's main thread itself. A frame
of 60 a second has 16.7 ms.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

import sim
from sim.report.page import to_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=1280,900")

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ResNet-50": ("edge_tpu_like_simple", "resnet50", {}),
    "100 layers of a language model": ("tpu_v1", "llama_3_1_405b", {"depth": 100, "phase": "prefill", "context": 512}),
}
"""What is drawn: chip, network, settings."""

FRAME = "const frame = () => new Promise((done) => requestAnimationFrame(done)); let n = 0;"
DOINGS = {
    "scroll": FRAME + """for (let y = 0; y < document.documentElement.scrollHeight; y += 100) {
        scrollTo(0, y); await frame(); n += 1; } return n;""",
    "hover": """let n = 0; const tips = [...document.querySelectorAll("[data-tip]")];
        for (let i = 0; i < tips.length; i += Math.ceil(tips.length / 200)) {
        tips[i].dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 90, clientY: 90 }));
        document.body.offsetHeight; n += 1; } return n;""",
    "sort": """let n = 0; for (const head of document.querySelectorAll("#layers th button")) {
        head.click(); document.body.offsetHeight; n += 1; } return n;""",
}  # fmt: skip
"""What a reader does; each returns how often it did so."""


class Tab:
    """A tab of a browser: asks it for things by the DevTools protocol."""

    def __init__(self, line: WebSocketClientConnection) -> None:
        self.line, self.numbers, self.session = line, itertools.count(1), ""

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the answer to a command."""
        number = next(self.numbers)
        session = {"sessionId": self.session} if self.session else {}
        await self.line.write_message(json.dumps({"id": number, "method": method, "params": params} | session))
        while (answer := json.loads(await self.line.read_message() or "{}")).get("id") != number:
            pass
        return dict(answer["result"])

    async def busy(self) -> float:
        """Return the CPU milliseconds of all tasks of the main thread so far."""
        found = (await self.ask("Performance.getMetrics"))["metrics"]
        return 1000 * next(float(one["value"]) for one in found if one["name"] == "TaskDuration")

    async def do(self, code: str) -> float:
        """Run code and return what it returns."""
        code = f"(async () => {{ {code} }})()"
        found = await self.ask("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        return float(found["result"]["value"])


async def probe(page: Path, address: str) -> dict[str, float]:
    """Return elements, and CPU milliseconds of loading and of each doing once."""
    tab = Tab(await websocket_connect(address, max_message_size=2**26))
    target = await tab.ask("Target.createTarget", url="about:blank")
    tab.session = (await tab.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True))["sessionId"]
    await tab.ask("Performance.enable", timeDomain="threadTicks")
    before = await tab.busy()
    await tab.ask("Page.navigate", url=page.as_uri())
    await asyncio.sleep(4)
    found = {"load": await tab.busy() - before}
    for name, code in DOINGS.items():
        before = await tab.busy()
        times = await tab.do(code)
        found[name] = (await tab.busy() - before) / max(1.0, times)
    found["elements"] = await tab.do("return document.querySelectorAll('*').length")
    tab.line.close()
    return found


def browsed(page: Path) -> dict[str, float]:
    """Return what a browser counts of a page; see `probe`."""
    assert CHROMIUM is not None  # `main` has checked it
    with tempfile.TemporaryDirectory() as profile:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as browser:
            try:
                assert browser.stderr is not None  # it is a pipe
                told = next(line for line in browser.stderr if "DevTools listening" in line)
                return asyncio.run(probe(page, re.findall(r"ws://\S+", told)[0]))
            finally:
                browser.terminate()


def measured(arch: str, network: str, settings: Mapping[str, Any], page: Path) -> dict[str, float]:
    """Return layers, bytes, CPU seconds of the page beyond those of the run, and what a browser counts."""
    start = time.process_time()
    sim.run(arch, network, settings)
    plain = time.process_time()
    result = sim.run(arch, network, settings, record=True)
    recorded = time.process_time()
    page.write_text(to_page(result, sim.load_arch(arch)), encoding="utf-8")
    more = max(0.0, (recorded - plain) - (plain - start)) + time.process_time() - recorded
    return {"layers": len(result.layers), "bytes": page.stat().st_size, "seconds": more, **browsed(page)}


def main() -> None:
    """Print a table, a row a page."""
    if CHROMIUM is None:
        raise SystemExit("no chromium on the PATH (Debian: apt-get install chromium)")
    heads = "page, rows of layers, MB, CPU s beyond the run, elements, loading, a frame of scrolling, a hover, a sort"
    print(f"| {heads.replace(', ', ' | ')} |\n|---{'|---:' * 8}|")
    for name, (arch, network, settings) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            row = measured(arch, network, settings, Path(folder) / "page.html")
        doings = " | ".join(f"{row[key]:.3g} ms" for key in ("load", *DOINGS))
        size = f"{row['layers']:,} | {row['bytes'] / 1e6:.2f} | {row['seconds']:.2f} | {row['elements']:,.0f}"
        print(f"| {name} | {size} | {doings} |")


if __name__ == "__main__":
    main()
