"""A cache of simulators for the tests of a session, apart from the user's unless the environment names one."""

import os

import pytest

from accelgym.hwgen.cache import ContentCache


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ContentCache:
    if "ACCELGYM_CACHE" in os.environ:
        return ContentCache()
    return ContentCache(tmp_path_factory.mktemp("hwgen-cache"))
