"""Syntax of Timeloop's YAML files: text, templates, expressions, sections."""
