"""Policies that are trained on a family of tasks and act on tasks they have not seen (extra ``agents``)."""

from accelgym.costmodels.errors import MissingExtraError

try:
    from accelgym.agents.transfer.agent import PretrainedPPO
    from accelgym.agents.transfer.policy import TransferPolicy
    from accelgym.agents.transfer.trainer import PolicyTrainer, TrainingOptions
except ImportError as error:
    raise MissingExtraError("agent 'pretrained_ppo'", "torch", "agents") from error

__all__ = ["PolicyTrainer", "PretrainedPPO", "TrainingOptions", "TransferPolicy"]
