"""Every single-point fault of the table is found, although the user's layer is a single product."""

import pytest

from accelgym.costmodels.errors import InputError
from accelgym.hwgen.mutation.faults import DESIGNS, Fault, faults, judge, mutated

SAMPLE = (
    "writes beyond the image in idle cycles",
    "results of an aborted pass go on coming after a reset",
    "a scale that is NaN is a number",
)
"""What the verdict once did not see, and one of the block scales; all others with ``-m slow``."""


def check(fault: Fault, cache) -> None:
    record = judge(fault, cache)
    found = not (record.bit_exact and record.cycles_exact and record.ports_clean)  # Whatever the linters say.
    assert found is (fault.equivalent is None), (str(fault), record.lint)
    assert not found or not record.verified


def sampled() -> list[Fault]:
    by_effect = {fault.breaks: fault for fault in faults()}
    return [by_effect[effect] for effect in SAMPLE]


@pytest.mark.parametrize("fault", sampled(), ids=str)
def test_a_sample_of_faults_is_found(fault, cache):
    check(fault, cache)


@pytest.mark.slow
@pytest.mark.parametrize("fault", faults(), ids=str)
def test_all_faults_are_found(fault, cache):
    check(fault, cache)


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_designs_without_a_fault_are_verified(design, cache):
    record = judge(Fault(design, "accelerator.v", "module accelerator", "module accelerator", ""), cache)
    assert record.verified


def test_every_fault_changes_the_verilog_in_one_place():
    assert all(mutated(fault).digest for fault in faults())
    assert sum(fault.equivalent is None for fault in faults()) >= 80
    assert len({(f.design, f.file, f.old, f.new) for f in faults()}) == len(faults())
    with pytest.raises(InputError, match="stands there 0 times"):
        mutated(Fault("wide", "accelerator.v", "no such text", "", ""))
