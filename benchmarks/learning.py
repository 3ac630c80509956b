"""What SB3's agents learn with their defaults, against random choices: the table of docs/learning.md.

OMP_NUM_THREADS=1 python benchmarks/learning.py --out results/learning    # resumes; writes runs.jsonl and table.md

Every agent trains for as many steps on each environment's default arguments, with three seeds. It is scored
by the return of the episode that its greedy policy makes, environments being deterministic. Random policies are scored
by the mean over 100 episodes. A policy that honours masks is compared with random choices among allowed actions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO

import accelgym
from accelgym.envs.registration import ENVIRONMENTS
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.study_log import StudyLog

STEPS = {"PPO": 61_440, "DQN": 10_240, "MaskablePPO": 10_240}
"""Of training. 10,240 are five updates of PPO, 29 episodes of ``NetworkMapping-v0`` and 1,024 of ``HwGen-v0``."""
SEEDS = (0, 1, 2)
RANDOM_EPISODES = 100
AGENTS: dict[str, Any] = {"PPO": PPO, "DQN": DQN, "MaskablePPO": MaskablePPO}
COLUMNS = ("random", "PPO", "DQN", "random, masked", "MaskablePPO")

Policy = Callable[[Any], Any]


def episode(env: gym.Env[Any, Any], policy: Policy) -> tuple[float, bool]:
    """Returns the return of one episode, and whether its design was feasible."""
    observation, _ = env.reset()
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, info = env.step(policy(observation))
        total += float(reward)
        over = terminated or truncated
    return total, bool(info["feasible"])


def train(env: gym.Env[Any, Any], agent: str, seed: int, steps: int) -> Policy:
    """Trains an agent with the defaults of its library and returns its greedy policy."""
    model = AGENTS[agent]("MlpPolicy", env, seed=seed, device="cpu")
    model.learn(steps)
    masks = env.unwrapped.action_masks if agent == "MaskablePPO" else None  # type: ignore[attr-defined]

    def policy(observation: Any) -> int:
        given = {} if masks is None else {"action_masks": masks()}
        return int(model.predict(observation, deterministic=True, **given)[0])

    return policy


def chance(env: gym.Env[Any, Any], seed: int, *, masked: bool) -> Policy:
    """Returns a policy that draws uniformly from all actions, or from the allowed ones."""
    rng = np.random.default_rng(seed)
    unwrapped: Any = env.unwrapped
    everything = np.arange(unwrapped.action_space.n)
    return lambda observation: int(rng.choice(np.flatnonzero(unwrapped.action_masks()) if masked else everything))


def measure(name: str, agent: str, seed: int) -> dict[str, Any]:
    """Scores one agent on one environment."""
    env = gym.make(name)
    start = time.process_time()
    steps = 0
    if agent in AGENTS:
        steps = STEPS[agent]
        episodes = [episode(env, train(env, agent, seed, steps))]
    else:
        policy = chance(env, seed, masked=agent.endswith("masked"))
        episodes = [episode(env, policy) for _ in range(RANDOM_EPISODES)]
    return {
        "env": name,
        "agent": agent,
        "seed": seed,
        "steps": steps,
        "return": float(np.mean([total for total, _ in episodes])),
        "feasible": float(np.mean([feasible for _, feasible in episodes])),
        "cpu_s": round(time.process_time() - start, 1),
    }


def plan() -> Iterator[tuple[str, str, int]]:
    """Yields environments, agents and seeds, every environment with one seed first."""
    for seed in SEEDS:
        for entry in ENVIRONMENTS:
            for agent in COLUMNS:
                if agent in AGENTS or seed == 0:
                    yield entry.id, agent, seed


def table(rows: list[dict[str, Any]]) -> str:
    """Returns returns and shares of feasible designs as Markdown: mean, and the range over seeds."""
    lines = []
    for name in dict.fromkeys(row["env"] for row in rows):
        cells = [name.removeprefix("accelgym/")]
        for agent in COLUMNS:
            found = [row for row in rows if (row["env"], row["agent"]) == (name, agent)]
            returns = [row["return"] for row in found]
            if not found:
                cells.append("-")
                continue
            spread = f" [{min(returns):.2f}, {max(returns):.2f}]" if len(returns) > 1 else ""
            share = np.mean([row["feasible"] for row in found])
            cells.append(f"{np.mean(returns):.2f}{spread}, {share:.0%}")
        lines.append(cells)
    return markdown_table(["environment", *COLUMNS], lines) + "\n"


def main() -> None:
    """Trains what is not there yet, and writes the table after every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="environments whose name contains this")
    chosen = parser.parse_args()
    gym.register_envs(accelgym)
    torch.set_num_threads(1)
    log = StudyLog(chosen.out / "runs.jsonl", ("env", "agent", "seed"))
    for env, agent, seed in plan():
        if chosen.only in env and not log.find(env=env, agent=agent, seed=seed):
            log.add(measure(env, agent, seed))
            (chosen.out / "table.md").write_text(table(log.rows))


if __name__ == "__main__":
    main()
