"""Text is written whole or not at all, and every way in which a file cannot be used is told."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sim import textfile
from sim.errors import ConfigError


def test_what_is_written_is_read_back_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    textfile.write(path, "µ\nsecond\n")
    assert path.read_bytes() == "µ\nsecond\n".encode() and textfile.read(path) == "µ\nsecond\n"


def test_a_byte_order_mark_is_taken_off(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfname: a\n")
    assert textfile.read(tmp_path / "a.txt") == "name: a\n"


def test_a_failed_write_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigError) as caught:
        textfile.write(path, "new")
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_many_threads_may_write_one_file(tmp_path: Path) -> None:
    path, texts = tmp_path / "a.txt", [str(n) * 100_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: textfile.write(path, text), texts))
    assert path.read_text() in texts and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    textfile.write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"
    reader, writer = os.pipe()
    textfile.write(f"/dev/fd/{writer}", "into the pipe")
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == "into the pipe"


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "touched").touch()
    textfile.write(tmp_path / "written", "")
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "touched").stat().st_mode


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none/a.txt", "cannot be written: No such file or directory"),
        ("file/a.txt", "cannot be written: Not a directory"),
        ("folder", "cannot be written: Is a directory"),
    ],
)
def test_where_nothing_can_be_written(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError) as caught:
        textfile.write(tmp_path / name, "x")
    assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "file").touch()
    wanted = {
        "": "is a folder, not a file", "none": "no such file", "bytes": "is not a text file (UTF-8)",
        "file/a": "cannot be read: Not a directory",
    }  # fmt: skip
    for name, message in wanted.items():
        with pytest.raises(ConfigError) as caught:
            textfile.read(tmp_path / name, "it")
        assert str(caught.value) == f"it: {message}"
