"""What the operators compute on known inputs, and how many operations they count for it."""

from __future__ import annotations

from math import erf, exp, sqrt, tanh

import numpy as np
import pytest

from sim.kernel import VectorWork
from sim.op import OPS

X = np.array([[-4.0, -1.5, 0.0, 0.5, 7.0]])


def run(name: str, *inputs, weights=None, **parameters):
    return OPS[name](**parameters).reference([np.asarray(x) for x in inputs], weights or {})


def counts(name: str, *shapes, **parameters) -> dict[str, int]:
    (kernel,) = OPS[name](**parameters).kernels(shapes)
    assert isinstance(kernel, VectorWork)
    return dict(kernel.operations)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda x: max(x, 0)),
        ("relu6", lambda x: min(max(x, 0), 6)),
        ("leaky_relu", lambda x: x if x > 0 else 0.01 * x),
        ("hardsigmoid", lambda x: min(max(x + 3, 0), 6) / 6),
        ("hardswish", lambda x: x * min(max(x + 3, 0), 6) / 6),
        ("sigmoid", lambda x: 1 / (1 + exp(-x))),
        ("silu", lambda x: x / (1 + exp(-x))),
        ("tanh", tanh),
        ("gelu", lambda x: x * (1 + erf(x / sqrt(2))) / 2),
    ],
)
def test_activations_equal_their_definitions(name: str, function) -> None:
    np.testing.assert_allclose(run(name, X)[0], [[function(x) for x in X[0]]], atol=1e-15)


@pytest.mark.parametrize(
    ("name", "per_element"),
    [
        ("relu", {"max": 1}), ("relu6", {"max": 2}), ("leaky_relu", {"mul": 1, "max": 1}),
        ("hardsigmoid", {"add": 1, "max": 2, "mul": 1}), ("hardswish", {"add": 1, "max": 2, "mul": 2}),
        ("sigmoid", {"exp": 1, "add": 1, "div": 1}), ("silu", {"exp": 1, "add": 1, "div": 1}),
        ("tanh", {"tanh": 1}), ("gelu", {"mul": 3, "add": 1, "erf": 1}),
        ("batchnorm", {"mul": 1, "add": 1}), ("scale", {"mul": 1}),
    ],
)  # fmt: skip
def test_operations_an_element(name: str, per_element: dict[str, int]) -> None:
    assert counts(name, (2, 3, 10)) == {kind: 60 * count for kind, count in per_element.items()}


def test_operations_of_a_row() -> None:
    """Rows of n = 8, counted by hand from the definitions."""
    assert counts("softmax", (5, 8)) == {"max": 5 * 7, "add": 5 * 15, "exp": 5 * 8, "div": 5 * 8}
    assert counts("layernorm", (5, 8)) == {"add": 5 * (23 + 8), "mul": 5 * (18 + 8), "sqrt": 5, "div": 5}
    assert counts("instancenorm", (1, 5, 8)) == {"add": 5 * 23, "mul": 5 * 18, "sqrt": 5, "div": 5}


def test_operations_of_pools_sums_and_resizing() -> None:
    image = (1, 2, 4, 4)
    assert counts("maxpool", image, kernel=2) == {"max": 3 * 8}
    assert counts("avgpool", image, kernel=2) == {"add": 3 * 8, "mul": 8}
    assert counts("global_avgpool", image) == {"add": 15 * 2, "mul": 2}
    assert counts("adaptive_avgpool", image, out=2) == {"add": 3 * 8, "mul": 8}
    assert counts("add", image, image, image) == {"add": 2 * 32}
    assert counts("sub", image, image) == {"add": 32}
    assert counts("mul", image, (1, 2)) == {"mul": 32}
    assert counts("resize", image, factor=2) == {}
    assert counts("resize", image, factor=2, mode="bilinear") == {"mul": 4 * 128, "add": 3 * 128}
    assert counts("concat", image, image) == {}


def test_what_stays_in_place_is_no_work() -> None:
    for name, parameters in (("identity", {}), ("flatten", {}), ("reshape", {"shape": (2, -1)})):
        assert OPS[name](**parameters).kernels([(2, 3, 4)]) == ()


