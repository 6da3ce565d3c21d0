"""Sweeps that run: nothing lost, nothing twice, whoever does the work and whatever stops it."""

from __future__ import annotations

import csv
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sim
from sim import cli, sources
from sim.commands._progress import told
from sim.errors import ConfigError
from sim.sweep import Progress, Report, Sweep, run_sweep
from sim.sweep.evaluate import Outcome, evaluate
from sim.sweep.executors import Lane, Workers
from sim.sweep.plots import heatmap, plot
from sim.sweep.run import Course
from sim.sweep.store import Store

FILE: dict[str, Any] = {
    "name": "s", "arch": "tiny_4x4", "workloads": {"gemm:32x16x24": 1, "gemv:40x24": 3},
    "axes": {"array.rows": [2, 4, 8], "array.dataflow": ["ws", "os"], "inputs.capacity": ["1 KiB", "2 KiB"]},
    "objectives": ["cycles", "energy"],
}  # fmt: skip
YAML = """name: s
arch: tiny_4x4
workloads: [gemm:32x16x24]
axes:
  array.rows: {range: [1, 8]}
  array.cols: {range: [1, 3]}
  inputs.capacity: [1 KiB, 2 KiB]
"""


def done(out: Path, **options: Any) -> Report:
    """Return the report of the sweep, run in this process."""
    return run_sweep(FILE, out=out, jobs=1, **options)


def stored(out: Path) -> set[str]:
    """Return the keys in a store, read beside whoever writes it."""
    if not (out / "store.sqlite").exists():
        return set()
    with sqlite3.connect(out / "store.sqlite", timeout=30) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'runs'").fetchall()
        return {key for (key,) in connection.execute("SELECT key FROM runs")} if tables else set()


def test_figures_are_those_of_a_run_alone(tmp_path: Path) -> None:
    report = done(tmp_path)
    assert len(report.done) == 12
    for row in report.rows[::5]:
        one, three = (sim.run("tiny_4x4", name, row.settings) for name in FILE["workloads"])
        assert row.figures is not None
        assert row.figures["cycles"] == (one.cycles + 3 * three.cycles) / 4
        energy = (one.energy_pj["total"] + 3 * three.energy_pj["total"]) / 4
        assert row.figures["energy_pj"] == pytest.approx(energy)
        seconds = (one.seconds + 3 * three.seconds) / 4
        assert row.figures["edp"] == pytest.approx(energy * 1e-12 * seconds)


def test_the_front_is_that_of_the_definition(tmp_path: Path) -> None:
    report = done(tmp_path)
    costs = {row.point: [row.figures["cycles"], row.figures["energy_pj"]] for row in report.done if row.figures}
    by_hand = {
        point for point, mine in costs.items()
        if not any(all(a <= b for a, b in zip(o, mine, strict=True)) and o != mine for o in costs.values())
    }  # fmt: skip
    assert {row.point for row in report.front()} == by_hand


