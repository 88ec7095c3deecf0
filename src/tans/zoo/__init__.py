"""Trained networks: one store of weights, entries, tasks and measured transfers."""
