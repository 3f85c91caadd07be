"""Solvers: how fixed points are found."""
