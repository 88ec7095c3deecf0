"""Train what goes into a zoo, and measure it: one engine, workers here or on a cluster."""
