"""Find bundled files by name: architectures, workloads, energy tables. An explicit path always wins."""

from __future__ import annotations

from pathlib import Path

from sim.errors import ConfigError, Problem, unknown

_HERE = Path(__file__).resolve().parent
SHELVES = {
    "arch": "arch_configs",
    "workload": "workloads",
    "energy": "arch_configs/energy",
    "dram": "arch_configs/dram",
    "pim": "arch_configs/pim",
    "graph": "workloads/graphs",
    "routing": "workloads/routing",
    "area": "arch_configs/area",
    "sweep": "arch_configs/sweeps",
}
"""Kind of file to its folder below the library root."""
WORDS = {
    "energy": "energy table", "dram": "DRAM device", "pim": "PIM device", "routing": "histogram", "area": "area table"
}  # fmt: skip
"""What errors call a kind of file that has another name."""


_OTHER = {"arch": "workload", "workload": "arch"}


def root() -> Path:
    """Return the folder that holds `arch_configs` and `workloads`: beside `sim` in a checkout, inside it in a wheel."""
    beside = _HERE.parent
    return beside if (beside / "pyproject.toml").is_file() else _HERE / "library_files"


def names(kind: str) -> list[str]:
    """Return the names of all bundled files of `kind`, sorted; graphs stand in folders, which are part of the name."""
    shelf = root() / SHELVES[kind]
    found = shelf.rglob("*.yaml") if kind == "graph" else shelf.glob("*.yaml")
    return sorted(path.relative_to(shelf).with_suffix("").as_posix() for path in found)


def find(kind: str, name: str, beside: Path | None = None) -> Path:
    """Return the file called `name`: a path as it stands, else beside the file that asks, else from the library.

    Raises ConfigError with the nearest name where there is none.
    """
    looks_like_path = name.endswith((".yaml", ".yml")) or ("/" in name and kind != "graph")
    candidates = [Path(name)] if looks_like_path else []
    if beside is not None:
        candidates += [beside / name, beside / f"{name}.yaml"]
    if not looks_like_path:
        candidates += [Path(name)] if "/" in name else []
        candidates.append(root() / SHELVES[kind] / f"{name}.yaml")
    for candidate in candidates:
        if candidate.exists() and (looks_like_path or candidate.is_file()):
            return candidate
    if Path(name).is_dir():
        raise ConfigError(Problem(f"is a folder; give the path of the {WORDS.get(kind, kind)}'s file", file=name))
    if looks_like_path:
        raise ConfigError(Problem("no such file", file=name))
    if kind in _OTHER and name in names(_OTHER[kind]):
        raise ConfigError(Problem(f"'{name}' is no {kind} but {_OTHER[kind]}; the arch goes before the workload"))
    raise ConfigError(Problem(unknown(WORDS.get(kind, kind), name, names(kind)) + " (or give the path of a file)"))


def shown(path: Path) -> str:
    """Return how errors call `path`: bundled files by their place in the library, others as they are."""
    return str(path.relative_to(root())) if path.is_relative_to(root()) else str(path)
