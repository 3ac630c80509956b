"""Certificates on disk: what was proved once is not proved again, unless the file says something else."""

import json

import pytest

from accelgym.costmodels.certificate import Certificate
from accelgym.envs import certificates
from accelgym.envs.certificates import kept_certificate

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
