"""Sizes and complexity of the source beside the marks to aim at; a report, not a gate.

    python tests/perf/style_report.py
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

SOURCE = Path(__file__).resolve().parents[2] / "sim"
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.comprehension, ast.match_case, ast.Assert)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = tuple[str, int, int]


def complexity(function: ast.AST) -> int:
    """Return McCabe's number: one, and one a branch, and one a further operand of `and` and `or`."""
    nodes = list(ast.walk(function))
    further = sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp))
    return 1 + further + sum(isinstance(node, BRANCHES) for node in nodes)


def filled(lines: list[str]) -> int:
    """Return how many of the lines are not blank."""
    return sum(bool(line.strip()) for line in lines)


def functions(path: Path) -> Iterator[Function]:
    """Yield the place, the lines and the complexity of every function in the file."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FUNCTIONS):
            lines = filled(text.splitlines()[node.lineno - 1 : node.end_lineno])
            yield f"{path.relative_to(SOURCE.parent)}:{node.lineno} {node.name}", lines, complexity(node)


def documented(paths: list[Path]) -> float:
    """Return the share of public functions and classes that have a docstring."""
    public = [
        ast.get_docstring(node) is not None
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_")
    ]
    return sum(public) / len(public)


def spread(title: str, sizes: list[int], marks: str) -> None:
    """Print median, 90th percentile and maximum beside the marks."""
    p90 = quantiles(sizes, n=10)[-1]
    print(f"{title:30} median {median(sizes):4.0f}  p90 {p90:4.0f}  max {max(sizes):4}   (aim: {marks})")


def main() -> None:
    """Print the report."""
    paths = sorted(SOURCE.rglob("*.py"))
    sizes = [size for path in paths if (size := filled(path.read_text(encoding="utf-8").splitlines()))]
    found = [function for path in paths for function in functions(path)]
    print(f"{len(paths)} files, {sum(sizes)} lines that are not blank, {len(found)} functions")
    spread("lines a file", sizes, "150, 300, 500")
    spread("lines a function", [lines for _, lines, _ in found], "10, 30, 60")
    spread("complexity of a function", [number for *_, number in found], "none above 10")
    print(f"{'public docstrings':30} {documented(paths):.0%}   (aim: 90%)")
    for place, lines, number in found:
        if lines > 60 or number > 10:
            print(f"  {place}: {lines} lines, complexity {number}")


if __name__ == "__main__":
    main()
