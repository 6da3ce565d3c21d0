"""The JSON Schema of the files that users write: what an editor completes, explains and marks as misspelt."""

from __future__ import annotations

import inspect
import json
from typing import Any

from pydantic import BaseModel

from sim.arch import MEMORIES, Arch
from sim.blocks import USE_KEYS
from sim.dram.schema import Specification
from sim.energy.schema import Schema as EnergyTable
from sim.op import OPS
from sim.pim.schema import Specification as PimSpecification
from sim.streaming.schema import GraphFile
from sim.workload import Workload

MODELS: dict[str, type[BaseModel]] = {"arch": Arch, "workload": Workload, "energy": EnergyTable,
                                     "dram": Specification, "pim": PimSpecification, "graph": GraphFile}  # fmt: skip
"""Kind of file to the schema that it must follow."""

EXTENDABLE = {"arch": "the chip that this one differs from, by name or path",
              "workload": "the network that this one differs from, by name or path",
              "energy": "the table that this one differs from, by name or path",
              "dram": "the device or standard that this one differs from, by name or path",
              "pim": "the device that this one differs from, by name or path"}  # fmt: skip

_USES = {
    "name": "what others call the layer", "op": "the operator", "block": "the block that stands here",
    "in": "tensors that it reads; the layer before by default", "repeat": "how often it stands here",
    "with": "values of the block's params", "when": "whether it stands here at all",
}  # fmt: skip


def schema(kind: str) -> str:
    """Return the JSON Schema (draft 2020-12) of a file of `kind` (arch, workload, energy, dram, pim).

    Every file that tiletick accepts is valid. A file that `extends` another may leave out anything, so
    that missing keys are told of files that stand alone, and at their top level only.
    """
    found = MODELS[kind].model_json_schema()
    needed = found["required"]
    _loosen(found)
    if kind in EXTENDABLE:
        found["properties"]["extends"] = {"type": "string", "description": EXTENDABLE[kind]}
        found |= {"if": {"not": {"required": ["extends"]}}, "then": {"required": needed}}
    else:
        found["required"] = needed
    if kind == "arch":
        memory = found["properties"]["memory"]
        memory["anyOf"].append({"enum": list(MEMORIES), "description": "a kind without keys of its own"})
    if kind == "workload":
        layers = {"type": "array", "items": _layer()}
        for place in (found, found["$defs"]["Block"]):
            place["properties"]["layers"] |= layers
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **found}, indent=2) + "\n"


def _loosen(part: Any) -> None:
    """Let every key of `part` be left out, as one of a base may stand for it."""
    if isinstance(part, list):
        for each in part:
            _loosen(each)
    elif isinstance(part, dict):
        if isinstance(part.get("required"), list):
            del part["required"]
        if "oneOf" in part:
            part["anyOf"] = part.pop("oneOf")
            part.pop("discriminator", None)
        for each in part.values():
            _loosen(each)


def _layer() -> dict[str, Any]:
    """Return the schema of a layer: the keys of every operator, each with those that have it."""
    keys: dict[str, list[str]] = {}
    for name in OPS:
        for key, field in OPS[name].model_fields.items():
            keys.setdefault(f"{key}: {field.description}", []).append(name)
    properties: dict[str, Any] = {key: {"description": _USES[key]} for key in USE_KEYS}
    for described, names in keys.items():
        key, _, meaning = described.partition(": ")
        text = f"{meaning} ({', '.join(names)})"
        before = properties.get(key, {}).get("description")
        properties[key] = {"description": f"{before}; {text}" if before else text}
    about = {name: (inspect.getdoc(OPS[name]) or "").partition("\n")[0] for name in OPS}
    choices = [{"const": name, "description": line} for name, line in about.items()]
    properties["op"] = {"anyOf": [*choices, {"type": "string", "pattern": "^="}], "description": _USES["op"]}
    return {"type": "object", "properties": properties, "additionalProperties": False}
