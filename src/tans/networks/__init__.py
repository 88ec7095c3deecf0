"""Networks of any family: what they are made of, how they read images, what they answer."""
