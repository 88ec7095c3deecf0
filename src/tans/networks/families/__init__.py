"""Families of networks: each builds, costs and describes its own."""
