"""The store of a sweep: one SQLite file in which a result is there whole or not at all, whatever happens.

Write-ahead logging with full synchronisation: what is committed survives a killed process and a power cut. A
result is kept under the digest of chip, network and program, once. Any number of processes may write.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from sim import sources
from sim.errors import ConfigError, Problem
from sim.sweep.evaluate import Outcome
from sim.version import __version__

FORMAT = "tiletick.sweep/1"
PATIENCE = 60.0
"""Seconds for which a process waits until another has written."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    key TEXT PRIMARY KEY, arch_sha256 TEXT NOT NULL, workload_sha256 TEXT NOT NULL, figures TEXT, error TEXT
) WITHOUT ROWID;
"""


class Store:
    """The results of a sweep in one file. Every mistake of the user's and of the disk's is a ConfigError."""

    def __init__(self, path: Path, sweep: str, resume: bool = False) -> None:
        """Open the store at `path`, or begin one, for the sweep whose digest is `sweep`.

        `resume` goes on in the store of another sweep. Raises ConfigError where the folder cannot be written,
        the file is no store, or another version or another sweep wrote it.
        """
        self.path = path
        with self._telling():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(Problem(f"cannot be made: {error.strerror}; choose another --out",
                                          str(path.parent))) from None  # fmt: skip
            self.connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            self._write_ahead()
            self.connection.execute("PRAGMA synchronous=FULL")
            self._begin(sweep, resume)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def _write_ahead(self) -> None:
        """Switch to write-ahead logging; where another process is doing so, SQLite itself does not wait."""
        limit = time.monotonic() + PATIENCE
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > limit:
                    raise
                time.sleep(0.01)

    def _begin(self, sweep: str, resume: bool) -> None:
        about = self.about()
        mine = {"format": FORMAT, "version": __version__, "code": sources.code()}
        if about and any(about.get(key) != value for key, value in mine.items()):
            told = f"was written by {_program(about)}, this is {_program(mine)}"
            raise ConfigError(Problem(f"{told}; results of versions do not mix: choose another --out", str(self.path)))
        if about and about["sweep"] != sweep and not resume:
            raise ConfigError(Problem("holds another sweep, or this one before its file was changed; choose another "
                                      "--out, or use what it holds with --resume", str(self.path)))  # fmt: skip
        self.connection.execute("BEGIN IMMEDIATE")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            self.connection.execute(statement)
        for item in {**mine, "sweep": sweep}.items():
            self.connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", item)
        self.connection.execute("COMMIT")

    def about(self) -> dict[str, str]:
        """Return what the store says of itself; nothing where it is new."""
        with self._telling():
            tables = {name for (name,) in self.connection.execute("SELECT name FROM sqlite_master")}
            if tables and not {"about", "runs"} <= tables:
                raise ConfigError(Problem("is no store of a sweep; choose another --out", str(self.path)))
            return dict(self.connection.execute("SELECT key, value FROM about")) if tables else {}

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes, all of them or none; one that is there already stays as it is."""
        rows = [
            (o.key, o.arch_sha256, o.workload_sha256, None if o.figures is None else json.dumps(o.figures), o.error)
            for o in outcomes
        ]
        with self._telling():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self.connection.executemany("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?)", rows)
                self.connection.execute("COMMIT")
            except BaseException:  # Ctrl-C too: what is begun would bar all that comes after
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def keys(self) -> set[str]:
        """Return the keys of all outcomes that are there."""
        with self._telling():
            return {key for (key,) in self.connection.execute("SELECT key FROM runs")}

    def outcomes(self) -> dict[str, Outcome]:
        """Return every outcome by its key."""
        with self._telling():
            rows = self.connection.execute("SELECT key, arch_sha256, workload_sha256, figures, error FROM runs")
            return {
                key: Outcome(key, arch, workload, json.loads(figures) if figures else None, error)
                for key, arch, workload, figures, error in rows
            }

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what SQLite says into what the user can do about it."""
        try:
            yield
        except sqlite3.Error as error:
            raise ConfigError(Problem(_advice(str(error)), str(self.path))) from None


def _program(about: Mapping[str, str]) -> str:
    """Return how errors call the program that wrote a store: code tells versions apart that have one number."""
    code = f"code {about['code'][:8]}" if "code" in about else "code unknown"
    other = "" if about.get("format") == FORMAT else f", {about.get('format')}"
    return f"tiletick {about.get('version')} ({code}{other})"


def _advice(text: str) -> str:
    if "full" in text:
        return "the disk is full; what is stored is safe: make room, and the same command goes on"
    if "readonly" in text or "unable to open" in text:
        return "cannot be written: the folder or the file is read-only; choose another --out"
    if "locked" in text:
        return f"another process has been writing for {PATIENCE:.0f} s; what is stored is safe, try again later"
    if "not a database" in text or "malformed" in text:
        return "is no store of a sweep, or is damaged; choose another --out"
    return f"cannot be used: {text}; what is stored is safe"
