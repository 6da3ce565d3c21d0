"""How a chip names the methods of its lanes, operation by operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import AfterValidator, BeforeValidator, Field

from sim.errors import unknown
from sim.lanes.method import METHODS, REPLACED, Method


def _named(value: object) -> object:
    """Let a method stand for itself: `exp: ibert`; ValueError where nothing has that name."""
    if isinstance(value, str):
        if value not in METHODS:
            raise ValueError(unknown("method", value, METHODS))
        return {"method": value}
    return value


if TYPE_CHECKING:
    AnyMethod = Method
else:
    AnyMethod = Annotated[
        Union[tuple(METHODS[name] for name in METHODS)], Field(discriminator="method"), BeforeValidator(_named)  # noqa: UP007
    ]


def _checked(functions: dict[str, Method]) -> dict[str, Method]:
    for operation, method in functions.items():
        if operation not in REPLACED:
            raise ValueError(unknown("lane operation", operation, REPLACED))
        if operation not in method.stands_for:
            able = [name for name in METHODS if operation in METHODS[name].stands_for]
            raise ValueError(f"{method.method} does no {operation}; choose from: {', '.join(able)}")
    return functions


Functions = Annotated[dict[str, AnyMethod], AfterValidator(_checked)]
