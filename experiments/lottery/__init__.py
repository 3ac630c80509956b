"""The hyperparameter lottery: how much of an agent's rank is luck of its settings."""
