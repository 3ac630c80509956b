"""The zoo: every workload is a connected graph of fitting shapes, and names and errors behave."""

import re
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import EntryPoint

import pytest

from accelgym.costmodels import registry
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import (
    Layer,
    LayerKind,
    Workload,
    get_workload,
    workload_info,
    workload_names,
    zoo,
)

NETWORKS = [name for name in workload_names() if not name.startswith(("confuciux/", "thistle/"))]
TABLES = [name for name in workload_names() if name not in NETWORKS]

# Layers that read a part of what their producer writes (a view), or that are fed from outside the network too.
VIEWS = re.compile(
    r"pooler|head|^norm$"  # the first or the last token
    r"|conv1d|dt_proj|\.gate$|^gate$|reduce"  # halves and parts of fused projections and split channels
    r"|ff\.gelu|ff\.gating|\d\.shuffle"
)
REPLICATES = re.compile(r"trigram|upsample$|dispatch|expert|prepend_class_token|combine|time_add|scan|add_position")


def producers_of(workload):
    producers = defaultdict(list)
    for producer, consumer in workload.edges:
        producers[consumer].append(workload.layers[producer])
    return producers


def fits(layer, producers):
    """Whether the words written by the producers are the words that the layer reads."""
    written = [producer.output_words for producer in producers]
    if layer.kind in (LayerKind.CONV, LayerKind.POOL):
        channels = layer.N * (layer.C if layer.is_compute else layer.K)
        # Striding may leave the last rows unread; a partial last window reaches beyond the input.
        slack = [step - 1 for step in layer.stride]
        low = channels * (layer.input_height - slack[0]) * (layer.input_width - slack[1])
        high = channels * (layer.input_height + slack[0]) * (layer.input_width + slack[1])
        return len(written) == 1 and low <= written[0] <= high
    if layer.kind is LayerKind.GEMM and not layer.weights_are_parameters:
        return written[0] == layer.input_words and written[-1] == layer.weight_words
    if layer.kind is LayerKind.GEMM:
        return written == [layer.input_words]
    if layer.kind is LayerKind.PERMUTE:
        return sum(written) == layer.output_words
    return all(words == layer.output_words for words in written)


def test_there_are_more_than_25_distinct_networks():
    assert len({name.partition("/")[0] for name in NETWORKS}) >= 25
    assert len([name for name in TABLES if name.startswith("confuciux/")]) == 12


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_fit_along_the_edges(name):
    workload = get_workload(name)
    producers = producers_of(workload)
    for position, layer in enumerate(workload.layers):
        found = producers[position]
        if not found:
            continue
        if "decode" in name and layer.kind is LayerKind.GEMM and not layer.weights_are_parameters:
            # The cache holds the earlier keys and values; only the newest come from a layer.
            assert found[0].output_words == layer.input_words
            assert found[-1].output_words < layer.weight_words
        elif VIEWS.search(layer.name) and layer.kind is not LayerKind.POOL:
            assert max(p.output_words for p in found) >= min(layer.input_words, layer.output_words)
        elif not REPLICATES.search(layer.name):
            assert fits(layer, found), layer.name


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_but_the_inputs_has_a_producer(name):
    workload = get_workload(name)
    producers = producers_of(workload)
    first = [layer for i, layer in enumerate(workload.layers) if not producers[i]]
    if name.startswith("stable_diffusion"):
        # Latent, time step and text enter; the text once for every cross-attention.
        assert all(re.search(r"conv_in|conv1_norm|^time|time_act|cross_attention\.[kv]$", x.name) for x in first)
    elif any(layer.kind is LayerKind.EMBEDDING for layer in workload.layers):
        assert {layer.kind for layer in first} == {LayerKind.EMBEDDING}
    else:
        assert first == [workload.layers[0]]


@pytest.mark.parametrize("name", NETWORKS)
def test_only_the_last_layer_and_new_caches_have_no_consumer(name):
    workload = get_workload(name)
    read = {producer for producer, _ in workload.edges}
    unread = [layer.name for i, layer in enumerate(workload.layers) if i not in read]
    assert unread == [workload.layers[-1].name]


@pytest.mark.parametrize("name", TABLES)
def test_layer_tables_have_no_graph(name):
    workload = get_workload(name)
    assert workload.edges == ()
    assert all(layer.kind is LayerKind.CONV and layer.padding == (0, 0) for layer in workload.layers)


@pytest.mark.parametrize("name", NETWORKS + TABLES)
def test_the_origin_is_stated(name):
    assert len(get_workload(name).source) > 20
    assert workload_info(name).source == get_workload(name).source


def test_batch_multiplies_the_work_and_not_the_weights():
    for name in NETWORKS:
        if name.startswith("mixtral"):
            continue  # more tokens wake more experts
        one, three = get_workload(name), get_workload(name, batch=3)
        assert three.macs == 3 * one.macs, name
        assert three.parameters == one.parameters, name


