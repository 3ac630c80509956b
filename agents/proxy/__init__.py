"""Learned stand-ins of cost models, and how they adapt to another one from a few samples (extra ``agents``)."""

from accelgym.costmodels.errors import MissingExtraError

try:
    from accelgym.agents.proxy.adaptation import LinearAdaptation, fine_tune, meta_train
    from accelgym.agents.proxy.designs import design_arrays
    from accelgym.agents.proxy.network import FitOptions, ProxyNetwork
    from accelgym.agents.proxy.proxy import Proxy, log_errors
except ImportError as error:
    raise MissingExtraError("a proxy", "torch", "agents") from error

__all__ = [
    "FitOptions",
    "LinearAdaptation",
    "Proxy",
    "ProxyNetwork",
    "design_arrays",
    "fine_tune",
    "log_errors",
    "meta_train",
]
