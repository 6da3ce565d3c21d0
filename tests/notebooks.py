"""Execute the notebooks and write their outputs: `python -m tests.notebooks [NAME ...]`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
SECONDS = 300
"""That a cell may take on a loaded machine."""


def read(path: Path) -> Any:
    """Return the notebook in a file."""
    return nbformat.read(path, as_version=4)


def code_of(notebook: Any) -> list[Any]:
    """Return its cells of code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook: Any) -> None:
    """Run all cells in a fresh kernel, in a folder of its own."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", resources=resources, coalesce_streams=True
        ).execute()


def main(names: list[str]) -> None:
    """Execute the notebooks whose name contains one of `names`, all of them by default, and write them."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not names or any(name in path.stem for name in names):
            notebook = read(path)
            execute(notebook)
            for cell in notebook.cells:
                cell.metadata = {}
            notebook.metadata.pop("widgets", None)
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
