"""Policy-gradient agents on the native vector environment (extra ``agents``)."""

from accelgym.costmodels.errors import MissingExtraError

try:
    from accelgym.agents.policy_gradient.algorithms import A2CAgent, MaskablePPOAgent, PPOAgent
except ImportError as error:
    raise MissingExtraError("agents 'ppo', 'maskable_ppo' and 'a2c'", "sb3-contrib", "agents") from error

__all__ = ["A2CAgent", "MaskablePPOAgent", "PPOAgent"]