class Scattered(Executor):
    """An executor of somebody's own: does the work in threads, and hands it back in another order."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(3)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        def late() -> Any:
            time.sleep(random.Random(repr(args)).random() / 50)
            return fn(*args, **kwargs)

        return self.threads.submit(late)


def test_who_does_the_work_makes_no_difference(tmp_path: Path) -> None:
    here = done(tmp_path / "here").to_csv()
    assert run_sweep(FILE, out=tmp_path / "two", jobs=2).to_csv() == here
    assert run_sweep(FILE, out=tmp_path / "own", executor=Scattered()).to_csv() == here


class Watched(Executor):
    """Does at once what is submitted, and remembers which chips, and how many results were stored before."""

    def __init__(self, out: Path) -> None:
        self.out, self.calls = out, list[tuple[int, list[dict[str, Any]]]]()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        (works,) = args
        self.calls.append((len(stored(self.out)), [work.chip.data for work in works]))
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_results_are_stored_point_by_point_while_alike_points_stay_with_one_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.sweep.run.PART", 1e-9)
    axes = FILE["axes"] | {"array.rows": [1, 2, 4, 8], "array.dataflow": ["ws", "os", "is"]}
    sweep, lanes = Sweep(FILE | {"axes": axes}), [Lane(Watched(tmp_path), 1, each=True) for _ in range(2)]
    with Store(tmp_path / "store.sqlite", sweep.digest) as store:
        Course(sweep, store, Workers(lanes, 2), None, None).run()
    mine = [{(chip["units"]["array"]["rows"], chip["units"]["array"]["dataflow"]) for _, chips in lane.executor.calls
             for chip in chips} for lane in lanes]  # fmt: skip
    assert mine[0] and mine[1] and not mine[0] & mine[1]
    calls = sorted((before, len(chips)) for lane in lanes for before, chips in lane.executor.calls)
    assert all(works == 2 for _, works in calls)  # one point, two networks
    assert all(before >= 2 * (number - 1) for number, (before, _) in enumerate(calls))  # the other lane's may be new


def test_what_is_stored_is_not_simulated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = done(tmp_path).to_csv()

    def never(*_: Any) -> Any:
        raise AssertionError("simulated again")

    monkeypatch.setattr("sim.sweep.evaluate.simulate", never)
    assert done(tmp_path).to_csv() == first


def test_points_that_come_to_the_same_are_simulated_once(tmp_path: Path) -> None:
    network = tmp_path / "n.yaml"
    network.write_text("name: n\nparams: {unused: 1}\ninputs: {x: [8, 8]}\n"
                       "layers:\n  - {name: fc, op: linear, features: 4}\n")  # fmt: skip
    told_of: list[Progress] = []
    data = FILE | {"workloads": [str(network)], "axes": {"unused": [1, 2, 3], "array.rows": [2, 4]}}
    run_sweep(data, out=tmp_path, jobs=1, progress=told_of.append)
    assert told_of[-1].fresh == len(stored(tmp_path)) == 2
    assert (told_of[-1].done, told_of[-1].total, told_of[-1].failed) == (6, 6, 0)


def test_a_point_that_fails_is_recorded_and_stops_nothing(tmp_path: Path) -> None:
    axes = {"inputs.capacity": ["1 KiB", "2 KiB"], "inputs.keep": ["512 B", "1 KiB"]}
    report = run_sweep(FILE | {"axes": axes}, out=tmp_path, jobs=1)
    assert [row.status for row in report.rows] == ["done", "failed", "done", "done"]
    assert report.rows[1].error == "--set buffers.inputs.keep: 1024 B must be less than the capacity (1024 B)"
    assert "inputs.keep: 1024 B" in report.to_csv().splitlines()[2]


def test_an_error_of_the_simulator_is_recorded_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("sim.sweep.evaluate.simulate", broken)
    report = done(tmp_path)
    assert {row.error for row in report.rows} == {
        "ZeroDivisionError: division by zero (an error in the simulator or a plug-in)"
    }


def test_a_constraint_on_figures_leaves_the_point_off_the_front(tmp_path: Path) -> None:
    report = run_sweep(FILE | {"constraints": ["cycles < 1000", "energy < 0.1 uJ or array.rows > 1"]}, out=tmp_path,
                       jobs=1)  # fmt: skip
    slow = [row for row in report.rows if row.figures and row.figures["cycles"] >= 1000]
    assert slow
    assert {row.status for row in slow} == {"infeasible"}
    assert report.count("done") == len(report.rows) - len(slow) > 0


def test_a_constraint_on_cycles_in_time_reads_units(tmp_path: Path) -> None:
    assert run_sweep(FILE | {"constraints": ["seconds < 1 ns"]}, out=tmp_path, jobs=1).done == []


def test_an_objective_to_be_large_is_turned_round(tmp_path: Path) -> None:
    report = run_sweep(FILE | {"objectives": ["max utilization"]}, out=tmp_path, jobs=1)
    best = max(row.figures["utilization"] for row in report.done if row.figures)
    assert all(row.figures and row.figures["utilization"] == best for row in report.front())


# What can stop a sweep


def command(out: Path, file: Path, *more: str) -> list[str]:
    """Return the command line of a sweep."""
    return [sys.executable, "-m", "sim", "sweep", str(file), "--out", str(out), "--jobs", "2", *more]


def killed_again_and_again(folder: Path, times: int, seed: int) -> None:
    """Kill a sweep `times` times at random moments; then what it stored is whole and ends like an undisturbed run."""
    file, out, rng = folder / "s.yaml", folder / "out", random.Random(seed)
    file.write_text(YAML)
    keys: set[str] = set()
    for _ in range(times):
        process = subprocess.Popen(command(out, file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before, limit, wanted = len(keys), time.monotonic() + 60, rng.randint(0, 8)
        while process.poll() is None and len(stored(out)) < before + wanted and time.monotonic() < limit:
            time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert keys <= stored(out)
        keys = stored(out)
    told_of: list[Progress] = []
    report = run_sweep(str(file), out=out, jobs=1, progress=told_of.append)
    assert told_of[-1].fresh <= 48 - len(keys)
    assert report.to_csv() == run_sweep(str(file), out=folder / "undisturbed", jobs=1).to_csv()
    assert len(stored(out)) == 48


def test_killed_at_random_moments_it_loses_nothing_and_ends_the_same(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, times=5, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_more_random_moments_it_loses_nothing_and_ends_the_same(tmp_path: Path, seed: int) -> None:
    killed_again_and_again(tmp_path, times=5, seed=seed)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    file, out = tmp_path / "s.yaml", tmp_path / "out"
    file.write_text(YAML)
    process = subprocess.Popen(command(out, file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 60
    while not (children := _children(process.pid)) and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(map(_alive, children)) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not any(map(_alive, children))


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_processes_on_one_store_finish_it_together(tmp_path: Path) -> None:
    file, out = tmp_path / "s.yaml", tmp_path / "out"
    file.write_text(YAML)
    both = [subprocess.Popen(command(out, file), stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(stored(out)) == 48
    assert sqlite3.connect(out / "store.sqlite").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert run_sweep(str(file), out=tmp_path / "alone", jobs=1).to_csv() == (out / "points.csv").read_text()


def test_ctrl_c_stops_cleanly_and_keeps_what_is_done(tmp_path: Path) -> None:
    file, out = tmp_path / "s.yaml", tmp_path / "out"
    file.write_text(YAML.replace("32x16x24", "256x96x96"))
    process = subprocess.Popen(command(out, file), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 60
    while len(stored(out)) < 2 and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told_user = process.communicate(timeout=60)
    assert process.returncode == 130
    kept = len(stored(out))
    assert 2 <= kept < 48
    assert told_user == f"{kept} of 48 points are stored in {out}; the same command goes on from there\ninterrupted\n"


# The store


class Torn:
    """A connection in which Ctrl-C arrives while rows are being written, the first time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection, self.first = connection, True

    def __getattr__(self, name: str) -> object:
        if name == "executemany" and self.first:
            self.first = False
            raise KeyboardInterrupt
        return getattr(self.connection, name)


