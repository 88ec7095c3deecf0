"""Arguments and options of the commands, by what they speak of."""
