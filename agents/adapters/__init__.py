"""Adapters that let a user's own optimisation loop drive a task; each module needs the package it is named after."""

from accelgym.agents.adapters.counter import MOST_VIOLATION, EvaluationCounter

__all__ = ["MOST_VIOLATION", "EvaluationCounter"]
