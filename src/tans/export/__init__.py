"""A fine-tuned network that needs nothing of tans."""
