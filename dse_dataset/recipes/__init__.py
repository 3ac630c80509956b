"""Recipes: functions from row numbers to labelled rows, one module a kind of task."""
