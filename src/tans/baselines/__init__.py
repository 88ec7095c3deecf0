"""Competing ways to get a network for a task, behind one Protocol."""
