"""Runs of experiments: what they are made of, how they are kept, compared and drawn."""
