"""Hardware generation: cycles against the scheduler, optimum against enumeration, masks, limits and proof."""

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.datatypes import get_datatype
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.area import AreaTerms, estimate
from accelgym.costmodels.systolic.columns import Hardware
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import HwGenEnv, HwGenTask, HwGenVectorEnv, audit
from accelgym.envs.hwgen import proof
from accelgym.envs.hwgen import task as task_module
from accelgym.envs.hwgen.cycles import distinct_layers
from accelgym.envs.hwgen.decoding import Decoder
from accelgym.envs.hwgen.precision import product_sqnr_db
from accelgym.envs.hwgen.proof import STAGES, HardwareRecord, probe_layers, prove
from accelgym.hwgen.emitter import Rtl, emit

CONV = Layer.conv("conv", K=20, C=10, H=9, R=3)
GEMM = Layer.gemm("gemm", M=6, K=24, C=40)
TINY = Workload.chain("tiny", [CONV, GEMM, Layer.gemm("again", M=6, K=24, C=40)])
LOOSE = {"min_sqnr_db": 0.0, "clock_ghz": 0.3}


@pytest.fixture(scope="module")
def task():
    return HwGenTask(workload_object=TINY, area_budget=120_000.0)


def test_cycles_are_those_of_the_scheduler(task):
    designs = task.space.sample(np.random.default_rng(3), 12)
    found = task.cycles(designs)
    for design, cycles in zip(designs, found, strict=True):
        config = task.config(design)
        assert cycles == schedule(config, CONV).cycles + 2 * schedule(config, GEMM).cycles


def test_threads_count_what_one_would(monkeypatch):
    arguments = {"workload": "gpt2/decode_block"}
    designs = HwGenTask(**arguments).sample_feasible(np.random.default_rng(0), 1).repeat(3, axis=0)
    expected = HwGenTask(**arguments).evaluate(designs).objective
    plain, waits = HwGenTask._count, itertools.chain([0.0], itertools.repeat(1.0))

    def late(task, *given):
        time.sleep(next(waits))  # Until the first thread is done.
        plain(task, *given)

    monkeypatch.setattr(HwGenTask, "_count", late)
    task_module._counted.cache_clear()
    tasks = [HwGenTask(**arguments) for _ in range(4)]
    assert len({id(task._cycles) for task in tasks}) == 1
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda task: task.evaluate(designs).objective, tasks):
            np.testing.assert_array_equal(found, expected)


def test_area_and_path_are_those_of_the_estimator(task):
    designs = task.space.sample(np.random.default_rng(4), 20)
    outcome = task.evaluate(designs)
    expected = estimate(AreaTerms.of([task.config(design) for design in designs]))
    np.testing.assert_array_equal(outcome.costs["area_nand2"], expected.total)
    np.testing.assert_array_equal(outcome.costs["critical_path_ps"], expected.critical_path_ps)


def test_hardware_arrays_are_those_of_the_configurations(task):
    designs = task.space.sample(np.random.default_rng(5), 20)
    expected = Hardware.of([task.config(design) for design in designs])
    spec = task.spec
    found = Decoder(spec.pe_pipeline, spec.memory_latency, spec.clock_ghz).hardware(designs)
    for field in fields(Hardware):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


def test_feasible_designs_meet_every_limit(task):
    designs = task.space.sample(np.random.default_rng(6), 400)
    outcome = task.evaluate(designs[:60])
    for design, feasible, violation in zip(designs, outcome.feasible, outcome.violation, strict=False):
        config, spec = task.config(design), task.spec
        found = estimate(AreaTerms.of([config]))
        ports = config.input_port_bits + config.weight_port_bits + config.output_port_bits
        meets = (
            found.total[0] <= spec.area_budget
            and ports <= spec.bandwidth_bits
            and found.critical_path_ps[0] * spec.clock_ghz <= 1000
            and product_sqnr_db(config.input_type, config.weight_type) >= spec.min_sqnr_db
        )
        assert feasible == meets == (violation == 0)


def test_the_optimum_is_that_of_plain_enumeration():
    task = HwGenTask(workload_object=TINY, area_budget=74_000.0, bandwidth_bits=192, **LOOSE)
    everything = np.argwhere(task.feasible)
    assert 100 < len(everything) < 4000
    certificate = task.reference()
    assert certificate.value == task.cycles(everything).min()
    assert certificate.gap == 0
    outcome = task.evaluate(np.array([certificate.design]))
    assert outcome.feasible[0]
    assert outcome.objective[0] == certificate.value
    assert certificate.nodes < len(everything)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_more_buffer_or_port_never_costs_cycles(task, seed):
    rng = np.random.default_rng(seed)
    design = task.space.sample(rng, 1)[0]
    larger = design.copy()
    larger[4:] = rng.integers(design[4:], task.space.nvec[4:])
    less, more = task.cycles(np.stack((design, larger)))
    assert more <= less


