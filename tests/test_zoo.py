"""The bundled networks equal what their authors, torchvision and timm publish, to the last parameter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest

from sim.graph import Graph, Node
from sim.kernel import Contraction
from sim.library import names
from sim.op import OPS
from sim.workload import load

PUBLISHED: dict[str, tuple[int, int, str, str]] = {
    "alexnet": (61_100_840, 714_188_480, "0.714 G", "torchvision AlexNet_Weights"),
    "convnext_t": (28_589_128, 4_455_531_264, "4.456 G", "torchvision ConvNeXt_Tiny_Weights"),
    "densenet121": (7_978_856, 2_834_161_664, "2.834 G", "torchvision DenseNet121_Weights"),
    "efficientnet_b0": (5_288_548, 385_814_752, "0.386 G", "torchvision EfficientNet_B0_Weights"),
    "ghostnet": (5_182_508, 141_150_512, "141 M", "Han et al., CVPR 2020; timm ghostnet_100"),
    "inceptionnext_t": (28_055_680, 4_188_634_272, "4.2 G", "Yu et al., CVPR 2024; timm inception_next_tiny"),
    "mobilenet_v1": (4_231_976, 568_740_352, "569 M", "Howard et al., 2017, table 8; timm mobilenetv1_100"),
    "mobilenet_v2": (3_504_872, 300_774_272, "0.301 G", "torchvision MobileNet_V2_Weights"),
    "mobilenet_v3_large": (5_483_032, 216_589_760, "0.217 G", "torchvision MobileNet_V3_Large_Weights"),
    "mobilenet_v3_small": (2_542_856, 56_510_400, "0.057 G", "torchvision MobileNet_V3_Small_Weights"),
    "resnet18": (11_689_512, 1_814_073_344, "1.814 G", "torchvision ResNet18_Weights"),
    "resnet50": (25_557_032, 4_089_184_256, "4.089 G", "torchvision ResNet50_Weights"),
    "unet": (31_030_658, 150_428_424_448, "150.4 G", "Ronneberger et al., MICCAI 2015, figure 1"),
    "unet3d": (19_069_955, 266_731_018_496, "266.7 G", "Çiçek et al., MICCAI 2016, section 2 and figure 2"),
    "vgg16": (138_357_544, 15_470_264_320, "15.47 G", "torchvision VGG16_Weights"),
}
"""Trained parameters, MACs of conv and linear, MACs as published (rounded; counted for the U-Nets), source."""

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "alexnet": {"conv1": (64, 55, 55), "conv2": (192, 27, 27), "pool5": (256, 6, 6), "flatten": (9216,)},
    "convnext_t": {"stem": (96, 56, 56), "stage2": (192, 28, 28), "stage3.8": (384, 14, 14),
                   "stage4": (768, 7, 7)},
    "densenet121": {"pool0": (64, 56, 56), "dense1": (256, 56, 56), "trans1": (128, 28, 28),
                    "dense3": (1024, 14, 14), "dense4.15.conv1": (128, 7, 7), "dense4": (1024, 7, 7)},
    "efficientnet_b0": {"stem": (32, 112, 112), "stage2.0.se.reduce": (4, 1, 1), "stage3": (40, 28, 28),
                        "stage6.0.dw": (672, 7, 7), "head": (1280, 7, 7)},
    "ghostnet": {"bneck1": (16, 112, 112), "bneck4.ghost1.primary": (36, 56, 56), "bneck4": (40, 28, 28),
                 "bneck12": (160, 7, 7), "head": (1280, 1, 1)},
    "inceptionnext_t": {"stage1.0.split.0": (60, 56, 56), "stage1.0.row": (12, 56, 56),
                        "stage4.2.fc1": (2304, 7, 7), "fc1": (2304,)},
    "mobilenet_v1": {"conv": (32, 112, 112), "sep2.dw": (64, 56, 56), "sep7": (512, 14, 14),
                     "sep9": (1024, 7, 7)},
    "mobilenet_v2": {"stage1": (16, 112, 112), "stage2.0.expand": (96, 112, 112), "stage4": (64, 14, 14),
                     "stage7": (320, 7, 7), "head": (1280, 7, 7)},
    "mobilenet_v3_large": {"bneck2": (24, 56, 56), "bneck4.se.reduce": (24, 1, 1), "bneck12": (112, 14, 14),
                           "bneck15": (160, 7, 7), "fc1": (1280,)},
    "mobilenet_v3_small": {"bneck1": (16, 56, 56), "bneck5.se.reduce": (64, 1, 1), "bneck8": (48, 14, 14),
                           "bneck11": (96, 7, 7), "fc1": (1024,)},
    "resnet18": {"maxpool": (64, 56, 56), "layer2": (128, 28, 28), "layer4.0.down": (512, 7, 7)},
    "resnet50": {"layer1": (256, 56, 56), "layer2.0.conv1": (128, 56, 56), "layer2.0.conv2": (128, 28, 28),
                 "layer4": (2048, 7, 7), "avgpool": (2048,)},
    "unet": {"down4": (512, 64, 64), "bottom": (1024, 28, 28), "up4.up": (512, 56, 56),
             "up4.concat": (1024, 56, 56), "up1.concat": (128, 392, 392), "out": (2, 388, 388)},
    "unet3d": {"down1": (64, 128, 128, 112), "bottom": (512, 9, 9, 7), "up3.concat": (768, 18, 18, 14),
               "up1.concat": (192, 48, 48, 32), "out": (3, 44, 44, 28)},
    "vgg16": {"conv1": (64, 224, 224), "pool3": (256, 28, 28), "pool5": (512, 7, 7)},
}  # fmt: skip
"""Tensors (of a layer, or of a block by its last layer) and their shapes without the batch, from the papers."""

every_workload = pytest.mark.parametrize("name", names("workload"))
every_network = pytest.mark.parametrize("name", PUBLISHED)


@cache
def graph(name: str) -> Graph:
    return load(name)


def shape_of(network: Graph, tensor: str) -> tuple[int, ...]:
    """The shape of a tensor, without the batch; a block's name means its last layer."""
    inside = [made for made in network.tensors if made == tensor or made.startswith(f"{tensor}.")]
    return network.tensors[inside[-1]][1:]


