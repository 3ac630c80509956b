"""A cache of simulators shared by the tests of a session, apart from the user's."""

import pytest

from accelgym.hwgen.cache import ContentCache, default_cache_folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ContentCache:
    # A cache named by the environment is kept between runs, as in continuous integration.
    import os

    if "ACCELGYM_CACHE" in os.environ:
        return ContentCache(default_cache_folder() / "hwgen")
    return ContentCache(tmp_path_factory.mktemp("hwgen-cache"))