def test_masks_are_sound_and_tight(task):
    """Against all designs: an allowed value begins some feasible design, a forbidden one begins none."""
    feasible = np.argwhere(task.feasible)
    env = HwGenVectorEnv(40, task=task)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    prefix = np.zeros((40, 0), dtype=np.int64)
    for position, size in enumerate(task.space.nvec):
        mask = env.action_masks()
        for lane in range(40):
            begins = (feasible[:, :position] == prefix[lane]).all(axis=1)
            expected = np.isin(np.arange(mask.shape[1]), feasible[begins, position])
            np.testing.assert_array_equal(mask[lane], expected)
            assert not mask[lane, size:].any()
        actions = np.where(mask, rng.random(mask.shape), -1).argmax(axis=1)
        prefix = np.column_stack((prefix, actions))
        env.step(actions)


def test_a_value_that_does_not_exist_makes_the_design_infeasible(task):
    env = HwGenEnv(task=task)
    env.reset(seed=0)
    design = list(task.reference().design)
    rewards = []
    for action in [design[0], 7, *design[2:]]:
        *_, info = (step := env.step(action))
        rewards.append(step[1])
    assert not info["feasible"]
    assert info["objective"] == np.inf
    assert rewards[-1] < 0


def test_the_reward_of_a_feasible_episode_is_the_optimum_over_its_cycles(task):
    designs = np.concatenate(([task.reference().design], task.sample_feasible(np.random.default_rng(0), 20)))
    env = HwGenVectorEnv(len(designs), task=task)
    env.reset(seed=0)
    total = sum(env.step(column)[1] for column in designs.T)
    assert total[0] == 1
    np.testing.assert_allclose(total, task.reference().value / task.cycles(designs))


def test_an_infeasible_episode_earns_less_the_further_it_is_from_the_limits(task):
    designs = task.space.sample(np.random.default_rng(1), 200)
    env = HwGenVectorEnv(len(designs), task=task)
    env.reset(seed=0)
    total = sum(env.step(column)[1] for column in designs.T)
    violation = task.violation(designs)
    lost = violation > 0
    np.testing.assert_allclose(total[lost], -violation[lost] / (1 + violation[lost]))
    assert violation.max() > 1, "beyond twice the limits there is a slope, too"


def test_repair_keeps_feasible_designs_and_mends_the_others(task):
    designs = task.space.sample(np.random.default_rng(0), 60)
    mended = task.repair(designs, np.random.default_rng(1))
    assert (task.violation(mended) == 0).all()
    good = task.violation(designs) == 0
    np.testing.assert_array_equal(mended[good], designs[good])
    assert (task.violation(task.sample_feasible(np.random.default_rng(2), 50)) == 0).all()


def test_equal_layers_are_counted_together():
    assert [(layer.name, count) for layer, count in distinct_layers(TINY.layers)] == [("conv", 1), ("gemm", 2)]


def test_precision_against_random_numbers():
    """Uniform quantisation of a normal: a Monte-Carlo estimate at the scale that quadrature found best."""
    x, y = np.random.default_rng(0).normal(size=(2, 200_000))
    for name in ("int8", "e4m3"):
        datatype = get_datatype(name)
        best = 0.0
        for scale in 2.0 ** np.arange(-2, 8, 0.125):
            xq, yq = (datatype.values[datatype.encode(v * scale)] / scale for v in (x, y))
            best = max(best, float(((x * y) ** 2).mean() / ((xq * yq - x * y) ** 2).mean()))
        assert product_sqnr_db(name, name) == pytest.approx(10 * np.log10(best), abs=0.3)


