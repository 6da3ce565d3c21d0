"""Packages that only some users need: found when they are used, and told by name where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from sim.errors import TiletickError


def load(module: str, extra: str) -> Any:
    """Return the module; TiletickError says which extra to install where a package it needs is not there."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "sim":
            raise
        raise TiletickError(f"the package '{error.name}' is not installed; pip install 'tiletick[{extra}]'") from None
