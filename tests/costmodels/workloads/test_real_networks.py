"""Real networks: work against published counts and a second count of it.

The default tests read the nine networks that come inside the package ``onnx``. The slow ones build the networks of the
table in ``docs/networks.md`` from torchvision, timm and transformers (extra ``networks``) without weights and compare
the table with the importer, with PyTorch's own counter and with the counts that torchvision publishes.
"""

import re
from math import prod
from pathlib import Path

import onnx
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from accelgym.costmodels.workloads.importers import import_onnx, import_torch

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
DOCS = Path(__file__).parents[3] / "docs" / "networks.md"

# Published in units of 1e9: torchvision 0.28 model tables for the same topologies (densenet121, resnet50, vgg19,
# squeezenet1_1), and Caffe's bvlc_alexnet with its two groups by hand.
PUBLISHED = {"densenet121": 2.834, "resnet50": 4.089, "squeezenet": 0.349, "vgg19": 19.632, "bvlc_alexnet": 0.6546}


def macs_of_inferred_shapes(model):
    """Counts from the shapes that ONNX infers for the whole model at once."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {t.name: tuple(t.dims) for t in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
        elif node.op_type == "Gemm":
            total += prod(shapes[node.output[0]]) * prod(shapes[node.input[1]]) // shapes[node.output[0]][1]
    return total


@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda path: path.stem)
def test_networks_that_come_with_onnx(path):
    workload = import_onnx(path)
    assert workload.macs == macs_of_inferred_shapes(onnx.load(str(path)))
    known = PUBLISHED.get(path.stem.removeprefix("light_"))
    if known is not None:
        assert workload.macs / 1e9 == pytest.approx(known, rel=2e-3)
    # One network: every layer but the first reads one before it.
    assert {consumer for _, consumer in workload.edges} == set(range(1, len(workload.layers)))


def test_the_nine_networks_are_there():
    assert len(list(LIGHT.glob("*.onnx"))) == 9


def rows():
    """The table of the documentation: package, network, input, MACs and layers."""
    pattern = r"^\| (torchvision|timm|transformers) \| `([^`]+)` \| ([\dx]+) \| ([\d,]+) \| (\d+) \|"
    found = re.findall(pattern, DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    return [(package, network, shape, int(macs.replace(",", "")), int(n)) for package, network, shape, macs, n in found]


@pytest.fixture(scope="module")
def packages():
    """Imports the packages beside a CPU build of PyTorch, for which torchvision's compiled operators do not load."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    names = ("torchvision", "timm", "transformers")
    yield {name: pytest.importorskip(name, exc_type=ImportError) for name in names}
    library._destroy()


def build(package, name):
    """Returns a network without weights, and its weights' published count where there is one."""
    if package.__name__ == "torchvision":
        flags = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}.get(name, {})
        if name.startswith(("fcn", "deeplab", "lraspp")):
            flags = {"weights_backbone": None}
        weights = next(iter(package.models.get_model_weights(name)))
        return package.models.get_model(name, weights=None, **flags), weights.meta["_ops"]
    if package.__name__ == "timm":
        return package.create_model(name, pretrained=False), None
    config = getattr(package, name.removesuffix("Model") + "Config")()
    config.use_cache = False
    return getattr(package, name)(config), None


# The published count is of another input, or has a training head that an inference does not run.
OTHER_INPUT = {"swin3d_t", "fcn_resnet50"}


@pytest.mark.slow
@pytest.mark.parametrize(("package", "network", "shape", "macs", "layers"), rows())
def test_networks_of_the_table(packages, package, network, shape, macs, layers):
    sizes = tuple(int(size) for size in shape.split("x"))
    with torch.device("meta"):
        module, published = build(packages[package], network)
        x = torch.zeros(sizes, dtype=torch.long if len(sizes) == 2 and sizes[1] < 1000 else torch.float32)
    module.eval()
    workload = import_torch(module, (x,), name=network)
    assert (workload.macs, len(workload.layers)) == (macs, layers)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(x)
    assert workload.macs == counter.get_total_flops() // 2
    if published is not None and network not in OTHER_INPUT:
        assert workload.macs / 1e9 == pytest.approx(published, rel=5e-3, abs=5e-4)


def test_the_table_is_of_real_size():
    assert len(rows()) >= 30