def test_ctrl_c_while_rows_are_written_leaves_the_store_ready_for_more(tmp_path: Path) -> None:
    outcome = Outcome("key", "arch", "workload", {"cycles": 1}, None)
    with Store(tmp_path / "store.sqlite", "sweep") as store:
        store.connection = Torn(store.connection)  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            store.add([outcome])
        store.add([outcome])
        assert store.keys() == {"key"}


def refused(out: Path) -> str:
    """Return why a store is not used, and see that it stays as it is."""
    before = stored(out)
    with pytest.raises(ConfigError) as caught:
        done(out)
    assert stored(out) == before
    return str(caught.value)


def test_a_store_of_another_version_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.sweep.store.__version__", "0.0.9")
    done(tmp_path)
    monkeypatch.undo()
    code = sources.code()[:8]
    assert refused(tmp_path) == (
        f"{tmp_path / 'store.sqlite'}: was written by tiletick 0.0.9 (code {code}), this is tiletick "
        f"{sim.__version__} (code {code}); results of versions do not mix: choose another --out"
    )


def test_a_store_of_the_same_version_before_its_code_changed_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Sweep(FILE).keys(0)
    monkeypatch.setattr("sim.sources.code", lambda: "0123456789")
    done(tmp_path)
    assert not stored(tmp_path) & set(keys)
    monkeypatch.undo()
    assert refused(tmp_path) == (
        f"{tmp_path / 'store.sqlite'}: was written by tiletick {sim.__version__} (code 01234567), this is tiletick "
        f"{sim.__version__} (code {sources.code()[:8]}); results of versions do not mix: choose another --out"
    )


def test_a_store_of_another_format_is_left_as_it_is(tmp_path: Path) -> None:
    done(tmp_path)
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("UPDATE about SET value = 'tiletick.sweep/0' WHERE key = 'format'")
        connection.execute("DELETE FROM about WHERE key = 'code'")
    assert f"was written by tiletick {sim.__version__} (code unknown, tiletick.sweep/0), this is" in refused(tmp_path)


