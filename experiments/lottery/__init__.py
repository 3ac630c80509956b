"""The hyperparameter lottery: how much of an agent's rank is luck of its settings (Krishnan et al., ISCA 2023)."""

from accelgym.experiments.lottery.config import LotteryAgent, LotteryConfig, load_lottery, shipped_lotteries
from accelgym.experiments.lottery.run import LotteryResult, run_lottery

__all__ = ["LotteryAgent", "LotteryConfig", "LotteryResult", "load_lottery", "run_lottery", "shipped_lotteries"]
