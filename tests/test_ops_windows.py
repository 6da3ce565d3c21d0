"""Convolutions and pools against loops written straight from the definition, and their output sizes."""

from __future__ import annotations

from itertools import product
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.kernel import Contraction
from sim.op import OPS, random_integers


def conv_by_loops(image, weight, bias, stride, low, high, dilation, groups):
    """One multiply-accumulate at a time over every output, channel and tap of a 2-D convolution."""
    batch, channels, *sizes = image.shape
    filters, deep, *kernel = weight.shape
    out = [
        (sizes[a] + low[a] + high[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in range(2)
    ]
    result = np.zeros((batch, filters, *out), dtype=int)
    for b, f, y, x in product(range(batch), range(filters), range(out[0]), range(out[1])):
        total = int(bias[f]) if bias is not None else 0
        first = f // (filters // groups) * (channels // groups)
        for c, r, s in product(range(deep), range(kernel[0]), range(kernel[1])):
            iy = y * stride[0] + r * dilation[0] - low[0]
            ix = x * stride[1] + s * dilation[1] - low[1]
            if 0 <= iy < sizes[0] and 0 <= ix < sizes[1]:
                total += int(image[b, first + c, iy, ix]) * int(weight[f, c, r, s])
        result[b, f, y, x] = total
    return result


def pairs(low: int, high: int) -> st.SearchStrategy:
    return st.tuples(st.integers(low, high), st.integers(low, high))


def by_kernels(op, image, weights):
    """Run an operator through its contractions, as hardware would, bias added at the end."""
    kernels = op.kernels([image.shape])
    operands = op.operands([image], weights)
    products = [kernel.compute(*pair) for kernel, pair in zip(kernels, operands, strict=True)]
    result = op.assemble(products, [image.shape])
    return result + weights["bias"].reshape(-1, *(1,) * (image.ndim - 2)) if "bias" in weights else result


@settings(max_examples=120, deadline=None)
@given(
    batch=st.integers(1, 2), groups=st.integers(1, 3), deep=st.integers(1, 2), wide=st.integers(1, 2),
    sizes=pairs(1, 7), kernel=pairs(1, 3), stride=pairs(1, 3), low=pairs(0, 2), high=pairs(0, 2),
    dilation=pairs(1, 2), bias=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_convolution_equals_the_loops(
    batch, groups, deep, wide, sizes, kernel, stride, low, high, dilation, bias, seed
) -> None:
    op = OPS["conv2d"](
        filters=groups * wide, kernel=kernel, stride=stride, pad=tuple(zip(low, high, strict=True)),
        dilation=dilation, groups=groups, bias=bias,
    )  # fmt: skip
    shape = (batch, groups * deep, *sizes)
    if any(sizes[a] + low[a] + high[a] < dilation[a] * (kernel[a] - 1) + 1 for a in range(2)):
        with pytest.raises(ValueError, match="is larger than the padded input"):
            op.infer([shape])
        return
    image = random_integers(shape, seed)
    shapes = op.weight_shapes([shape])
    weights = {name: random_integers(size, seed + 1) for name, size in shapes.items()}
    expected = conv_by_loops(
        image, weights["weight"], weights.get("bias"), stride, low, high, dilation, groups
    )
    assert op.infer([shape]) == (expected.shape,)
    np.testing.assert_array_equal(op.reference([image], weights)[0], expected)
    np.testing.assert_array_equal(by_kernels(op, image, weights), expected)
    assert op.macs([shape]) == expected.size * deep * kernel[0] * kernel[1]


@settings(max_examples=120, deadline=None)
@given(
    batch=st.integers(1, 2), groups=st.integers(1, 2), deep=st.integers(1, 2), wide=st.integers(1, 2),
    size=st.integers(1, 5), kernel=st.integers(1, 5), stride=st.integers(1, 4), low=st.integers(0, 2),
    high=st.integers(0, 2), extra=st.integers(0, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_transposed_convolution_equals_the_scattering_loops(
    batch, groups, deep, wide, size, kernel, stride, low, high, extra, seed
) -> None:
    out = (size - 1) * stride + kernel - low - high + extra
    if out < 1 or extra >= stride:
        return
    op = OPS["conv_transpose1d"](
        filters=groups * wide, kernel=kernel, stride=stride, pad=((low, high),), output_pad=extra,
        groups=groups,
    )  # fmt: skip
    shape = (batch, groups * deep, size)
    image = random_integers(shape, seed)
    weights = {n: random_integers(s, seed + 1) for n, s in op.weight_shapes([shape]).items()}
    expected = np.zeros((batch, groups * wide, out), dtype=int) + weights["bias"][:, None]
    for b, c, f, i, t in product(*map(range, (batch, groups * deep, wide, size, kernel))):
        at = i * stride + t - low
        if 0 <= at < out:
            value = int(image[b, c, i]) * int(weights["weight"][c, f, t])
            expected[b, c // deep * wide + f, at] += value
    assert op.infer([shape]) == (expected.shape,)
    np.testing.assert_array_equal(op.reference([image], weights)[0], expected)
    if op.kernels([shape]):
        np.testing.assert_array_equal(by_kernels(op, image, weights), expected)


@settings(max_examples=30, deadline=None)
@given(rank=st.integers(1, 3), kernel=st.integers(1, 4), stride=st.integers(1, 3), size=st.integers(2, 4))
def test_the_phases_of_a_transposed_convolution_touch_each_tap_once_an_input(rank, kernel, stride, size) -> None:
    """Where nothing is cropped and stride divides the kernel, every phase has kernel / stride taps an axis."""
    op = OPS[f"conv_transpose{rank}d"](filters=3, kernel=kernel * stride, stride=stride, bias=False)
    kernels = op.kernels([(1, 2, *(size,) * rank)])
    assert len(kernels) == stride**rank
    assert sum(k.right_elements for k in kernels if isinstance(k, Contraction)) == 6 * (kernel * stride) ** rank
    assert all(k.taps == kernel**rank for k in kernels if isinstance(k, Contraction))


def test_an_up_convolution_multiplies_each_input_by_each_tap_once() -> None:
    """2x2 stride 2, as in U-Net: H·W·C inputs by F·4 taps, a quarter of what a zero-stuffed input takes."""
    op = OPS["conv_transpose2d"](filters=512, kernel=2, stride=2)
    assert op.macs([(1, 1024, 28, 28)]) == 28 * 28 * 1024 * 512 * 4


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 20), kernel=st.integers(1, 5), stride=st.integers(1, 4), dilation=st.integers(1, 2))
def test_same_padding_rounds_the_size_over_the_stride_up(size, kernel, stride, dilation) -> None:
    """TensorFlow: ceil(size / stride) outputs; the odd zero goes behind (tf.nn.convolution)."""
    op = OPS["conv1d"](filters=1, kernel=kernel, stride=stride, dilation=dilation, pad="same")
    shape = (1, 1, size)
    assert op.infer([shape]) == ((1, 1, ceil(size / stride)),)
    (window,) = op.kernels([shape])[0].axes
    total = max((window.out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    assert window.pad == total // 2


@pytest.mark.parametrize(
    ("size", "pad", "ceil_mode", "out"),
    [
        (7, 0, False, 3), (8, 0, False, 3), (8, 0, True, 4), (7, 0, True, 3),
        (112, 1, False, 56),  # ResNet's first pool
        (4, 1, True, 3),  # a window may begin in the input and end beyond the padding
        (5, 1, True, 3),
    ],
)  # fmt: skip
def test_pool_output_sizes_of_kernel_3_stride_2(size: int, pad: int, ceil_mode: bool, out: int) -> None:
    op = OPS["maxpool"](kernel=3, stride=2, pad=pad, ceil=ceil_mode)
    assert op.infer([(1, 1, size)]) == ((1, 1, out),)


def test_rounding_up_adds_no_window_that_begins_in_the_padding_behind() -> None:
    """size 2, kernel 2, stride 2, pad 1: ceil would give a window at 3, beyond the input (as PyTorch)."""
    op = OPS["maxpool"](kernel=2, stride=2, pad=1, ceil=True)
    assert op.infer([(1, 1, 3)]) == ((1, 1, 2),)


def test_pools_of_a_known_image() -> None:
    image = np.arange(16).reshape(1, 1, 4, 4) - 20
    most = OPS["maxpool"](kernel=3, stride=2, pad=1).reference([image], {})[0]
    mean = OPS["avgpool"](kernel=2).reference([image], {})[0]
    padded = OPS["avgpool"](kernel=3, stride=3, pad=1).reference([np.ones((1, 1, 3, 3))], {})[0]
    np.testing.assert_array_equal(most, [[[[-15, -13], [-7, -5]]]])
    np.testing.assert_array_equal(mean, [[[[-17.5, -15.5], [-9.5, -7.5]]]])
    assert padded[0, 0, 0, 0] == pytest.approx(4 / 9)


def test_depthwise_is_a_group_a_channel() -> None:
    one = OPS["conv2d"](kernel=3, groups="depthwise", pad=1)
    two = OPS["conv2d"](kernel=3, groups=8, filters=8, pad=1)
    shape = (1, 8, 5, 5)
    assert one.kernels([shape]) == two.kernels([shape])
    assert one.weight_shapes([shape]) == {"weight": (8, 1, 3, 3), "bias": (8,)}
