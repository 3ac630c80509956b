"""ConfuciuX (Kao, Jeong and Krishna, MICRO 2020; extra ``agents``)."""

from accelgym.costmodels.errors import MissingExtraError

try:
    from accelgym.agents.confuciux.agent import ConfuciuX
except ImportError as error:
    raise MissingExtraError("agent 'confuciux'", "torch", "agents") from error

__all__ = ["ConfuciuX"]
