"""Architectures: sample, encode, cost, build and embed them."""
