"""Small problems: rows of the committed samples."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("pyarrow", reason="extra data")

import accelgym.dse_dataset
from accelgym.agents.uov.problem import Problem, load_problem
from accelgym.agents.uov.settings import TrainingSettings

SAMPLES = Path(accelgym.dse_dataset.__file__).parent / "samples"
RELEASED = Path(__file__).parents[2] / "golden" / "airchitect_v2" / "conv_rows.csv"
TINY = {
    "width": 16,
    "heads": 2,
    "encoder_blocks": 1,
    "encoder_hidden": 16,
    "decoder_hidden": 16,
    "batch": 32,
    "contrastive_epochs": 2,
    "epochs": 3,
}


@pytest.fixture(scope="session")
def samples():
    return SAMPLES


@pytest.fixture(scope="session")
def released_file():
    return RELEASED


@pytest.fixture(scope="session")
def released():
    pytest.importorskip("sklearn")
    return load_problem(RELEASED)


@pytest.fixture(scope="session")
def capped():
    problem = load_problem(SAMPLES / "capped")
    few = {name: part.take(slice(0, 160)) for name, part in problem.splits.items()}
    return Problem(problem.schema, few, problem.provenance)


@pytest.fixture(scope="session")
def settings():
    return TrainingSettings.parse(TINY)
