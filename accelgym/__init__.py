"""AccelGym: Gymnasium tasks for DNN-accelerator design-space exploration with exact optima.

``import accelgym`` registers the environments; ``gymnasium.register_envs(accelgym)`` says so to readers and
linters.
"""

from accelgym.envs import make_task, register_all

__version__ = "0.1.0"

__all__ = ["__version__", "make_task"]

register_all()
