"""The experiments, a module each: what is run, and how its results are drawn."""
