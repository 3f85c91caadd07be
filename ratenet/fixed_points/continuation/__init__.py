"""Continuation: how fixed points change with a parameter, and where they branch."""
