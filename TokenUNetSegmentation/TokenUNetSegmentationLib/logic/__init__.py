"""Runs, options, availability and estimates; no widgets."""
