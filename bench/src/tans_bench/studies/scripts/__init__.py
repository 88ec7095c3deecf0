"""Scripts that are timed on any version of tans, so they use nothing of tans-bench."""
