"""What holds for all tests."""

import pytest

from accelgym.envs import certificates


@pytest.fixture(scope="session", autouse=True)
def certificates_of_this_run(tmp_path_factory):
    """Keeps certificates that earlier runs proved out of the tests."""
    folder = tmp_path_factory.mktemp("certificates")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "default_cache_folder", lambda: folder)
        yield