def test_a_worker_with_another_program_is_told() -> None:
    work = replace(Sweep(FILE).works(0)[0], code="0123456789")
    with pytest.raises(ConfigError) as caught:
        evaluate([work])
    assert str(caught.value) == (
        f"a worker: has tiletick {sim.__version__} (code {sources.code()[:8]}), and is asked by one of code 01234567; "
        "install the same on all machines, then start it anew"
    )


def test_figures_of_a_table_before_it_was_changed_are_not_used_again(tmp_path: Path) -> None:
    """A chip names its technology; what stands in that file decides the energy."""
    table = tmp_path / "mine.yaml"
    table.write_text("extends: 45nm\n")
    data = FILE | {"set": {"technology": str(table)}}
    before = Sweep(data).keys(0)
    assert Sweep(data).keys(0) == before
    table.write_text("extends: 45nm\nmac: {}\n")
    assert not set(Sweep(data).keys(0)) & set(before)


def test_a_store_of_another_sweep_is_used_only_where_that_is_asked_for(tmp_path: Path) -> None:
    done(tmp_path)
    other = FILE | {"axes": {"array.rows": [4, 8, 16], "array.dataflow": ["ws"], "inputs.capacity": ["1 KiB"]}}
    with pytest.raises(ConfigError) as caught:
        run_sweep(other, out=tmp_path, jobs=1)
    assert str(caught.value) == (
        f"{tmp_path / 'store.sqlite'}: holds another sweep, or this one before its file was changed; choose another "
        "--out, or use what it holds with --resume"
    )
    told_of: list[Progress] = []
    report = run_sweep(other, out=tmp_path, jobs=1, resume=True, progress=told_of.append)
    assert (told_of[-1].fresh, len(report.done)) == (2, 3)


def test_new_objectives_on_old_results_need_no_simulation(tmp_path: Path) -> None:
    done(tmp_path)
    told_of: list[Progress] = []
    run_sweep(FILE | {"objectives": ["edp"], "description": "words"}, out=tmp_path, jobs=1, progress=told_of.append)
    assert told_of[-1].fresh == 0


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at" * 40, b""])
def test_a_file_that_is_no_store_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.sqlite").write_bytes(content)
    if not content:
        assert len(done(tmp_path).done) == 12  # an empty file is what a store is before anything is in it
        return
    with pytest.raises(ConfigError, match=r"is no store of a sweep, or is damaged; choose another --out$"):
        done(tmp_path)
    assert (tmp_path / "store.sqlite").read_bytes() == content


