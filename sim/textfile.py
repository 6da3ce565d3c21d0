"""Files, read with clear errors and written whole or not at all: the one place for both."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from sim.errors import ConfigError, Problem


def read(path: str | Path, shown: str | None = None) -> str:
    """Return the text of `path` (UTF-8, a byte order mark taken off), called `shown` in errors.

    Raises ConfigError where there is no such file, or it is a folder, is no text or cannot be read.
    """
    file = shown or str(path)
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(Problem("no such file", file=file)) from None
    except IsADirectoryError:
        raise ConfigError(Problem("is a folder, not a file", file=file)) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem("is not a text file (UTF-8)", file=file)) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", file=file)) from None


def write(path: str | Path, text: str) -> None:
    """Write `text` to `path`, which never holds a part of it; what is no regular file (/dev/stdout) is written to.

    Raises ConfigError where the folder is missing or read-only, or `path` is a folder.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` as `write` does text."""
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            _fill(target, content)
        else:
            _replace(Path(os.path.realpath(target)), content)  # a link stays a link
    except OSError as error:
        raise ConfigError(Problem(f"cannot be written: {error.strerror}", str(path))) from None


def _replace(target: Path, content: bytes) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        _fill(partial, content)
        partial.replace(target)
    finally:
        with suppress(OSError):  # it was renamed, or there is no such folder
            partial.unlink()


def _fill(target: Path, content: bytes) -> None:
    with target.open("wb") as out:
        out.write(content)
