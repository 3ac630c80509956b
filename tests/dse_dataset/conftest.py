"""Datasets that several tests read."""

import pytest

pytest.importorskip("pyarrow", reason="extra data")

from labelled import small_spec

from accelgym.dse_dataset.runner import label_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("labelled") / "airchitect"
    label_dataset(small_spec(), out, executor="inline")
    return out
