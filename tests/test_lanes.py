"""Functions of lanes: what an approximation computes, how far it is off, what it costs, what is told of mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim import energy, lanes, run
from sim.arch import load
from sim.attention.mapping import MAPPINGS, Wish
from sim.errors import ConfigError
from sim.execute.attention import execute_attention
from sim.kernel import Attention
from sim.lanes import METHODS, Method
from sim.ops.activation import Gelu
from sim.ops.rmsnorm import RmsNorm
from sim.ops.softmax import Softmax
from sim.report.show import show

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "taylor": [{}, {"terms": 2}, {"terms": 10}], "piecewise_linear": [{}, {"segments": 3}, {"segments": 100}],
    "newton": [{}, {"iterations": 0}, {"iterations": 3}],
}  # fmt: skip
EVERY = [
    pytest.param(METHODS[name](method=name, **more), operation, id=f"{name}-{operation}-{more}")
    for name in METHODS
    for more in SETTINGS.get(name, [{}])
    for operation in METHODS[name].stands_for
]


def off(method: Method, operation: str) -> float:
    """Return by how much a method is off at most, over a fine sample of where its bound holds."""
    random = np.random.default_rng(1)
    if operation == "exp":
        x = np.append(-random.exponential(4, 50_000), [0.0, -1e4, -np.inf])
        return float(np.abs(method.compute("exp", x) - np.exp(x)).max())
    if operation == "tanh":
        x = random.normal(0, 3, 50_000)
        return float(np.abs(method.compute("tanh", x) - np.tanh(x)).max())
    if operation == "erf":
        x = np.linspace(-4, 4, 20_001)
        exact, (found,) = Gelu().apply(x), _gelu(method, x)
        return float(np.abs(found - exact).max())
    x = np.exp(random.uniform(-80, 80, 50_000))
    exact = 1 / x if operation == "div" else np.sqrt(x)
    return float(np.abs(method.compute(operation, x) / exact - 1).max())


def _gelu(method: Method, x: Any) -> tuple[Any]:
    with lanes.using({"erf": method}):
        return (Gelu().apply(x),)


@pytest.mark.parametrize(("method", "operation"), EVERY)
def test_no_result_is_further_off_than_the_bound(method: Method, operation: str) -> None:
    """And the bound is no idle one: results come near it."""
    bound, about = method.error(operation)
    assert bound / 3 < off(method, operation) <= bound
    assert about
    assert method.source


def test_signs_and_zeros_are_kept() -> None:
    newton, tanh = METHODS["newton"](method="newton"), METHODS["piecewise_linear"](method="piecewise_linear")
    assert newton.compute("div", np.array([-4.0]))[0] == pytest.approx(-0.25, rel=1e-4)
    assert newton.compute("sqrt", np.array([0.0]))[0] == 0
    assert tanh.compute("tanh", np.array([0.0, 9.0, -9.0])).tolist() == [0, 1, -1]


def test_operators_compute_by_the_methods_and_exactly_without_them() -> None:
    x = np.random.default_rng(0).normal(0, 4, (5, 40))
    exact = Softmax().reference([x], {})[0]
    assert np.allclose(exact, np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))
    functions = {"exp": METHODS["ibert"](method="ibert"), "div": METHODS["newton"](method="newton", iterations=1)}
    with lanes.using(functions):
        found = Softmax().reference([x], {})[0]
    # Shares of at most 1: twice the gap of exp beside a sum of at least 1, and the relative error of the quotient.
    assert 0 < np.abs(found - exact).max() <= 2 * 1.95e-3 + functions["div"].error("div")[0]
    assert np.array_equal(Softmax().reference([x], {})[0], exact), "outside of the block nothing is approximated"


def test_a_norm_shows_the_error_of_its_root_and_its_quotient() -> None:
    x, weights = np.random.default_rng(0).normal(0, 4, (7, 16)), {"weight": np.ones(16)}
    newton = METHODS["newton"](method="newton", iterations=1)
    exact = RmsNorm().reference([x], weights)[0]
    with lanes.using({"sqrt": newton, "div": newton}):
        found = RmsNorm().reference([x], weights)[0]
    both = (1 + newton.error("div")[0]) * (1 + newton.error("sqrt")[0]) ** 2 - 1
    assert 0 < np.abs(found / exact - 1).max() <= both


def test_fused_attention_carries_the_approximation_out() -> None:
    """Every mapping computes by the methods of the lanes; PEs that hold scores do not."""
    kernel = Attention("a", 2, 12, 20, 8, 8)
    random = np.random.default_rng(3)
    operands = [random.normal(size=(2, rows, 8)) for rows in (12, 20, 20)]
    scores = operands[0] @ operands[1].swapaxes(1, 2)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    exact = shares / shares.sum(axis=-1, keepdims=True) @ operands[2]
    most = np.abs(operands[2]).max()
    for name in MAPPINGS:
        settings = {"vector.functions": {"exp": "ibert"}, "array.rows": 4, "array.cols": 4, "vector.cycles_per": {}}
        arch = load("flat", settings)
        plan = next(MAPPINGS[name](Wish(kernel, arch.seen("kv"), arch.mapping.of("a"))))
        gap = np.abs(execute_attention(plan, *operands, arch) - exact).max()
        assert 0 < gap <= 20 * 2 * 1.95e-3 * most, name


def test_cycles_and_energy_are_those_of_the_steps() -> None:
    """exp by 6 multiply-accumulates: 6 cycles of a lane, 6 products and 6 additions of energy."""
    network = "attention:1x1x16x16"
    chip = {"memory": "ideal", "mapping.attention": "layers", "vector.latency": 0}
    exact = run("tiny_4x4", network, chip)
    slow = run("tiny_4x4", network, chip | {"vector.functions": {"exp": "taylor"}})
    six = run("tiny_4x4", network, chip | {"vector.cycles_per": {"exp": 6}})
    assert exact.cycles < slow.cycles == six.cycles
    table, count = energy.load(load("tiny_4x4").technology), 16 * 16
    price = 6 * (table.lane("mul", "int32").pj + table.lane("add", "int32").pj)
    assert slow.energy_pj["by_action"]["vector.exp"] == pytest.approx(count * price)
    longer = run("tiny_4x4", network, chip | {"vector.functions": {"exp": {"method": "taylor", "terms": 12}}})
    assert longer.cycles - slow.cycles == slow.cycles - exact.cycles + (count // 4)
    doubled = run("tiny_4x4", network, chip | {"vector.functions": {"exp": "taylor"}, "vector.cycles_per": {"mul": 2}})
    assert doubled.cycles > slow.cycles, "a multiply-accumulate takes as long as a product"


def test_show_says_what_a_function_takes_and_how_far_it_is_off() -> None:
    text = show("tiny_4x4", {"vector.functions": {"exp": "ibert", "div": {"method": "newton", "iterations": 1}}})
    assert "ibert, 5 cycles: mul 1, mac 3, add 1; off by 0.00195 of e^x for x <= 0 at most" in text
    assert "newton, 4 cycles: mac 3, mul 1; off by 0.00346 relative, of a quotient at most" in text


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"exp": "iberd"}, "unknown method 'iberd'; did you mean 'ibert'? choose from: ibert, newton, "
         "piecewise_linear, taylor"),
        ({"exp": {"method": "tailor"}}, "unknown kind 'tailor'; did you mean 'taylor'?"),
        ({"exp": "newton"}, "newton does no exp; choose from: ibert, piecewise_linear, taylor"),
        ({"mul": "newton"}, "unknown lane operation 'mul'; choose from: div, erf, exp, sqrt, tanh"),
        ({"div": {"method": "newton", "iterations": 9}}, "9 is out of range: less than or equal to 6"),
        ({"div": {"method": "newton", "terms": 9}}, "unknown key 'terms'"),
    ],
)  # fmt: skip
def test_mistakes_in_functions_are_told(functions: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load("tiny_4x4", {"vector.functions": functions})
    assert message in str(error.value)


def test_an_operation_costs_by_its_method_or_by_its_own_cycles() -> None:
    with pytest.raises(ConfigError) as error:
        load("tiny_4x4", {"vector.functions": {"exp": "taylor"}, "vector.cycles_per": {"exp": 3}})
    assert str(error.value).endswith(
        "exp takes the operations of its method; remove one of functions and cycles_per"
    )