@pytest.mark.slow
def test_the_audit_finds_the_default_tasks_worth_searching(task):
    found = audit(task)
    assert found.optimum == task.reference().value
    assert found.greedy_regret >= 0
    assert 0 < found.budget_used <= 1
    assert found.relaxed_optimum_ratio <= 1
    assert found.constant_regret >= 0


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{}, {"area_budget": "small"}, {"area_budget": "large"}], ids=str)
def test_shipped_tasks_are_not_degenerate(arguments):
    found = audit(HwGenTask(**arguments))
    assert (found.hardness, found.flags) == ("hard", ())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"area_budget": 10.0}, "area_budget=10: nothing fits, the smallest design takes"),
        ({"area_budget": "huge"}, "area_budget is 'huge'.*small, medium, large"),
        ({"clock_ghz": 3.0}, "clock_ghz=3.0: allowed up to 1"),
        ({"min_sqnr_db": 90.0}, "min_sqnr_db=90.0: allowed up to 5"),
        ({"bandwidth_bits": 32}, "bandwidth_bits is 32"),
        ({"budget": 1}, "unknown argument 'budget': did you mean 'area_budget'"),
        ({"workload": "nothing"}, "unknown workload"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        HwGenTask(**arguments)


def test_unknown_verification_is_refused(task):
    with pytest.raises(InputError, match="unknown verify 'sometimes'"):
        HwGenEnv(task=task, verify="sometimes")


# -- proof -------------------------------------------------------------------------------------------------


def test_probes_use_the_array_as_the_workload_does(task):
    config = task.config(task.smallest)
    probes = probe_layers([CONV, GEMM, GEMM], config)
    assert [(p.name, p.R, p.stride) for p in probes] == [("conv", 3, (1, 1)), ("gemm", 1, (1, 1))]
    assert all(min(config.columns + 1, layer.K) == p.K for p, layer in zip(probes, (CONV, GEMM), strict=True))
    assert all(p.P <= 5 and p.Q <= 5 for p in probes)


@pytest.mark.slow
def test_a_design_proves_itself(task, cache):
    config = task.config(task.smallest)
    record = prove(config, [CONV, GEMM], task.spec.area_budget, cache)
    assert record.level == len(STAGES)
    assert record.area_nand2 == pytest.approx(estimate(AreaTerms.of([config])).total[0], rel=0.01)
    assert json.loads(json.dumps(record.as_json()))["verification"]["verified"]
    tight = prove(config, [CONV, GEMM], 0.5 * record.area_nand2, cache)
    assert tight.level == len(STAGES) - 1


def test_a_fault_in_the_array_is_found(task, cache, monkeypatch):
    def faulty(config):
        files = dict(emit(config).files)
        name = "mac_int.v"
        assert "wide_addend + wide_product" in files[name]
        files[name] = files[name].replace("wide_addend + wide_product", "wide_addend - wide_product")
        return Rtl(files)

    monkeypatch.setattr(proof, "emit", faulty)
    gates = SimpleNamespace(meets_clock=True, area_nand2=1.0, critical_path_ps=1.0, as_json=dict)
    monkeypatch.setattr(proof, "synthesise", lambda *arguments, **options: gates)
    record = prove(task.config(task.smallest), [GEMM], task.spec.area_budget, cache)
    assert record.level == STAGES.index("bit_exact")
    assert not record.bit_exact
    assert record.cycles_exact


def test_verilog_that_does_not_compile_has_the_lowest_levels(task, cache, monkeypatch):
    monkeypatch.setattr(
        proof, "emit", lambda config: Rtl({**emit(config).files, "vector_unit.v": "module vector_unit ("})
    )
    record = prove(task.config(task.smallest), [GEMM], task.spec.area_budget, cache)
    assert record.level == 1
    assert record.failure


def test_rewards_follow_the_level_and_best_builds_only_what_is_better(task, monkeypatch):
    built = []

    def half_way(config, layers, budget):
        built.append(config.rows)
        return HardwareRecord(True, True, True, False, True, True, 5.0, 6.0, {}, {})

    monkeypatch.setattr(proof, "prove", half_way)
    best, small = list(task.reference().design), list(task.smallest)

    def episode(env, design):
        env.reset(seed=0)
        for action in design:
            *_, info = (step := env.step(action))
        return step[1], info

    plain, _ = episode(HwGenEnv(task=task), best)
    env = HwGenEnv(task=task, verify="best")
    assert episode(env, small)[1]["level"] == 3
    reward, info = episode(env, best)
    assert reward == pytest.approx(plain * 3 / 6)
    assert info["area_nand2"] == 5.0
    assert json.loads(str(info["record"]))["level"] == 3
    assert len(built) == 2
    reward, info = episode(env, small)
    assert (len(built), info["level"], str(info["record"])) == (2, -1, "")
    episode(HwGenEnv(task=task, verify="always"), small)
    assert len(built) == 3
