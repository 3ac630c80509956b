"""Systolic arrays: configuration, exact cycle model, traffic and scheduler."""
