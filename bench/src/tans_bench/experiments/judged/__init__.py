"""Is a user better off with the answer? Measured with the judge that can see."""
