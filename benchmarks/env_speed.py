"""Steps per CPU-second of the resource-assignment environments, one core.

Run: ``OMP_NUM_THREADS=1 python benchmarks/env_speed.py``. The vector environment is measured as shipped (options
tabulated once from the cost model), with masks, and with the cost model evaluated anew for every step.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gymnasium as gym
import numpy as np

import accelgym
from accelgym.costmodels import Dataflow, LayerShapes, ResourceDesigns

gym.register_envs(accelgym)
ENV = "accelgym/ResourceAssignment-v0"
STEPS = 200


def rate(step: Callable[[int], object], lanes: int, steps: int = STEPS) -> float:
    """Best of three: lanes stepped per CPU-second."""
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        for i in range(steps):
            step(i)
        best = max(best, lanes * steps / (time.process_time() - start))
    return best


def main() -> None:
    """Prints the table."""
    scalar = gym.make(ENV).unwrapped
    scalar.reset(seed=0)
    rng = np.random.default_rng(0)

    def scalar_step(_: int) -> None:
        if scalar.step(np.int64(5))[2]:
            scalar.reset()

    base = rate(scalar_step, 1, 2000)
    print(f"{'scalar env':42s} {base:12.3g} steps/s")
    for lanes in (256, 1024, 4096, 16384):
        env = gym.make_vec(ENV, num_envs=lanes).unwrapped
        env.reset(seed=0)
        actions = rng.integers(0, env.single_action_space.n, (STEPS, lanes))
        plain = rate(lambda i, env=env, actions=actions: env.step(actions[i]), lanes)
        masked = rate(lambda i, env=env, actions=actions: (env.action_masks(), env.step(actions[i])), lanes)
        print(f"{f'vector env, {lanes} lanes':42s} {plain:12.3g} steps/s  {plain / base:8.0f} x scalar")
        print(f"{f'vector env, {lanes} lanes, with masks':42s} {masked:12.3g} steps/s")
        print(f"{f'vector env, {lanes} lanes, model every step':42s} {model_inside(env, actions):12.3g} steps/s")


def model_inside(env: gym.vector.VectorEnv, actions: np.ndarray) -> float:
    """Steps the env and evaluates the cost model on the same decisions, nothing tabulated."""
    task = env.task
    shapes = LayerShapes.from_layers(task.layers)
    pes = np.repeat(task.pe_values, 12)
    buffers = np.tile(np.arange(1, 13), len(task.pe_values))
    names = ("K", "C", "Y", "X", "R", "S", "depthwise")
    env.reset(seed=0)

    def step(i: int) -> None:
        slot = i % len(task.layers)
        layer = {name: getattr(shapes, name)[slot] for name in names}
        task.model.latency(
            ResourceDesigns(
                **layer, dataflow=int(Dataflow.DLA), num_pes=pes[actions[i]], buffer_level=buffers[actions[i]]
            )
        )
        env.step(actions[i])

    return rate(step, actions.shape[1])


if __name__ == "__main__":
    main()
