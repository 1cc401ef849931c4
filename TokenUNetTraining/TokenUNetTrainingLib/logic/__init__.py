"""Training runs and options; no widgets."""
