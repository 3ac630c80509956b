"""AccelGym: Gymnasium tasks for DNN-accelerator design-space exploration with exact optima.

``import accelgym`` registers the environments; ``gymnasium.register_envs(accelgym)`` says so to readers and
linters.
"""

from typing import TYPE_CHECKING, Any

from accelgym.envs import make_task, register_all

if TYPE_CHECKING:
    from accelgym.experiments.mapper import map_layer as map

__version__ = "0.1.0"

__all__ = ["__version__", "make_task", "map"]

register_all()


def __getattr__(name: str) -> Any:
    if name == "map":  # Imported when it is used: the package stays quick to import.
        from accelgym.experiments.mapper import map_layer

        return map_layer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
