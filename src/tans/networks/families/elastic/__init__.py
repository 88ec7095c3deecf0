"""Elastic spaces: one supernet, from which every network is a slice."""
