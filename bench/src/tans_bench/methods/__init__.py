"""Rivals behind one protocol, and tans with a part left out."""
