"""AccelGym: Gymnasium tasks for DNN-accelerator design-space exploration with exact optima."""

__version__ = "0.1.0"

__all__ = ["__version__"]
