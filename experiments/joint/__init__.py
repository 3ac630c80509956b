"""Agents on the joint space: regret by evaluations, the order of decisions, and fronts of several objectives."""
