"""The pages under docs/envs are the docstrings."""

import runpy
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "write_env_pages.py"))


@pytest.mark.parametrize("entry", TOOL["PAGES"], ids=lambda entry: entry.id)
def test_the_page_of_an_environment_is_its_docstring(entry):
    assert TOOL["path"](entry).read_text() == TOOL["page"](entry), "run python tools/write_env_pages.py"


@pytest.mark.parametrize("entry", TOOL["PAGES"], ids=lambda entry: entry.id)
def test_a_page_has_every_section(entry):
    sections = [line[3:] for line in TOOL["page"](entry).splitlines() if line.startswith("## ")]
    wanted = ["Description", "Action space", "Observation space", "Rewards", "Starting state", "Episode end"]
    assert sections == [*wanted, "Arguments", "Info", "Vectorised environment", "Version history"]
