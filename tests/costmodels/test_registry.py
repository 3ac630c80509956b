"""Names, errors and plug-ins."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.models import cost_models
from accelgym.costmodels.registry import Registry


def test_an_unknown_name_is_answered_with_the_nearest():
    error = unknown_name("workload", "resnet81", ["resnet18", "vgg16"])
    assert "'resnet81'" in str(error)
    assert "did you mean 'resnet18'" in str(error)


def test_a_name_is_registered_once():
    registry: Registry[int] = Registry("number", "accelgym.tests.none")
    registry.register("one", lambda: 1)
    assert registry.get("one")() == 1
    with pytest.raises(InputError, match="registered already"):
        registry.register("one", lambda: 2)


def test_an_installed_plug_in_adds_its_name(tmp_path):
    (tmp_path / "plugin_module.py").write_text("def build():\n    return 'built by the plug-in'\n")
    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[accelgym.workloads]\nmine = plugin_module:build\n")
    code = """
        from accelgym.costmodels.registry import Registry
        registry = Registry("workload", "accelgym.workloads")
        assert "mine" in registry.names()
        assert registry.get("mine")() == "built by the plug-in"
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, check=True)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("maestro", {"noc_bw": "null"}, "option 'noc_bw' of model 'maestro' is 'null': .*integer"),
        ("maestro", {"compat": "no"}, "'compat' .* is 'no': .*boolean"),
        ("maestro", {"noc_bw": True}, "'noc_bw' .* is True: .*integer"),
        ("maestro", {"faults": 3}, "'faults' .* is 3: .*Faults"),
        ("physical", {"dram_bw": 1.5}, "option 'dram_bw' of model 'physical' is 1.5: .*integer"),
        ("systolic", {"objective": ["edp"]}, "option 'objective' of model 'systolic' is .*string"),
    ],
)
def test_an_option_of_another_type_is_named(model, options, message):
    with pytest.raises(InputError, match=message):
        cost_models.build(model, **options)


def test_options_of_the_right_type_reach_the_model():
    model = cost_models.build("maestro", compat=False, noc_bw=np.int64(8))
    assert (model.compat, model.noc_bw, type(model.noc_bw)) == (False, 8, int)
    assert cost_models.build("maestro", noc_bw=None).noc_bw is None
