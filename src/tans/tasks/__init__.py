"""Labelled images as tasks: from folders, CSV files, arrays and packaged sources."""
