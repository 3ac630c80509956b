"""What holds for all tests."""

import os
import shutil

import pytest

from accelgym.envs import certificates

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
    """Keeps certificates that earlier runs proved out of the tests."""
    folder = tmp_path_factory.mktemp("certificates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "default_cache_folder", lambda: folder)
        yield
