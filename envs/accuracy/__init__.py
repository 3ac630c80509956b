"""Accuracy of quantised networks, measured: data, networks, quantised inference and oracles. PyTorch loads lazily."""
