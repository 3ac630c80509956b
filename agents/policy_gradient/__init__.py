"""Policy-gradient agents on the native vector environment (extra ``agents``)."""

import random

from accelgym.costmodels.errors import MissingExtraError

# Packages that Stable-Baselines3 imports draw a number from the global generator (rich does, for its identifiers).
_state = random.getstate()
try:
    from accelgym.agents.policy_gradient.algorithms import A2CAgent, MaskablePPOAgent, PPOAgent
except ImportError as error:
    raise MissingExtraError("agent 'ppo', 'maskable_ppo' or 'a2c'", "sb3-contrib", "agents") from error
finally:
    random.setstate(_state)

__all__ = ["A2CAgent", "MaskablePPOAgent", "PPOAgent"]
