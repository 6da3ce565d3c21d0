"""Expressions of workload files: what they compute, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.expressions import evaluate, resolve

NAMES = {"width": 6, "project": False, "sizes": [3, 5, 7], "i": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("=width", 6), ("= width * 4 - 1", 23), ("=width / 4", 1.5), ("=width // 4", 1), ("=-width % 4", 2),
        ("=2 ** width", 64), ("=i == 0", False), ("=0 < i <= 1", True), ("=0 < i < 1", False),
        ("=not project and width > 5", True), ("=project or i", 1),
        ("='down' if project else 'input'", "input"), ("=sizes[i]", 5), ("=[8, 16][i]", 16),
        ("=i in [0, 2]", False), ("=i not in [0, 2]", True), ("=min(width, 4) + max(sizes)", 11),
        ("=int(width * 1.25 + 4) // 8 * 8", 8), ("=round(2.6)", 3), ("=ceil(width / 4)", 2), ("=+width", 6),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    result = evaluate(text, NAMES)
    assert result == value and type(result) is type(value)


@given(st.integers(-99, 99), st.integers(-99, 99), st.integers(1, 99))
def test_arithmetic_is_python_s(a: int, b: int, c: int) -> None:
    assert evaluate("=a * b + (a - b) // c % c", {"a": a, "b": b, "c": c}) == a * b + (a - b) // c % c


def test_strings_are_resolved_however_deep() -> None:
    written = {"pad": [["=i", 2], [0, "=width"]], "name": "width", "keep": True}
    assert resolve(written, NAMES) == {"pad": [[1, 2], [0, 6]], "name": "width", "keep": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=widht", "unknown name 'widht'; did you mean 'width'? choose from: i, project, sizes, width"),
        ("=2 +", "'=2 +' is not an expression"),
        ("=", "'=' is not an expression"),
        ("=width.real", "'width.real' is not allowed in an expression"),
        ("=(lambda: 1)()", "'(lambda: 1)()' is not allowed in an expression"),
        ("=open('x')", "unknown function 'open'; choose from: ceil, int, max, min, round"),
        ("=maxx(1, 2)", "unknown function 'maxx'; did you mean 'max'? choose from: ceil, int, max, min, round"),
        ("=int(x=1)", "'int(x=1)' is not allowed in an expression"),
        ("=[x for x in sizes]", "'[x for x in sizes]' is not allowed in an expression"),
        ("=~width", "'~width' is not allowed in an expression"),
        ("=width is 6", "'width is 6' is not allowed in an expression"),
        ("='a' * 9", "''a' * 9' is no arithmetic on numbers"),
        ("=width << 9", "'width << 9' is no arithmetic on numbers"),
        ("=9 ** 9 ** 9", "'9 ** 9 ** 9' is too large a power"),
        ("=width / 0", "'=width / 0' cannot be computed: division by zero"),
        ("=sizes[3]", "'=sizes[3]' cannot be computed: list index out of range"),
        ("=min(width)", "'=min(width)' cannot be computed: 'int' object is not iterable"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        evaluate(text, NAMES)
    assert str(caught.value) == message
