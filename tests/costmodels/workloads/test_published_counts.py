"""MACs and parameters against counts printed elsewhere, and against an independent reading of the architectures."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from accelgym.costmodels.workloads import LayerKind, get_workload, workload_info, workload_names

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "workloads"

# torchvision's documentation of the pretrained weights: GFLOPS column (multiply-accumulates, three digits behind
# the point in its source) and num_params.
TORCHVISION = {
    "alexnet": (0.714, 61_100_840),
    "densenet121": (2.834, 7_978_856),
    "densenet161": (7.728, 28_681_000),
    "googlenet": (1.498, 6_624_904),
    "mnasnet1_0": (0.314, 4_383_312),
    "mobilenet_v2": (0.301, 3_504_872),
    "resnet18": (1.814, 11_689_512),
    "resnet34": (3.664, 21_797_672),
    "resnet50": (4.089, 25_557_032),
    "resnet101": (7.801, 44_549_160),
    "resnext50_32x4d": (4.23, 25_028_904),
    "shufflenet_v2_x1_0": (0.145, 2_278_604),
    "squeezenet1_0": (0.819, 1_248_424),
    "squeezenet1_1": (0.349, 1_235_496),
    "vgg16": (15.47, 138_357_544),
    "vit_b_16": (17.564, 86_567_656),
    "wide_resnet50_2": (11.398, 68_883_240),
}
BIASED = {"alexnet", "squeezenet1_0", "squeezenet1_1", "vgg16"}
PRE_ACTIVATION = {"densenet121", "densenet161"}


def outputs(layers):
    return sum(layer.K for layer in layers)


@pytest.mark.parametrize("name", TORCHVISION)
def test_macs_are_torchvisions_to_the_last_printed_digit(name):
    assert abs(get_workload(name).macs / 1e9 - TORCHVISION[name][0]) <= 0.5e-3


@pytest.mark.parametrize("name", sorted(set(TORCHVISION) - PRE_ACTIVATION - {"vit_b_16"}))
def test_parameters_are_torchvisions_exactly(name):
    workload = get_workload(name)
    convs = [layer for layer in workload.layers if layer.kind is LayerKind.CONV]
    linears = [layer for layer in workload.layers if layer.kind is LayerKind.GEMM]
    # One bias per output, or a scale and a shift of the folded batch normalisation.
    extra = outputs(convs) * (1 if name in BIASED else 2) + outputs(linears)
    assert workload.parameters + extra == TORCHVISION[name][1]


@pytest.mark.parametrize("name", sorted(PRE_ACTIVATION))
def test_densenet_parameters_are_torchvisions_exactly(name):
    workload = get_workload(name)
    norms = [layer for layer in workload.layers if layer.kind is LayerKind.NORM]
    # Folded: the norm behind the stem and the one between the two convolutions of a dense layer.
    folded = [layer for layer in workload.layers if layer.name == "conv0" or layer.name.endswith(".conv1")]
    assert workload.parameters + 2 * outputs(norms + folded) + 1000 == TORCHVISION[name][1]


def test_vit_parameters_are_torchvisions_exactly():
    workload = get_workload("vit_b_16")
    biases = outputs([layer for layer in workload.compute_layers if layer.weights_are_parameters])
    norms = 2 * outputs([layer for layer in workload.layers if layer.kind is LayerKind.NORM])
    tables = 768 + 197 * 768  # class token and positions
    assert workload.parameters + biases + norms + tables == TORCHVISION["vit_b_16"][1]


def norms_of(workload):
    return outputs([layer for layer in workload.layers if layer.kind is LayerKind.NORM])


def test_llama_parameters_are_exact():
    small = get_workload("llama3_2_1b/decode")
    assert small.parameters + norms_of(small) == 1_235_814_400  # the embedding is the head's matrix
    large = get_workload("llama3_8b/prefill")
    assert large.parameters + norms_of(large) + 128_256 * 4096 == 8_030_261_248


def test_gpt2_parameters_are_exact():
    workload = get_workload("gpt2/prefill")
    biases = outputs([x for x in workload.compute_layers if x.weights_are_parameters and x.name != "head"])
    assert workload.parameters + biases + 2 * norms_of(workload) + 1024 * 768 == 124_439_808


def test_mixtral_parameters_are_exact():
    full = get_workload("mixtral_8x7b/prefill")
    assert full.parameters + norms_of(full) + 32_000 * 4096 == 46_702_792_704
    one_token = get_workload("mixtral_8x7b/decode")
    # The paper: a token uses 12.9 G parameters.
    assert round((one_token.parameters + norms_of(one_token) + 32_000 * 4096) / 1e9, 1) == 12.9


def test_bert_counts():
    workload = get_workload("bert_base")
    biases = outputs([layer for layer in workload.compute_layers if layer.weights_are_parameters])
    tables = (30_522 + 512 + 2) * 768
    assert workload.parameters + biases + 2 * norms_of(workload) + tables == 109_482_240
    # MobileBERT, table 4: 22.5 GFLOPs, which counts more than the products.
    assert workload.macs == pytest.approx(22.5e9 / 2, rel=0.01)


def mobilebert_parameters(workload):
    biases = outputs([layer for layer in workload.compute_layers if layer.weights_are_parameters])
    return workload.parameters + biases + 2 * norms_of(workload) + 30_522 * 128 + (512 + 2) * 512


def test_mobilebert_counts():
    full, tiny = get_workload("mobilebert"), get_workload("mobilebert_tiny")
    assert mobilebert_parameters(full) == 24_581_888  # Hugging Face google/mobilebert-uncased, base model
    # MobileBERT, table 4; see the notes of the file for the larger one's FLOPs.
    assert mobilebert_parameters(tiny) == pytest.approx(15.1e6, rel=0.03)
    assert tiny.macs == pytest.approx(3.1e9 / 2, rel=0.015)
    assert full.macs == pytest.approx(5.7e9 / 2, rel=0.06)


def test_mamba_parameters_are_exact():
    workload = get_workload("mamba_130m")
    convs = outputs([layer for layer in workload.layers if layer.kind is LayerKind.CONV])
    steps = outputs([layer for layer in workload.layers if layer.name.endswith("dt_proj")])
    scans = sum(layer.K * (layer.C + 1) for layer in workload.layers if layer.kind is LayerKind.SCAN)  # A and D
    assert workload.parameters + convs + steps + scans + norms_of(workload) == 129_135_360


def test_vision_mamba_parameters():
    workload = get_workload("vim_tiny")
    biased = [x for x in workload.layers if x.kind is LayerKind.CONV or x.name.endswith(("dt_proj", "head"))]
    scans = sum(layer.K * (layer.C + 1) for layer in workload.layers if layer.kind is LayerKind.SCAN)
    tables = 192 + 197 * 192
    total = workload.parameters + outputs(biased) + scans + norms_of(workload) + tables
    assert round(total / 1e6) == 7


def test_stable_diffusion_counts():
    workload = get_workload("stable_diffusion_1_5")
    weights = [layer for layer in workload.compute_layers if layer.weights_are_parameters]
    biased = [layer for layer in weights if not layer.name.endswith(("attention.q", "attention.k", "attention.v"))]
    assert workload.parameters + outputs(biased) + 2 * norms_of(workload) == 859_520_964
    # BK-SDM (ECCV 2024), table 1: 339 GMACs, counted without the two products of attention.
    assert round(sum(layer.macs for layer in weights) / 1e9) == 339


def test_published_counts_in_the_files_hold():
    stated = {}
    for name in workload_names():
        published = workload_info(name).published
        if published is not None and published.macs is not None:
            stated[name] = published.macs
            assert get_workload(name).macs == pytest.approx(published.macs, rel=0.06), name
    assert {name: round(macs / 1e9, 3) for name, macs in stated.items() if name in TORCHVISION} == {
        name: macs for name, (macs, _) in TORCHVISION.items()
    }


def rows(name):
    with (GOLDEN / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_yolo9000_is_darknets():
    size, channels, expected = 544, 3, []
    for row in rows("yolo9000_cfg.csv"):
        kernel, stride = int(row["size"]), int(row["stride"])
        if row["section"] == "maxpool":
            size //= stride
            continue
        expected.append((int(row["filters"]), channels, size, size, kernel, kernel, (stride, stride)))
        channels = int(row["filters"])
    found = [(x.K, x.C, x.P, x.Q, x.R, x.S, x.stride) for x in get_workload("yolo9000").compute_layers]
    assert found == expected


@pytest.mark.parametrize("network", ["resnet18", "yolo9000"])
def test_thistle_tables_are_those_timeloop_was_run_on(network):
    expected = {
        row["problem"].split("_")[1]: tuple(int(row[k]) for k in (*"NKCPQRS", "stride_p", "stride_q"))
        for row in rows("timeloop_table2.csv")
        if row["problem"].startswith(network)
    }
    found = {x.name: (x.N, x.K, x.C, x.P, x.Q, x.R, x.S, *x.stride) for x in get_workload(f"thistle/{network}").layers}
    assert found == expected


@pytest.mark.parametrize(("model", "name"), [("ResNet-18", "resnet18"), ("BERT-Base", "bert_base")])
def test_matrix_layers_are_those_of_voyagers_tables(model, name):
    expected: Counter[int] = Counter()
    for row in rows("voyager_matrix_layers.csv"):
        if row["model"] == model and row["layer"] != "pooler_dense":  # padded to 16 rows there
            expected[int(row["ideal16"]) * 256] += int(row["count"])
    found: Counter[int] = Counter()
    for layer in get_workload(name).compute_layers:
        if layer.name not in ("fc", "pooler"):
            found[layer.macs // layer.groups] += layer.groups
    assert found == expected


def test_confuciux_tables_are_stride_one_without_padding():
    first = get_workload("confuciux/resnet18").layers[0]
    assert (first.K, first.C, first.P, first.Q, first.R, first.S, first.stride) == (64, 3, 218, 218, 7, 7, (1, 1))
    depthwise = get_workload("confuciux/mobilenet_v2").layers[1]
    assert depthwise.is_depthwise
    assert (depthwise.K, depthwise.C, depthwise.groups, depthwise.P) == (32, 32, 32, 110)
