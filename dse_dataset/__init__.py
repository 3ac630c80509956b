"""Labelled datasets: which designs are best, proved, for very many inputs."""
