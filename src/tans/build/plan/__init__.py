"""Which pairs of a task and a network to measure next (paper, section 3.3)."""
