"""Experiments as data: declared in a catalogue, run resumably, drawn from the stored results."""
