"""Every key is described, and the exported JSON Schema takes what is right and marks what is misspelt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import jsonschema
import pytest
from pydantic import BaseModel

from sim import library, yamlfile
from sim.op import OPS
from sim.report.schema import MODELS, schema
from sim.report.show import kind_of, schema_of

SCHEMAS = {kind: json.loads(schema(kind)) for kind in MODELS}
FILES = [(kind, name) for kind in MODELS for name in library.names(kind)]


def parts(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a schema and those inside it."""
    yield model
    for field in model.model_fields.values():
        for inner in inside(field.annotation):
            yield from parts(inner)


def inside(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in inside(argument)]


def test_every_key_that_users_write_is_described() -> None:
    written = {*MODELS.values(), *(OPS[name] for name in OPS)}
    bare = {
        f"{part.__name__}.{key}"
        for model in written
        for part in parts(model)
        for key, field in part.model_fields.items()
        if not field.description
    }
    assert not bare, f"give each a Field(description=...): {sorted(bare)}"


def data_of(kind: str, name: str) -> dict[str, Any]:
    return yamlfile.read(library.find(kind, name)).data


def wrong(kind: str, data: Any) -> list[str]:
    found = jsonschema.Draft202012Validator(SCHEMAS[kind]).iter_errors(data)
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in found]


@pytest.mark.parametrize("kind", MODELS)
def test_the_schema_is_one_of_json_schema(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[kind])


@pytest.mark.parametrize(("kind", "name"), FILES, ids=[f"{kind}-{name}" for kind, name in FILES])
def test_every_bundled_file_is_valid(kind: str, name: str) -> None:
    assert wrong(kind, data_of(kind, name)) == []


@pytest.mark.parametrize(
    "text",
    [
        "{extends: tiny_4x4, name: a, units: {array: {cols: 8}}}",
        "{extends: tiny_4x4, memory: ideal}",
        "{name: a, clock: 1 GHz, units: {v: {kind: vector, lanes: 4}}, memory: ideal}",
        "{extends: tiny_4x4, memory: {latency: 1 us}, buffers: {weights: {keep: null}}, mapping: {layers: {'c*': {}}}}",
    ],
)
def test_what_a_chip_may_look_like(text: str) -> None:
    assert wrong("arch", yamlfile.scalar(text)) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("arch", "{extends: tiny_4x4, unit: {array: {cols: 8}}}"),
        ("arch", "{extends: tiny_4x4, units: {array: {kind: systolic, colums: 8}}}"),
        ("arch", "{extends: tiny_4x4, units: {array: {kind: systolic, lanes: 8}}}"),
        ("arch", "{extends: tiny_4x4, memory: idela}"),
        ("arch", "{extends: tiny_4x4, clock: 1000000}"),
        ("arch", "{extends: tiny_4x4, mapping: {order: [m, x]}}"),
        ("arch", "{name: a, units: {v: {kind: vector, lanes: 4}}, memory: ideal}"),
        ("workload", "{name: a, inputs: {x: [1, 4]}, layers: [{name: l, op: linaer, features: 3}]}"),
        ("workload", "{name: a, inputs: {x: [1, 4]}, layers: [{name: l, op: linear, featuers: 3}]}"),
        ("workload", "{name: a, inputs: {x: [1, 4]}}"),
        ("energy", "{extends: 45nm, sram: {widht_bits: 64}}"),
        ("energy", "{extends: 45nm, link: {value: 0.1, source: a}}"),
    ],
)
def test_what_is_misspelt_is_marked(kind: str, text: str) -> None:
    assert wrong(kind, yamlfile.scalar(text))


def test_defaults_are_written_as_a_file_would_have_them() -> None:
    for part in (SCHEMAS["arch"], *SCHEMAS["arch"]["$defs"].values()):
        for field in part.get("properties", {}).values():
            if "default" in field and field["default"] is not None and "$ref" not in field:
                jsonschema.validate(field["default"], {k: v for k, v in field.items() if k != "default"})


def test_a_file_is_told_by_its_keys(tmp_path: Any) -> None:
    texts = {
        "arch": "extends: tiny_4x4\nunits: {array: {cols: 8}}\n",
        "workload": "name: a\ninputs: {x: [1, 4]}\nlayers: []\n",
        "energy": "extends: 45nm\nabout: mine\n",
    }
    for kind, text in texts.items():
        path = tmp_path / f"{kind}.yaml"
        path.write_text(text)
        assert kind_of(str(path)) == kind and schema_of(str(path)) == schema(kind)
    assert (kind_of("45nm"), kind_of("gemm:1x1x1"), schema_of()) == ("energy", "workload", schema("arch"))


