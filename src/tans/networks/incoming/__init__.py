"""Networks of others: each kind of source, read into what a zoo takes in."""