def test_normalisations_have_mean_0_and_variance_1() -> None:
    x = np.random.default_rng(0).normal(3, 2, size=(2, 4, 5, 6))
    for name, parameters, axes in (
        ("layernorm", {"axis": "last"}, (3,)), ("layernorm", {"axis": "channels"}, (1,)),
        ("groupnorm", {"groups": 1}, (1, 2, 3)), ("groupnorm", {"groups": 4}, (2, 3)),
        ("instancenorm", {}, (2, 3)),
    ):  # fmt: skip
        y = run(name, x, affine=False, eps=0.0, **parameters)[0]
        np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
        np.testing.assert_allclose(y.var(axis=axes), 1, atol=1e-12)


def test_affine_parameters_belong_to_channels() -> None:
    x = np.ones((1, 2, 2))
    weights = {"weight": np.array([2, 3]), "bias": np.array([10, 20])}
    np.testing.assert_array_equal(run("batchnorm", x, weights=weights)[0], [[[12, 12], [23, 23]]])
    scaled = run("scale", x, weights={"weight": np.array([2, 3])}, axis="last")[0]
    np.testing.assert_array_equal(scaled, [[[2, 3], [2, 3]]])


def test_softmax_adds_up_to_1_and_survives_large_numbers() -> None:
    y = run("softmax", [[1000.0, 1000.0], [0.0, np.log(3)]])[0]
    np.testing.assert_allclose(y, [[0.5, 0.5], [0.25, 0.75]])


def test_a_factor_a_channel_meets_every_position() -> None:
    image, factor = np.ones((1, 2, 3, 3)), np.array([[2.0, 5.0]])
    expected = image * factor[:, :, None, None]
    np.testing.assert_array_equal(run("mul", image, factor)[0], expected)
    np.testing.assert_array_equal(run("mul", factor[:, :, None, None], image)[0], expected)
    np.testing.assert_array_equal(run("sub", image, factor)[0], image - factor[:, :, None, None])


def test_channel_shuffle_interleaves_the_groups() -> None:
    """The figure of ShuffleNet (Zhang et al., CVPR 2018): channel g·n + c goes to c·groups + g."""
    y = run("channel_shuffle", np.arange(6).reshape(1, 6), groups=2)[0]
    np.testing.assert_array_equal(y, [[0, 3, 1, 4, 2, 5]])


def test_pixel_shuffle_lays_channels_out_in_space_and_back() -> None:
    x = np.arange(8).reshape(1, 4, 1, 2)
    y = run("pixel_shuffle", x, factor=2)[0]
    np.testing.assert_array_equal(y, [[[[0, 2, 1, 3], [4, 6, 5, 7]]]])
    np.testing.assert_array_equal(run("pixel_unshuffle", y, factor=2)[0], x)


def test_concat_undoes_split() -> None:
    x = np.arange(24).reshape(2, 6, 2)
    parts = run("split", x, parts=(1, 2, 3))
    assert [part.shape[1] for part in parts] == [1, 2, 3]
    np.testing.assert_array_equal(run("concat", *parts)[0], x)


def test_resizing_a_known_row() -> None:
    row = np.array([[[0.0, 4.0]]])
    np.testing.assert_array_equal(run("resize", row, factor=2)[0], [[[0, 0, 4, 4]]])
    np.testing.assert_array_equal(run("resize", row, factor=2, mode="bilinear")[0], [[[0, 1, 3, 4]]])
    np.testing.assert_array_equal(run("resize", np.arange(3).reshape(1, 1, 3), size=2)[0], [[[0, 1]]])


def test_padding_adds_and_cuts() -> None:
    row = np.array([[[1, 2, 3]]])
    np.testing.assert_array_equal(run("pad", row, pad=((2, 0),), value=9)[0], [[[9, 9, 1, 2, 3]]])
    np.testing.assert_array_equal(run("pad", row, pad=((-1, 1),))[0], [[[2, 3, 0]]])


def test_regions_of_an_adaptive_pool_overlap_where_they_do_not_divide() -> None:
    y = run("adaptive_avgpool", np.arange(5.0).reshape(1, 1, 5), out=2)[0]
    np.testing.assert_array_equal(y, [[[1.0, 3.0]]])


def test_matmul_of_a_transposed_operand() -> None:
    left, right = np.arange(6).reshape(1, 2, 3), np.arange(12).reshape(1, 4, 3)
    np.testing.assert_array_equal(run("matmul", left, right, transpose_b=True)[0], left @ right.swapaxes(1, 2))
