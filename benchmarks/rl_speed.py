"""How fast the learned agents train, and where the time goes; ratios within one run.

OMP_NUM_THREADS=1 python benchmarks/rl_speed.py
"""

from __future__ import annotations

import time

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from accelgym.agents import make_agent
from accelgym.envs import ResourceAssignmentEnv, ResourceAssignmentTask, ResourceAssignmentVectorEnv, make_task

LANES, EVALUATIONS = 1024, 4096


def env_rate(task: ResourceAssignmentTask) -> float:
    """Steps per CPU second of the vector environment alone, masks included."""
    env = ResourceAssignmentVectorEnv(LANES, task=task)
    env.reset()
    actions = np.zeros(LANES, dtype=np.int64)
    rounds = 4 * task.table.slots
    start = time.process_time()
    for _ in range(rounds):
        env.action_masks()
        env.step(actions)
    return rounds * LANES / (time.process_time() - start)


def agent_rate(task: ResourceAssignmentTask, name: str) -> tuple[float, float]:
    """Steps per CPU second of an agent with ``LANES`` lanes, and the share of asking in it."""
    agent = make_agent(name, task, seed=0, **({} if name == "confuciux" else {"lanes": LANES, "updates": 1}))
    evaluations = 40 if name == "confuciux" else EVALUATIONS
    asked = told = 0.0
    left = evaluations * 100
    for _ in range(evaluations // (1 if name == "confuciux" else LANES)):
        start = time.process_time()
        designs = agent.ask(left)
        middle = time.process_time()
        outcome = task.evaluate(designs)
        after = time.process_time()
        agent.tell(designs, outcome)
        asked += middle - start
        told += time.process_time() - after
        left -= len(designs)
    return evaluations * task.table.slots / (asked + told), asked / (asked + told)


def plain_rate(task: ResourceAssignmentTask) -> float:
    """Steps per CPU second of Stable-Baselines3's defaults on eight scalar environments."""
    envs = DummyVecEnv([lambda: ResourceAssignmentEnv(task=task)] * 8)
    steps = 8 * 128
    model = PPO("MlpPolicy", envs, n_steps=128, seed=0, device="cpu")
    start = time.process_time()
    model.learn(steps)
    return steps / (time.process_time() - start)


def main() -> None:
    """Prints one line per contender."""
    torch.set_num_threads(1)
    task = make_task("ResourceAssignment-v0", workload="confuciux/mobilenet_v2", budget=0.1)
    assert isinstance(task, ResourceAssignmentTask)
    plain = plain_rate(task)
    print(f"{'PPO, SB3 defaults, 8 scalar envs':36} {plain:12,.0f} steps/s")
    print(f"{'vector env and masks alone':36} {env_rate(task):12,.0f} steps/s")
    for name in ("maskable_ppo", "ppo", "a2c", "confuciux"):
        rate, asking = agent_rate(task, name)
        print(f"{name:36} {rate:12,.0f} steps/s  {rate / plain:6.1f} x  {asking:4.0%} of it asking")


if __name__ == "__main__":
    main()
