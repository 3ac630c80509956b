"""Audits that are kept: shipped ones belong to tasks of this version, and a kept one is what the audit says."""

import json

import pytest
from plugin_tasks import Bare

from accelgym.costmodels.files.json_file import read_sealed
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import ResourceAssignmentTask, audits, make_task
from accelgym.envs.audits import SHIPPED_AUDITS, audit_and_keep, default_audit, known_audit
from accelgym.envs.hardness import HARDNESS, Audit, audit, classify
from accelgym.envs.registration import ENVIRONMENTS

SHIPPED = read_sealed(SHIPPED_AUDITS)["tasks"]
CHEAP = {
    "env": "accelgym/ResourceAssignment-v0",
    "arguments": {"workload": "confuciux/vgg16", "objective": "edp", "budget": 0.1},
}


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Audits are kept in a folder of the test, however short they take."""
    monkeypatch.setattr(audits, "default_cache_folder", lambda: tmp_path)
    monkeypatch.setattr(audits, "_WORTH_KEEPING_S", 0.0)
    return tmp_path / "audits"


def small():
    layers = [Layer.conv("a", K=8, C=4, H=5, R=3), Layer.conv("b", K=16, C=8, H=3, R=1)]
    return ResourceAssignmentTask(workload_object=Workload.chain("two", layers), budget=0.3)


def test_a_shipped_audit_is_what_the_audit_says_today():
    task = make_task(CHEAP["env"], **CHEAP["arguments"])
    entry = SHIPPED[task.id]
    assert {key: entry[key] for key in CHEAP} == CHEAP
    found = audit(task).to_json()
    assert found.keys() == entry["audit"].keys()
    for key, value in found.items():
        stored = entry["audit"][key]
        assert stored == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), key


@pytest.mark.parametrize("entry", SHIPPED.values(), ids=lambda e: f"{e['env']} {json.dumps(e['arguments'])}")
def test_a_shipped_class_follows_from_the_regrets_beside_it(entry):
    found = Audit.from_json(entry["audit"])
    cardinality = round(10**found.log10_cardinality) if found.log10_cardinality < 6 else 10**6
    assert found.hardness == classify(cardinality, found.gap, found.regrets.values())
    assert found.hardness in HARDNESS
    assert found.words.startswith(found.hardness)


@pytest.mark.parametrize("task_id", SHIPPED)
def test_the_certificate_of_an_audited_task_ships_with_the_same_proof_and_optimum(task_id):
    entry = SHIPPED[task_id]
    stored = read_sealed(SHIPPED_AUDITS.parent / "stored_certificates" / f"{task_id}.json")
    assert (stored["task"], stored["proof"]) == (task_id, entry["proof"])
    # Both are optima to 0.1 %, or the best of a proof that is open.
    assert stored["certificate"]["value"] == pytest.approx(entry["audit"]["optimum"], rel=1.1e-3)
    assert stored["certificate"]["gap"] == pytest.approx(entry["audit"]["gap"], abs=1.1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("task_id", SHIPPED)
def test_a_shipped_audit_is_of_a_task_of_this_version(task_id):
    entry = SHIPPED[task_id]
    task = make_task(entry["env"], **entry["arguments"])
    assert (task.id, task.proof) == (task_id, entry["proof"])


@pytest.mark.parametrize("env", [entry.id for entry in ENVIRONMENTS])
def test_the_class_on_the_page_is_that_of_the_default_arguments(env):
    assert default_audit(env) == known_audit(make_task(env))


def test_an_audit_is_kept_and_found_again(kept):
    assert known_audit(small()) is None
    found = audit_and_keep(small())
    assert known_audit(small()) == found == audit(small())
    (path,) = kept.glob("*.json")
    path.write_text(path.read_text().replace('"easy"', '"hard"').replace('"enumerable"', '"hard"'))
    assert known_audit(small()) is None, "a changed file does not count"


def test_an_audit_of_other_rules_or_another_proof_does_not_count(kept, monkeypatch):
    audit_and_keep(small())
    monkeypatch.setattr(audits, "AUDIT_RULES", "0")
    assert known_audit(small()) is None
    monkeypatch.undo()
    monkeypatch.setattr(ResourceAssignmentTask, "proof", "another")
    assert known_audit(small()) is None
    monkeypatch.setitem(audits._shipped(), small().id, {"proof": "one more", "audit": {}})
    assert known_audit(small()) is None


def test_nothing_is_kept_of_a_task_whose_code_has_no_version(kept):
    audit_and_keep(Bare())
    assert not kept.exists()
    assert known_audit(Bare()) is None


def test_a_folder_that_cannot_be_written_to_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(audits, "default_cache_folder", lambda: tmp_path / "file")
    monkeypatch.setattr(audits, "_WORTH_KEEPING_S", 0.0)
    assert audit_and_keep(small()).hardness
