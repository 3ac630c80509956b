"""Agents that know what a mapping is; generic agents search mapping tasks, too."""
