"""Jinja templates: what they may do, and what the sandbox keeps from them."""

import pytest

pytest.importorskip("jinja2")

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.timeloop_yaml.document import parse_document
from accelgym.costmodels.timeloop import read_timeloop, read_timeloop_problem

TOP = """
{{add_to_path('parts')}}
# The machine is chosen by name; {{cwd()}} is this folder.
{% set own = cwd() ~ '/' ~ machine ~ '/problem.yaml' %}
{% if path_exists(own) %}
{% set problem = problem | default(own) %}
{% endif %}
{% set problem = problem | default('usual.yaml') %}
problem: {{include(problem, 'problem')}}
architecture: {{include(cwd() ~ '/' ~ machine ~ '/arch.yaml', 'architecture')}}
components:
  classes: {{include_all('classes/*.yaml', 'classes')}}
{{include_text('variables.yaml')}}
"""
ARCH = """
architecture:
  nodes:
  - !Component {name: Dram, class: DRAM, attributes: {width: 64, datawidth: bits}}
  {% if registers | default(True) %}
  - !Component {name: Rf, class: regfile, attributes: {depth: DEPTH, width: bits, datawidth: bits}}
  {% endif %}
  - !Component {name: mac, class: intmac, attributes: {width: bits}}
""".replace("DEPTH", "{{depth | default(64)}}")


@pytest.fixture
def folder(tmp_path):
    files = {
        "top.yaml.jinja2": TOP,
        "small/arch.yaml": ARCH,
        "large/arch.yaml": ARCH.replace("64)}}", "128)}}"),
        "large/problem.yaml": "problem: {shape: gemm_ABZ, M: 9, N: 9, K: 9}\n",
        "parts/usual.yaml": "problem: {shape: gemm_ABZ, M: 4, N: 6, K: 8}\n",
        "parts/variables.yaml": "variables: {bits: {{width | default(8)}}}\n",
        "classes/a.yaml": "classes: [{name: a}]\n",
        "classes/b.yaml": "classes: [{name: b}, {name: c}]\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.filterwarnings("ignore::accelgym.costmodels.errors.InputWarning")
def test_a_collection_is_read_by_the_name_of_its_machine(folder):
    small = read_timeloop(folder / "top.yaml.jinja2", defines={"machine": "small"})
    assert small.problem.bound == {"M": 4, "N": 6, "K": 8}
    assert small.architecture.levels[1].capacity_words == 64
    large = read_timeloop(folder / "top.yaml.jinja2", defines={"machine": "large", "width": 16})
    assert large.problem.macs == 729
    assert large.architecture.levels[1].capacity_words == 128
    assert large.architecture.compute.word_bits == 16
    bare = read_timeloop(folder / "top.yaml.jinja2", defines={"machine": "large", "registers": False})
    assert bare.architecture.level_names == ("Dram",)
    stated = {"machine": "large", "problem": "usual.yaml"}
    assert read_timeloop(folder / "top.yaml.jinja2", defines=stated).problem.macs == 192
    data = parse_document(folder / "top.yaml.jinja2", {"machine": "small"})
    assert [entry["name"] for entry in data["components"]["classes"]] == ["a", "b", "c"]


def test_a_value_that_is_missing_is_named(folder):
    with pytest.raises(InputError, match="'machine' is undefined: --define machine=VALUE"):
        read_timeloop(folder / "top.yaml.jinja2")
    with pytest.raises(InputError, match=r"no file .*huge/arch\.yaml"):
        read_timeloop(folder / "top.yaml.jinja2", defines={"machine": "huge"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% for i in range(9) %}a{% endfor %}", "For is not allowed"),
        ("{% macro m() %}{% endmacro %}", "Macro is not allowed"),
        ("{% include 'x.yaml' %}", "Include is not allowed"),
        ("{{ ''.__class__ }}", "Getattr is not allowed"),
        ("{{ 'a'.join(['b']) }}", "Getattr|function in the template"),
        ("{{ cwd.__globals__ }}", "Getattr is not allowed"),
        ("{{ open('/etc/passwd') }}", "function in the template .* 'open'"),
        ("{{ _joined('a') }}", "function in the template"),
        ("{{ lipsum(5) }}", "function in the template"),
        ("{{ 'a' * 1000000000 }}", "arithmetic with 'a'"),
        ("{{ '%1000000000d' % 1 }}", "arithmetic with"),
        ("{{ 'a' | center(1000000000) }}", "cannot render|No filter"),
        ("{{ 10 ** 10 }}", "Pow is not allowed"),
        ("{{ 1 / 0 }}", "cannot render"),
        ("{% set a = 'aaaaaaaa' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}", "more than"),
        ("{{ include('../outside.yaml') }}", "allowed: files below"),
        ("{{ include('/etc/hostname') }}", "allowed: files below"),
        ("{{ include_text('link.yaml') }}", "allowed: files below"),
        ("{{ path_exists('../outside.yaml') }}", "allowed: files below"),
        ("{{ include_all('../*.yaml') }}", "allowed: files below"),
        ("{{ include('top.yaml.jinja2') }}", "more than"),
        ("{{ include('parts/usual.yaml', 'mapping') }}", "no key 'mapping'"),
        ("{{ a", "top.yaml.jinja2:1: cannot render"),
        ("a: {{ 1 }}\nb: [", "not valid YAML"),
    ],
)
def test_what_a_template_may_not_do(folder, text, message):
    (folder / "inner").mkdir()
    (folder / "outside.yaml").write_text("secret: 1\n")
    base = folder / "inner"
    (base / "parts").mkdir()
    (base / "parts" / "usual.yaml").write_text("problem: {}\n")
    (base / "link.yaml").symlink_to(folder / "outside.yaml")
    (base / "top.yaml.jinja2").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        parse_document(base / "top.yaml.jinja2")
    assert "\n" not in str(caught.value)


def test_a_wider_root_lets_templates_reach_further(folder):
    path = folder / "small" / "conv.yaml"
    path.write_text("{{include_text('../parts/shape.yaml')}}\nproblem:\n  <<<: *base\n  K: 5\n")
    (folder / "parts" / "shape.yaml").write_text("base_ignore: &base {shape: gemm_ABZ, M: 2, N: 3}")
    assert read_timeloop_problem(path, root=folder).macs == 30
    with pytest.raises(InputError, match="--template-root"):
        read_timeloop_problem(path)


def test_text_is_no_template():
    with pytest.raises(InputError, match="templates are read from files only"):
        parse_document("a: {{ 1 }}\nb: 2\n")