def rounded_alike(count: int, text: str) -> bool:
    """Whether `count` rounds to `text` ("1.8 G") with as many digits as that has."""
    number, unit = text.split()
    digits = len(number.partition(".")[2])
    return f"{count / {'k': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12}[unit]:.{digits}f}" == number


def agrees(count: int, published: int | str | None) -> bool:
    return rounded_alike(count, published) if isinstance(published, str) else count == published


def convolutions(network: Graph) -> Iterator[tuple[Node, int]]:
    """Each convolution and linear layer with its MACs by the textbook, from shapes and parameters alone."""
    for node in network.nodes:
        op: Any = node.op
        made, read = prod(node.output_shapes[0]), node.input_shapes[0]
        if match := re.fullmatch(r"conv(_transpose)?([123])d", node.op_name):
            groups = read[1] if op.groups == "depthwise" else op.groups
            taps = prod([op.kernel] * int(match[2]) if isinstance(op.kernel, int) else op.kernel)
            scattered = prod(read) * (node.output_shapes[0][1] // groups) * taps
            yield node, scattered if match[1] else made * (read[1] // groups) * taps
        elif node.op_name == "linear":
            yield node, made * read[-1]


def test_the_published_networks_are_all_bundled() -> None:
    assert set(PUBLISHED) <= set(names("workload"))


@every_workload
def test_a_bundled_network_says_what_it_is_and_where_its_figures_come_from(name: str) -> None:
    network = graph(name)
    assert network.name == name
    assert network.title
    assert network.source
    published = network.published
    assert published.source or (published.parameters is None and published.macs is None)


@every_workload
def test_parameters_equal_those_the_file_states(name: str) -> None:
    published = graph(name).published
    assert published.parameters is None or agrees(graph(name).parameters, published.parameters)


@every_workload
def test_macs_equal_those_the_file_states(name: str) -> None:
    published = graph(name).published
    assert published.macs is None or agrees(load(name, published.macs_at).macs, published.macs)


@every_network
def test_parameters_and_macs_equal_the_published_ones(name: str) -> None:
    parameters, macs, rounded, _ = PUBLISHED[name]
    assert (graph(name).parameters, graph(name).macs) == (parameters, macs)
    assert rounded_alike(macs, rounded)


@every_network
def test_shapes_are_those_of_the_paper(name: str) -> None:
    assert {tensor: shape_of(graph(name), tensor) for tensor in SHAPES[name]} == SHAPES[name]


@every_network
def test_macs_of_each_layer_equal_the_textbook_formula(name: str) -> None:
    expected = {node.name: macs for node, macs in convolutions(graph(name))}
    assert {node.name: node.macs for node in graph(name).nodes if node.macs} == expected


@every_workload
def test_every_layer_infers_its_shapes_from_tensors_made_before_it(name: str) -> None:
    network, made = graph(name), dict(graph(name).inputs)
    for node in network.nodes:
        assert tuple(made[tensor] for tensor in node.inputs) == node.input_shapes
        assert node.op.infer(node.input_shapes) == node.output_shapes
        made.update(zip(node.outputs, node.output_shapes, strict=True))
    assert made == network.tensors


@every_workload
def test_every_layer_is_a_registered_operator_whose_work_makes_its_whole_output(name: str) -> None:
    assert all(isinstance(node.op, OPS[node.op_name]) for node in graph(name).nodes)
    for node in graph(name).expanded.nodes:
        made = sum(k.output_elements for k in node.kernels if isinstance(k, Contraction))
        assert made in (0, prod(node.output_shapes[0]))


@every_network
def test_a_batch_of_two_doubles_the_macs_and_leaves_the_parameters(name: str) -> None:
    one, two = graph(name), load(name, {"batch": 2})
    assert two.macs == 2 * one.macs
    assert two.parameters == one.parameters
    assert {shape[0] for shape in two.tensors.values()} == {2}


@every_network
def test_every_network_ends_in_one_output(name: str) -> None:
    network = graph(name)
    assert network.outputs == (network.nodes[-1].name,)


@pytest.mark.parametrize("name", [name for name, (size, *_) in PUBLISHED.items() if size < 12_000_000])
def test_the_numbers_that_flow_have_the_inferred_shapes(name: str) -> None:
    network = load(name, {"size": 64})
    weights = {
        layer: {key: values / 64 for key, values in of_layer.items()}
        for layer, of_layer in network.random_weights().items()
    }
    tensors = network.evaluate({"image": np.ones((1, 3, 64, 64))}, weights)
    assert {tensor: values.shape for tensor, values in tensors.items()} == network.tensors


def test_an_image_twice_as_wide_and_high_needs_four_times_the_macs_in_the_convolutions() -> None:
    classifier = 2048 * 1000
    assert load("resnet50", {"size": 448}).macs - classifier == 4 * (graph("resnet50").macs - classifier)


def test_the_number_of_classes_reaches_the_last_layer_alone() -> None:
    ten = load("resnet18", {"classes": 10})
    assert graph("resnet18").parameters - ten.parameters == 990 * (512 + 1)


def test_the_unpadded_unet_crops_its_skips_alike_at_any_size() -> None:
    # 16 pixels a side more in: the valid sizes of the paper's network are 16 apart.
    assert load("unet", {"size": 588}).tensors["out"] == (1, 2, 404, 404)


def test_rounding_is_to_the_digits_that_are_published() -> None:
    assert rounded_alike(1_814_073_344, "1.8 G")
    assert not rounded_alike(1_750_000_000 - 1, "1.8 G")
    assert rounded_alike(568_740_352, "569 M")
