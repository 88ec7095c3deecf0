"""What a network costs: latency and fine-tuning time on this device, and limits on them."""
