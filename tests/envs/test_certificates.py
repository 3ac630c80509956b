"""Certificates on disk: what was proved once is not proved again, unless the file says something else."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.costmodels.certificate import Certificate, rounded_down
from accelgym.envs import certificates, make_task
from accelgym.envs.certificates import differences, kept_certificate, known_certificate, write_certificate
from accelgym.envs.registration import ENVIRONMENTS

LONG = Certificate(3.5, (0, 2, 1), 3.4, 0.1 / 3.5, "branch and bound", ("chords",), 17, 12.0)


class Prover:
    """Counts how often it has to prove."""

    def __init__(self, certificate=LONG):
        self.certificate, self.proofs = certificate, 0

    def __call__(self):
        self.proofs += 1
        return self.certificate


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(certificates, "default_cache_folder", lambda: tmp_path)
    return tmp_path / "certificates"


def test_a_long_proof_is_kept_and_comes_back_equal():
    prover = Prover()
    assert kept_certificate("task", "method", prover) == LONG
    assert kept_certificate("task", "method", prover) == LONG
    assert prover.proofs == 1


def test_another_task_or_method_is_proved_anew():
    prover = Prover()
    for task, method in (("task", "method"), ("task", "method 2"), ("task 2", "method")):
        kept_certificate(task, method, prover)
    assert prover.proofs == 3


def test_what_a_clock_ended_is_not_kept(folder):
    kept_certificate("task", "method", Prover(replace(LONG, limited_by="seconds")))
    assert not folder.exists()
    kept_certificate("task", "method", Prover(replace(LONG, limited_by="nodes")))
    assert folder.exists()


def test_a_file_of_another_task_or_proof_does_not_count(folder):
    kept_certificate("task", "method", Prover())
    (path,) = folder.iterdir()
    for about in ({"task": "task 2", "proof": "method"}, {"task": "task", "proof": "method 2"}):
        write_certificate(path, LONG, about)
        assert known_certificate("task", "method") is None
    write_certificate(path, LONG, {"task": "task", "proof": "method", "env": "more is no harm"})
    assert known_certificate("task", "method") == LONG


@pytest.mark.parametrize("env", [entry.id for entry in ENVIRONMENTS])
def test_the_default_task_of_every_environment_ships_a_closed_certificate(env):
    task = make_task(env)
    found = known_certificate(task.id, task.proof)
    assert found is not None, "run tools/store_certificates.py"
    assert found.lower_bound <= found.value
    assert found.gap <= 1e-3 + 1e-9
    assert found.limited_by == ""
    assert task.reference() == found
    assert task.evaluate(np.array([found.design])).score[0] == found.value


def test_a_shipped_certificate_is_what_a_proof_finds():
    task = make_task("accelgym/ResourceAssignment-v0")
    assert differences(task.reference(), task.prove(anew=True)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("env", [entry.id for entry in ENVIRONMENTS])
def test_all_shipped_certificates_are_what_a_proof_finds(env):
    task = make_task(env)
    assert differences(task.reference(), task.prove(anew=True)) == {}


def test_differences_are_named_and_times_and_rounding_are_none():
    assert differences(LONG, replace(LONG, seconds=1.0, lower_bound=3.4 * (1 + 1e-10))) == {}
    other = replace(LONG, design=(0, 2, 2), lower_bound=3.4 * (1 + 1e-8), nodes=18)
    assert differences(LONG, other).keys() == {"design", "lower_bound", "nodes"}
    assert differences(LONG, other)["nodes"] == (17, 18)


@given(st.floats(1e-300, 1e300))
def test_bounds_are_rounded_down_to_ten_digits(bound):
    rounded = rounded_down(bound)
    assert bound * (1 - 1.1e-9) <= rounded <= bound
    assert float(f"{rounded:.9e}") == rounded


def test_a_short_proof_is_not_worth_a_file(folder):
    kept_certificate("task", "method", Prover(Certificate(1.0, None, 1.0, 0.0, "enumeration", seconds=0.1)))
    assert not folder.exists()


@pytest.mark.parametrize("fault", ["changed", "cut", "foreign"])
def test_a_damaged_file_is_proved_anew(folder, fault):
    prover = Prover()
    kept_certificate("task", "method", prover)
    (path,) = folder.iterdir()
    data = json.loads(path.read_text())
    data["certificate"]["lower_bound"] = 3.5
    path.write_text({"changed": json.dumps(data), "cut": path.read_text()[:40], "foreign": "[1]"}[fault])
    assert kept_certificate("task", "method", prover) == LONG
    assert prover.proofs == 2


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(certificates, "default_cache_folder", lambda: blocked)
    assert kept_certificate("task", "method", Prover()) == LONG