def test_more_tokens_wake_more_experts():
    active = [get_workload("mixtral_8x7b/decode_block", batch=batch) for batch in (1, 2, 4, 64)]
    experts = [len({x.name.split(".")[0] for x in w.layers if x.name.startswith("expert")}) for w in active]
    assert experts == [2, 4, 8, 8]
    # Whatever the experts, a token costs the same.
    assert [w.macs for w in active] == [active[0].macs * batch for batch in (1, 2, 4, 64)]


def test_decode_attends_to_the_cache_and_keeps_it_as_the_second_operand():
    short, long = (get_workload("llama3_8b/decode_block", context=c) for c in (1000, 3000))
    heads, kv_heads, width = 32, 8, 128
    assert long.macs - short.macs == 2 * 2000 * heads * width
    cached = sum(layer.weight_words for layer in long.compute_layers if not layer.weights_are_parameters)
    assert cached == 2 * 3000 * kv_heads * width


def test_prefill_of_one_position_is_decode_with_an_empty_cache():
    prefill, decode = get_workload("gpt2/prefill?sequence=1"), get_workload("gpt2/decode?context=1")
    assert (prefill.layers, prefill.edges) == (decode.layers, decode.edges)


def test_parameters_in_the_name_and_as_arguments_are_one():
    a = get_workload("llama3_8b/decode?context=4096&batch=4")
    b = get_workload("llama3_8b/decode?batch=4", context=4096)
    assert a == b
    assert a.name == "llama3_8b/decode?batch=4&context=4096"
    defaults = workload_info("llama3_8b/decode").parameters
    assert get_workload("llama3_8b/decode", **defaults).name == "llama3_8b/decode"
    assert get_workload("resnet18") is get_workload("resnet18")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet81", {}, "did you mean.*resnet18"),
        ("llama3_8b", {}, "did you mean.*llama3_8b/"),
        ("llama3_8b/decode?bach=4", {}, "'bach', allowed: batch .*context"),
        ("llama3_8b/decode?batch=four", {}, "batch is 'four', allowed: integers >= 1"),
        ("llama3_8b/decode?batch=-1", {}, "batch is '-1'"),
        ("llama3_8b/decode?batch=0", {}, "batch is 0"),
        ("llama3_8b/decode?batch=1&batch=2", {}, "batch is given twice"),
        ("llama3_8b/decode?batch", {}, "is no query"),
        ("llama3_8b/decode?batch=2", {"batch": 2}, "both in the name and as an argument"),
        ("resnet18", {"batch": True}, "batch is True"),
        ("resnet18", {"batch": 2.0}, "batch is 2.0"),
        ("resnet18?batch=99999999999", {}, "N is 99999999999"),
        ("gpt2/prefill?sequence=1025", {}, "sequence is 1025, allowed 1..1024"),
        ("gpt2/prefill?sequence=8&logits=9", {}, "logits is 9, allowed 1..sequence=8"),
        ("bert_base?sequence=513", {}, "sequence is 513, allowed 1..512"),
        ("vit_b_16?image=225", {}, "image is 225, allowed: multiples of 16"),
        ("vim_tiny/block?image=225", {}, "image is 225, allowed: multiples of 16"),
        ("stable_diffusion_1_5?latent=60", {}, "latent is 60, allowed: multiples of 8"),
        ("alexnet?image=20", {}, "row 'pool2'"),
        ("confuciux/resnet18?batch=2", {}, "unknown parameter 'batch', allowed: none"),
    ],
)
def test_bad_names_say_what_is_allowed(name, arguments, message):
    with pytest.raises(InputError, match=message):
        get_workload(name, **arguments)


def test_plug_ins_join_the_zoo(monkeypatch):
    point = EntryPoint("my_net", f"{__name__}:my_net", "accelgym.workloads")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])
    zoo._registry.cache_clear()
    zoo._build.cache_clear()
    try:
        assert "my_net" in workload_names()
        assert get_workload("my_net?width=7").layers[0].K == 7
        assert workload_info("my_net").source == "a test"
        with pytest.raises(InputError, match="depth"):
            get_workload("my_net?depth=7")
    finally:
        zoo._registry.cache_clear()
        zoo._build.cache_clear()


def my_net(width=5):
    return Workload("my_net", (Layer("x", LayerKind.NORM, K=width, C=width),), (), "a test")


def test_importing_the_package_reads_no_description():
    code = (
        "import sys; from accelgym.costmodels.workloads import zoo\n"
        "assert not zoo._registry.cache_info().currsize\n"
        "assert 'accelgym.costmodels.workloads.spec' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_listing_and_building_read_only_the_files_asked_for():
    code = (
        "from accelgym.costmodels.workloads import zoo\n"
        "zoo.workload_names(); assert not zoo._load.cache_info().currsize\n"
        "zoo.get_workload('resnet18'); assert zoo._load.cache_info().currsize == 1\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
