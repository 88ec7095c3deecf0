"""What is no comparison of methods: speeds, and what single parts of tans are worth."""
