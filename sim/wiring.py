"""Layers to nodes: every tensor looked up, the layers put in an executable order, the shapes inferred."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from sim.blocks import Layer, Ref, unknown_name
from sim.errors import Problem, TiletickError
from sim.graph import Node
from sim.op import OPS, Op, Shape
from sim.yamlfile import Document, Path_, check

Source = tuple[str, int | None]
"""The layer or graph input that makes a tensor, and which of its outputs, where that was said."""


class Wiring:
    """Wires layers into `nodes`; `problems` says what does not fit. One broken layer is told once.

    What reads from a broken layer, or an input of unknown shape (), cannot be checked and is passed over.
    """

    def __init__(self, layers: Mapping[str, Layer], inputs: Mapping[str, Shape]) -> None:
        self.problems: list[Problem] = []
        self.nodes: list[Node] = []
        self._layers, self._inputs = layers, inputs
        self._tensors: dict[str, Shape] = dict(inputs)
        self._made: dict[str, tuple[str, ...]] = {name: (name,) for name, shape in inputs.items() if shape}
        sources = {name: self._sources(layer) for name, layer in layers.items()}
        for name in self._order(sources):
            self._node(layers[name], sources[name])

    def _sources(self, layer: Layer) -> tuple[Source, ...] | None:
        found = [self._find(ref) for ref in layer.inputs]
        for index, ref in enumerate(layer.inputs):
            if found[index] is None:
                message = f"layer '{layer.name}': {unknown_name('tensor', ref.name, self._known(ref))}"
                self.problems.append(layer.problem(message, "in"))
        return None if None in found else tuple(source for source in found if source)

    def _find(self, ref: Ref) -> Source | None:
        """Return what makes the tensor that `ref` names: a layer, a block by its last layer, or an input."""
        seen = set[str]()
        while ref.name in ref.scope.tensors:
            place = f"{ref.scope.prefix}:{ref.name}"
            if place in seen:
                return None
            seen.add(place)
            ref = ref.scope.tensors[ref.name]
        full = ref.scope.prefix + ref.name
        if full in self._layers or full in self._inputs:
            return full, None
        base, _, index = ref.name.rpartition(".")
        if not base or not index.isdecimal():
            return None
        source = self._find(Ref(ref.scope, base))
        return (source[0], int(index)) if source and source[1] is None else None

    def _known(self, ref: Ref) -> list[str]:
        prefix = ref.scope.prefix
        own = [name.removeprefix(prefix) for name in self._layers if name.startswith(prefix)]
        inputs = [] if prefix else list(self._inputs)
        return list(dict.fromkeys([*inputs, *ref.scope.tensors, *own]))

    def _order(self, sources: Mapping[str, tuple[Source, ...] | None]) -> list[str]:
        """Return the layers, each behind those it reads from, else in file order; cycles are left out."""
        place = {name: index for index, name in enumerate(self._layers)}
        needs = {
            name: {made for made, _ in wires if made in place}
            for name, wires in sources.items()
            if wires is not None
        }
        while (cycle := _cycle(needs)) is not None:
            first = cycle.index(min(cycle, key=place.__getitem__))
            circle = [*cycle[first:], *cycle[: first + 1]]
            message = f"layers read each other in a circle: {' -> '.join(circle)}"
            self.problems.append(self._layers[circle[0]].problem(message, "in"))
            for name in cycle:
                needs.pop(name, None)
        return [name for name in _stable(needs, place) if name in needs]

    def _node(self, layer: Layer, sources: tuple[Source, ...] | None) -> None:
        op = self._operator(layer)
        if op is None or sources is None or any(made not in self._made for made, _ in sources):
            return
        try:
            inputs = tuple(self._tensor(source) for source in sources)
            self._add(layer, op, inputs)
        except ValueError as error:
            self.problems.append(layer.problem(f"layer '{layer.name}' ({layer.op}): {error}"))

    def _operator(self, layer: Layer) -> Op | None:
        try:
            model = OPS[layer.op]
        except TiletickError as error:
            self.problems.append(layer.problem(f"layer '{layer.name}': {error}", "op"))
            return None
        document = Document(layer.document.file, _nested(layer.path, layer.parameters), layer.document.places)
        op, problems = check(model, document, layer.path)
        self.problems += problems
        return op

    def _tensor(self, source: Source) -> str:
        name, index = source
        made = self._made[name]
        if index is None and len(made) == 1:
            return made[0]
        if index is None:
            raise ValueError(f"'{name}' has {len(made)} outputs: read one of {', '.join(made)}")
        if len(made) == 1 or index >= len(made):
            raise ValueError(f"there is no tensor '{name}.{index}': '{name}' makes {', '.join(made)}")
        return made[index]

    def _add(self, layer: Layer, op: Op, inputs: tuple[str, ...]) -> None:
        shapes = tuple(self._tensors[name] for name in inputs)
        _check_arity(op, len(inputs))
        try:
            results = op.infer(shapes)
        except ValueError as error:
            raise ValueError(f"{error}; it reads {self._described(inputs)}") from None
        if any(size < 1 for shape in results for size in shape):
            raise ValueError(f"makes an empty tensor {results[0]}; it reads {self._described(inputs)}")
        several = len(results) > 1
        names = tuple(f"{layer.name}.{n}" for n in range(len(results))) if several else (layer.name,)
        for name in names:
            if name in self._tensors:
                raise ValueError(f"'{name}' names another tensor already")
        self._made[layer.name] = names
        self._tensors.update(zip(names, results, strict=True))
        self.nodes.append(Node(layer.name, OPS.canonical(layer.op), op, inputs, names, shapes, results))

    def _described(self, inputs: tuple[str, ...]) -> str:
        maker = {tensor: name for name, made in self._made.items() for tensor in made}
        parts = []
        for tensor in inputs:
            origin = "the graph's input" if tensor in self._inputs else f"made by layer '{maker[tensor]}'"
            parts.append(f"'{tensor}' {self._tensors[tensor]}, {origin}")
        return "; ".join(parts)


def _check_arity(op: Op, count: int) -> None:
    fewest, most = op.arity
    if fewest <= count and (most is None or count <= most):
        return
    wanted = f"{fewest}" if most == fewest else f"{fewest} or more" if most is None else f"{fewest} to {most}"
    raise ValueError(f"takes {wanted} {'input' if wanted == '1' else 'inputs'}, not {count}")


def _nested(path: Path_, data: object) -> dict[str, object]:
    """Return `data` at `path` of an otherwise empty document."""
    for key in reversed(path):
        data = {key: data}
    return data if isinstance(data, dict) else {}


def _cycle(needs: Mapping[str, set[str]]) -> list[str] | None:
    """Return the layers of one cycle, each before the one that reads it, or None."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle[:-1]
    return None


def _stable(needs: Mapping[str, set[str]], place: Mapping[str, int]) -> list[str]:
    """Return a topological order that takes, of the layers that are ready, the first in the file."""
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    order, ready = list[str](), list[tuple[int, str]]()
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (place[name], name))
        _, name = heapq.heappop(ready)
        order.append(name)
        sorter.done(name)
    return order
