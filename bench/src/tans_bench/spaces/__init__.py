"""Spaces of cells, which only rivals use."""
