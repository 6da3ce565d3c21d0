"""ONNX models as workloads: shapes, totals, what is folded, what is named, and what is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.cli import main
from sim.errors import ConfigError
from sim.importers.onnx import import_onnx
from sim.simulate import run
from sim.workload import load

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper


def stored(name: str, *shape: int, values: Any = None) -> Any:
    array = np.zeros(shape, np.float32) if values is None else np.asarray(values)
    return numpy_helper.from_array(array, name)


def save(path: Path, nodes: list[Any], inputs: dict[str, list[Any]], outputs: list[str], weights: list[Any]) -> Path:
    kind = onnx.TensorProto.FLOAT
    infos = [helper.make_tensor_value_info(name, onnx.TensorProto.INT64 if name == "ids" else kind, shape)
             for name, shape in inputs.items()]  # fmt: skip
    made = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", infos, made, weights)
    model = helper.make_model(graph, producer_name="a test", opset_imports=[helper.make_opsetid("", 20)])
    onnx.save(model, str(path))
    return path


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), output.split(), name=output, **attributes)


def cnn(path: Path, batch: Any = 1) -> Path:
    """A stem, a depthwise convolution with a skip, pooling and a classifier."""
    nodes = [
        node("Conv", "x w1 b1", "stem", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", "stem s s s s", "norm"),
        node("Relu", "norm", "act"),
        node("Conv", "act w2", "depthwise", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8),
        node("Clip", "depthwise low high", "clip"),
        node("Add", "clip act", "sum"),
        node("MaxPool", "sum", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "pool", "mean"),
        node("Flatten", "mean", "flat"),
        node("Gemm", "flat w3 b3", "logits", transB=1),
    ]
    weights = [
        stored("w1", 8, 3, 3, 3), stored("b1", 8), stored("s", 8), stored("w2", 8, 1, 3, 3), stored("w3", 10, 8),
        stored("b3", 10), stored("low", values=np.float32(0)), stored("high", values=np.float32(6)),
    ]  # fmt: skip
    return save(path, nodes, {"x": [batch, 3, 16, 16]}, ["logits"], weights)


def transformer(path: Path) -> Path:
    """Embedding, one head of attention as exporters write it with shape arithmetic, and a GELU of parts."""
    nodes = [
        node("Gather", "table ids", "embed"),
        node("LayerNormalization", "embed g g", "norm", axis=-1),
        node("MatMul", "norm wq", "q0"), node("Add", "q0 bq", "q"),
        node("MatMul", "norm wk", "k"), node("MatMul", "norm wv", "v"),
        node("Shape", "q", "shape"), node("Gather", "shape zero", "length"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "q kt", "scores"), node("Div", "scores root", "scaled"),
        node("Softmax", "scaled", "soft", axis=-1),
        node("MatMul", "soft v", "mixed"),
        node("MatMul", "mixed wo", "o"), node("Add", "o embed", "res"),
        node("Div", "res sqrt2", "g1"), node("Erf", "g1", "g2"), node("Add", "g2 one", "g3"),
        node("Mul", "res g3", "g4"), node("Mul", "g4 half", "gelu"),
        node("ReduceMean", "gelu axes", "out", keepdims=0),
    ]  # fmt: skip
    weights = [
        stored("table", 50, 16), stored("g", 16), *(stored(f"w{n}", 16, 16) for n in "qkvo"), stored("bq", 16),
        stored("zero", values=np.int64(0)), stored("axes", values=np.array([1])),
        *(stored(n, values=np.float32(1)) for n in ("root", "sqrt2", "one", "half")),
    ]  # fmt: skip
    return save(path, nodes, {"ids": [2, 6]}, ["out"], weights)


def test_a_convolutional_network_has_the_shapes_and_totals_of_the_model(tmp_path: Path) -> None:
    report = import_onnx(cnn(tmp_path / "m.onnx"), tmp_path / "net.yaml")
    network = load(str(tmp_path / "net.yaml"))
    assert network.tensors["pool"] == (1, 8, 4, 4) and network.tensors["logits"] == (1, 10)
    assert network.macs == 8 * 8 * 8 * 27 + 8 * 8 * 8 * 9 + 80
    assert network.parameters == 8 * 27 + 8 + 2 * 8 + 72 + 80 + 10
    assert report.counts == {"nodes": 10, "folded": 0, "not_modelled": 0, "parameters": network.parameters,
                             "macs": network.macs}  # fmt: skip
    assert run("tiny_4x4", network).not_modelled is not None


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("resnet50", 25_557_032, 4_089_184_256), ("vgg19", 143_667_240, 19_632_062_464),
        ("squeezenet", 1_235_496, 349_151_936), ("densenet121", None, 2_834_161_664),
    ],
)  # fmt: skip
def test_networks_of_the_onnx_project_have_the_totals_that_torchvision_publishes(
    name: str, parameters: int | None, macs: int, tmp_path: Path
) -> None:
    """Backend tests that come with the package onnx; DenseNet has the scales of its batch norms twice there."""
    source = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx"
    report = import_onnx(source, tmp_path / f"{name}.yaml")
    assert report.counts["not_modelled"] == 0
    assert report.counts["macs"] == macs
    assert parameters in (None, report.counts["parameters"])


def test_a_transformer_is_covered_with_shape_arithmetic_folded_away(tmp_path: Path) -> None:
    report = import_onnx(transformer(tmp_path / "m.onnx"), tmp_path / "net.yaml")
    network = load(str(tmp_path / "net.yaml"))
    assert report.counts["folded"] == 2 and report.counts["not_modelled"] == 0
    assert network.macs == 4 * 2 * 6 * 16 * 16 + 2 * 2 * 6 * 6 * 16
    by_name = {n.name: n for n in network.nodes}
    assert by_name["q0"].op.bias and "q" not in by_name
    assert network.tensors["scores"] == (2, 6, 6) and network.tensors["out"] == (2, 16)


def test_an_operator_that_is_not_modelled_is_named_and_strict_refuses_it(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a"), node("CumSum", "a axis", "b"), node("Tanh", "b", "c")]
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 4]}, ["c"], [stored("axis", values=np.int64(1))])
    report = import_onnx(path, tmp_path / "net.yaml")
    assert report.counts["not_modelled"] == 1
    assert report.notes == ("Not modelled, no work and no time: CumSum 'b': no such operator here",)
    result = run("tiny_4x4", str(tmp_path / "net.yaml"))
    assert [(entry["what"], entry["where"]) for entry in result.not_modelled] == [("CumSum", ["b"])]
    with pytest.raises(ConfigError, match="not modelled: CumSum: b"):
        run("tiny_4x4", str(tmp_path / "net.yaml"), strict=True)


def test_an_open_dimension_is_asked_for_and_can_be_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cnn(tmp_path / "m.onnx", "batch")
    with pytest.raises(ConfigError) as error:
        import_onnx(path, tmp_path / "net.yaml")
    assert str(error.value) == f"{path}: input 'x' has no size on axis 0: give it with --set batch=..."
    with pytest.raises(ConfigError) as error:
        import_onnx(path, tmp_path / "net.yaml", {"batch": 2, "bach": 2})
    assert str(error.value) == "--set bach: unknown open dimension 'bach'; did you mean 'batch'? choose from: batch"
    command = ["import", "onnx", str(path), "-o", str(tmp_path / "net.yaml"), "--set", "batch=3"]
    assert main(command) == 0
    assert "10 nodes" in capsys.readouterr().out
    assert load(str(tmp_path / "net.yaml")).inputs == {"x": (3, 3, 16, 16)}


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ConfigError) as error:
        import_onnx(path, tmp_path / "net.yaml")
    assert str(error.value) == f"{path}: no such file"
    path.write_text("no model")
    with pytest.raises(ConfigError, match=r"is no ONNX model: "):
        import_onnx(path, tmp_path / "net.yaml")
