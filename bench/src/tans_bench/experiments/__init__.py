"""The experiments, declared as data, each with the page that it draws."""
