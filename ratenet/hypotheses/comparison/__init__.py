"""Comparison: rules that learn the same tasks, side by side."""