def test_a_database_of_something_else_is_told(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(ConfigError, match=r"store.sqlite: is no store of a sweep; choose another --out$"):
        done(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        done(tmp_path / "file" / "out")
    assert str(caught.value) == f"{tmp_path / 'file' / 'out'}: cannot be made: Not a directory; choose another --out"


def test_a_store_that_cannot_be_written_is_told_and_stays_whole(tmp_path: Path) -> None:
    done(tmp_path)
    sweep = Sweep(FILE)
    with Store(tmp_path / "store.sqlite", sweep.digest) as store:
        store.connection.execute("PRAGMA query_only=ON")
        with pytest.raises(ConfigError) as caught:
            store.add(evaluate(sweep.works(0)))
    assert str(caught.value) == (
        f"{tmp_path / 'store.sqlite'}: cannot be written: the folder or the file is read-only; choose another --out"
    )
    assert len(stored(tmp_path)) == 24


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to the superuser")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match=r"the folder or the file is read-only; choose another --out$"):
        done(tmp_path)


def test_a_full_disk_is_told_and_the_store_stays_whole(tmp_path: Path) -> None:
    """SQLite says the same where it may not have another page as where the disk has none."""
    sweep = Sweep(FILE)
    outcomes = [outcome for point in range(12) for outcome in evaluate(sweep.works(point))]
    with Store(tmp_path / "store.sqlite", sweep.digest) as store:
        store.add(outcomes[:3])
        (pages,) = store.connection.execute("PRAGMA page_count").fetchone()
        store.connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(ConfigError) as caught:
            store.add(outcomes[3:])
        assert len(store.keys()) == 3
    assert str(caught.value) == (
        f"{tmp_path / 'store.sqlite'}: the disk is full; what is stored is safe: make room, "
        "and the same command goes on"
    )
    told_of: list[Progress] = []
    done(tmp_path, progress=told_of.append)
    assert told_of[-1].fresh == 21


def test_many_threads_may_open_one_store(tmp_path: Path) -> None:
    sweep = Sweep(FILE)
    outcomes = evaluate(sweep.works(0))

    def add() -> None:
        with Store(tmp_path / "store.sqlite", sweep.digest) as store:
            store.add(outcomes)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored(tmp_path)) == 2


# The command, and what it leaves behind


def test_the_command_prints_the_front_and_writes_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(YAML)
    assert cli.main(["sweep", "s.yaml", "--jobs", "1", "--export", "all.csv"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("s: 48 points: 48 simulated\n")
    assert "front of cycles, energy:" in printed
    assert printed.endswith("all points: s.sweep/points.csv; the front: s.sweep/front.csv\n")
    assert Path("all.csv").read_text() == Path("s.sweep/points.csv").read_text()
    points = list(csv.DictReader(Path("s.sweep/points.csv").read_text().splitlines()))
    front = list(csv.DictReader(Path("s.sweep/front.csv").read_text().splitlines()))
    assert len(points) == 48
    assert 0 < len(front) < 48
    assert {row["point"] for row in front} <= {row["point"] for row in points}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep", "none.yaml"], "none.yaml: no such file\n"),
        (["sweep", "nonesuch"], "unknown sweep 'nonesuch'"),
        (["sweep", "s.yaml", "--export", "a.xls", "--jobs", "1"],
         "a.xls: ends in '.xls'; write to a file that ends in .csv or .parquet\n"),
    ],
)  # fmt: skip
def test_mistakes_on_the_command_line_are_told(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(YAML.replace("[1, 8]", "[1, 2]"))
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_line_of_progress_says_what_there_is_to_say() -> None:
    assert told(Progress(90, 12, 1, 3, 4.0, 8, "cycles 1,166")) == (
        "12/90, 2 points/s, 0:00:39 left, best cycles 1,166, 3 skipped, 1 failed"
    )
    assert told(Progress(90, 0, 0, 0, 0.0, 0, "")) == "0/90"


def test_a_table_for_pandas_and_for_parquet(tmp_path: Path) -> None:
    report = done(tmp_path)
    pandas = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    frame = report.to_dataframe()
    assert list(frame["cycles"]) == [row.figures["cycles"] for row in report.rows if row.figures]
    assert frame["array.rows"].dtype.kind == "i"
    report.export(tmp_path / "all.parquet")
    read = parquet.read_table(tmp_path / "all.parquet").to_pandas()
    pandas.testing.assert_series_equal(read["energy_pj"], frame["energy_pj"])
    assert list(read["inputs.capacity"]) == list(frame["inputs.capacity"])


def test_a_dask_cluster_does_the_work_as_this_process_does(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        report = run_sweep(FILE, out=tmp_path / "dask", dask=cluster.scheduler_address)
    assert report.to_csv() == done(tmp_path / "here").to_csv()


def test_a_cluster_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("sim.sweep.executors.PATIENCE", "0.2s")
    with pytest.raises(ConfigError, match=r"^--dask: no Dask scheduler answers at tcp://127.0.0.1:9 \("):
        run_sweep(FILE, out=tmp_path, dask="tcp://127.0.0.1:9")


def test_pictures_are_drawn_and_are_pictures(tmp_path: Path) -> None:
    report = done(tmp_path)
    paths = plot(report, tmp_path)
    assert sorted(path.name for path in paths) == ["front.png", "heatmap.png", "parallel.png", "sensitivity.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    with pytest.raises(ConfigError, match=r"^s: unknown key 'array.rowz'; did you mean 'array.rows'\?"):
        heatmap(report, "array.rowz", "array.dataflow")


def test_a_heat_map_shows_the_best_of_each_field(tmp_path: Path) -> None:
    report = done(tmp_path)
    axes = heatmap(report, "array.rows", "array.dataflow").axes[0]
    columns, lines = ([label.get_text() for label in way.get_ticklabels()] for way in (axes.xaxis, axes.yaxis))
    field = axes.images[0].get_array()
    rows = [row for row in report.done if (row.settings["array.rows"], row.settings["array.dataflow"]) == (4, "os")]
    assert field[lines.index("os")][columns.index("4")] == min(row.figures["cycles"] for row in rows if row.figures)
